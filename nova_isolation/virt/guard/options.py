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

"""What the guard and the watch read of the group ``[isolation]``."""

import typing


class Options(typing.Protocol):
    """The options. They are read whenever they are needed."""

    @property
    def mode(self) -> str:
        """``enforce`` or ``audit``."""

    @property
    def violation_closes_host(self) -> bool:
        """Whether a violation closes the host to new guests."""

    @property
    def resume_at_arrival(self) -> bool:
        """Whether a guest that is sent here is resumed when it arrives."""

    @property
    def on_violation(self) -> str:
        """What is done about a violation: report, pause or stop."""

    @property
    def measure_timeout(self) -> float:
        """Seconds that a mechanism may take to measure or to verify."""

    @property
    def verify_interval(self) -> float:
        """Seconds between two verifications; 0: guests that run are not
        verified again.
        """


def enforces(options: Options) -> bool:
    """Whether guests are refused; in audit mode they are not."""
    return bool(options.mode == 'enforce')
