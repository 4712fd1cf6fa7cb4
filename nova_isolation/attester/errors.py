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

"""What goes wrong when a host makes a statement or has a key."""

from nova_isolation.model import errors


class AttesterError(errors.IsolationError):
    """The key cannot be made or used. The message says what can be done."""


class LaunchedOtherwise(AttesterError):
    """The TPM does not let the key sign, because PCR 17 is another one than
    when the key was made. To try again does not help.
    """
