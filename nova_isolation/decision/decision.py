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

"""The decision whether a guest may run on a host."""

import dataclasses
import functools

from nova_isolation.model import reasons


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision.

    :ivar unmet: every requirement that is not met; empty where the guest is
        accepted
    """

    unmet: tuple[reasons.Unmet, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the guest may run on the host."""
        return not self.unmet

    @functools.cached_property
    def codes(self) -> tuple[str, ...]:
        """The reason codes, sorted, each once."""
        return tuple(sorted({u.code for u in self.unmet}))

    def __str__(self) -> str:
        return '; '.join(map(str, self.unmet)) or 'accepted'


ACCEPTED = Decision()
