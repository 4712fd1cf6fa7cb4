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

"""What is known of guests that run and are not as asked."""

from collections.abc import Iterable
import dataclasses
import logging

from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Violation:
    """A running guest that is not as asked.

    :ivar uuid: the instance
    :ivar unmet: what is not as asked
    :ivar mechanisms: those which this guest alone shows to fail; those that
        the facts of the host show to fail are not among them
    :ivar failures: name of a mechanism that failed to examine it, and how
    """

    uuid: str
    unmet: tuple[reasons.Unmet, ...]
    mechanisms: frozenset[str] = frozenset()
    failures: tuple[tuple[str, BaseException], ...] = ()

    def __str__(self) -> str:
        codes = ', '.join(sorted({item.code for item in self.unmet}))
        return f'guest {self.uuid}: {codes}'


class Violations:
    """The violations of this host.

    Written by one thread, read by all: whatever is read was replaced in one
    step.

    :ivar known: UUID of an instance -> its violation
    :ivar examined: the UUIDs of the guests of this host that were examined
        while they ran
    """

    def __init__(self, mechanisms: registry.Mechanisms) -> None:
        """:param mechanisms: the mechanisms of this process"""
        self._reasons = mechanisms.reasons
        self.known: dict[str, Violation] = {}
        self.examined: frozenset[str] = frozenset()
        self._doubted: dict[str, frozenset[tuple[str, str]]] = {}

    def doubt(self, violation: Violation, in_turn: bool) -> bool:
        """Whether it is too early to take it for one.

        What could not be found out counts when it could not twice in a row:
        libvirt may be restarting. For ever it must not be excused: a guest
        that has broken out of its emulator can make that process unreadable.

        :param in_turn: all guests were examined; out of turn nothing counts
            that could not be found out
        """
        if not all(map(self._is_uncertain, violation.unmet)):
            return False
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

    def _what(self, violation: Violation) -> frozenset[tuple[str, str]]:
        """What tells one violation from another: keys and codes, no more."""
        result = set()
        for item in violation.unmet:
            reason = self._reasons.get(item.code)
            same_as = '' if reason is None else reason.same_as
            result.add((item.key, same_as or item.code))
        return frozenset(result)

    def is_new(self, violation: Violation) -> bool:
        """Whether it is not known yet, or has changed."""
        before = self.known.get(violation.uuid)
        return before is None or self._what(before) != self._what(violation)

    def add(self, violation: Violation) -> None:
        """It is known from now on."""
        self.known = {**self.known, violation.uuid: violation}

    def end(self, uuid: str) -> Violation | None:
        """A guest is as asked, or runs no more.

        :returns: what was known of it
        """
        self._doubted.pop(uuid, None)
        ended = self.known.get(uuid)
        if ended is not None:
            self.known = {u: v for u, v in self.known.items() if u != uuid}
        return ended

    def keep(self, uuids: Iterable[str]) -> None:
        """Forget what was examined and doubted, but of these guests."""
        kept = frozenset(uuids)
        self.examined &= kept
        self._doubted = {
            uuid: what for uuid, what in self._doubted.items() if uuid in kept
        }

    def closed(self, uuid: str | None = None) -> dict[str, str]:
        """What the host does not offer any more.

        :param uuid: to this instance; None: to the scheduler
        :returns: mechanism -> whose violation it is; '' for the scheduler,
            because alike hosts publish alike facts. Nothing for a guest that
            ran here when it was last examined: it is no new one, and to be
            started anew is what mends most violations.
        """
        if uuid in self.examined:
            return {}
        return {
            mechanism: str(violation) if uuid is not None else ''
            for violation in self.known.values()
            for mechanism in violation.mechanisms
        }
