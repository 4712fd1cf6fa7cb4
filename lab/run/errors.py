# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The exceptions that the lab's own code raises on purpose."""

from collections.abc import Sequence


class LabError(Exception):
    """Something that the lab waited for or relied on did not happen.

    The message is for a person. It says what was expected, what happened
    instead and, if there is such a log, which log says more.
    """


class DiedError(LabError):
    """A daemon has died that nobody stopped.

    :ivar daemons: the names of all daemons that have died
    """

    def __init__(self, message: str, daemons: Sequence[str]) -> None:
        super().__init__(message)
        self.daemons = tuple(daemons)
