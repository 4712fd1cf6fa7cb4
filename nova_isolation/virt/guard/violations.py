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

"""The violations of the running guests of this host."""

from collections.abc import Iterable
import dataclasses
import logging

from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Violation:
    """A running guest that does not meet its requirements.

    :ivar uuid: the UUID of the instance
    :ivar unmet: the requirements that are not met
    :ivar mechanisms: the mechanisms that this guest violates although the
        facts of the host meet the requirements
    """

    uuid: str
    unmet: tuple[reasons.Unmet, ...]
    mechanisms: frozenset[str] = frozenset()

    def __str__(self) -> str:
        codes = ', '.join(sorted({item.code for item in self.unmet}))
        return f'guest {self.uuid}: {codes}'


class Violations:
    """The violations of this host.

    One thread writes, all read: what is read is replaced in one step.

    :ivar known: UUID of an instance -> its violation
    :ivar examined: the UUIDs of the guests of this host that were verified
        while they ran
    """

    def __init__(self, mechanisms: registry.Mechanisms) -> None:
        """:param mechanisms: the mechanisms of this process"""
        self._reasons = mechanisms.reasons
        self.known: dict[str, Violation] = {}
        self.examined: frozenset[str] = frozenset()
        self._doubted: dict[str, frozenset[tuple[str, str]]] = {}

    def doubt(self, violation: Violation, in_turn: bool) -> bool:
        """Whether it is too early to take this for a violation.

        What could not be verified counts when that has happened twice in a
        row: libvirt may be restarting. It must count then, because a guest
        that has broken out of its emulator can make that process unreadable.
        What this host cannot see for a cause of its own, which no guest can
        bring about, never counts.

        :param violation: what was found
        :param in_turn: whether all guests were verified because the interval
            was over; otherwise what could not be verified does not count
        """
        if not all(map(self._is_uncertain, violation.unmet)):
            return False
        if all(map(self._is_blind, violation.unmet)):
            return True
        if not in_turn:
            return True
        before = self._doubted.get(violation.uuid)
        self._doubted[violation.uuid] = self._what(violation)
        return before is None

    def _is_uncertain(self, unmet: reasons.Unmet) -> bool:
        """Whether a code says only that something could not be found out.

        A code that no loaded mechanism declares is certain.
        """
        reason = self._reasons.get(unmet.code)
        return reason is not None and reason.uncertain

    def _is_blind(self, unmet: reasons.Unmet) -> bool:
        """Whether a code says that this host itself cannot look."""
        reason = self._reasons.get(unmet.code)
        return reason is not None and reason.blind

    def _what(self, violation: Violation) -> frozenset[tuple[str, str]]:
        """What tells one violation from another: keys and codes, no more."""
        result = set()
        for item in violation.unmet:
            reason = self._reasons.get(item.code)
            same_as = '' if reason is None else reason.same_as
            result.add((item.key, same_as or item.code))
        return frozenset(result)

    def is_new(self, violation: Violation) -> bool:
        """Whether a violation is not known yet, or has changed."""
        before = self.known.get(violation.uuid)
        return before is None or self._what(before) != self._what(violation)

    def add(self, violation: Violation) -> None:
        """Remember a violation."""
        self.known = {**self.known, violation.uuid: violation}

    def end(self, uuid: str) -> Violation | None:
        """Forget the violation of a guest.

        :param uuid: a guest that meets its requirements, or has ended
        :returns: its violation, if there was one
        """
        self._doubted.pop(uuid, None)
        ended = self.known.get(uuid)
        if ended is not None:
            self.known = {u: v for u, v in self.known.items() if u != uuid}
        return ended

    def keep(self, uuids: Iterable[str]) -> None:
        """Forget what is remembered of all guests but these."""
        kept = frozenset(uuids)
        self.examined &= kept
        self._doubted = {
            uuid: what for uuid, what in self._doubted.items() if uuid in kept
        }

    def closed(self, uuid: str | None = None) -> dict[str, str]:
        """The mechanisms that the host no longer offers.

        :param uuid: the instance that asks; None: the scheduler
        :returns: name of a mechanism -> the guest that violates it; '' for
            the scheduler, because hosts that are alike publish the same
            facts. Empty for a guest that ran here when it was last verified:
            it is not a new guest, and starting it anew ends most violations.
        """
        if uuid in self.examined:
            return {}
        return {
            mechanism: str(violation) if uuid is not None else ''
            for violation in self.known.values()
            for mechanism in violation.mechanisms
        }
