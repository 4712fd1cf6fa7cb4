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

"""The error with which a command ends."""

from nova_isolation.model import errors


class CommandError(errors.IsolationError):
    """The command cannot do what was asked.

    The message says why and what the admin can do. The program prints it to
    standard error and ends with the exit status 2.
    """
