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

"""Why a command of this plugin cannot do what was asked."""

from nova_isolation.model import errors


class Failure(errors.IsolationError):
    """The command cannot do what was asked; the text says why."""


class ServiceAway(Failure):
    """The service does not answer, or answers that it cannot.

    Other sources may still tell something
    (:mod:`nova_isolation.osc.traits_only`).
    """
