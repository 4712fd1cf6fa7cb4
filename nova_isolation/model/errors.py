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

"""The root of the exceptions of this project."""

from nova_isolation.model import printable

#: The longest text of an exception; it may list several faults.
MAX_LENGTH = 8 * printable.MAX_LENGTH


class IsolationError(Exception):
    """The base of all exceptions that this project defines.

    Raised by no code directly. For callers that catch whatever this project
    raises, and nothing else. Its text is one printable line, because it may
    contain words of another host.
    """

    def __str__(self) -> str:
        return printable.one_line(super().__str__(), MAX_LENGTH)
