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

"""Agents that were revoked or have failed, until a newer good quote."""

import dataclasses
import functools
import math
import types
import typing

from nova_isolation.attestation import snapshot
from nova_isolation.https import peer_clock
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import facts

#: How many agents that no host has are remembered.
MAX_ABSENT = 2**12

#: Characters of an agent's name and of a reason that are kept of an agent that
#: no host has.
_MAX_NAME = 1024
_MAX_WORDS = 512

#: Why an agent is not trusted about which messages may have been forgotten.
_FORGOTTEN = (
    'no good quote since messages about unknown agents had to be forgotten'
)


class _Revocation(typing.NamedTuple):
    """When an agent was revoked, by the clock that is never set, and why.

    :ivar told: the time by the other clock, as it was told; None: not yet
    """

    at: float
    found: str
    told: float | None = None


class Revocations:
    """The agents that are not trusted, even if a verifier reports them good.

    A verifier sends a revocation before the next poll, and before it has
    stored the failure. It sends no message when the failure is over. So the
    agent is trusted again only after a good quote that is newer than the
    revocation, even if the verifier's clock is ahead of ours.

    An agent that was reported as failed is trusted again only after a newer
    good quote than its last one. Keylime counts an agent that was reactivated
    as passing before it has given any quote.

    The memory has no more entries than the newest snapshot has agents, and
    :data:`MAX_ABSENT`. When an agent without a host is forgotten, the next
    agent that becomes known may be that one, so it needs a good quote that is
    newer than what was forgotten.
    """

    def __init__(self, clock_skew: float) -> None:
        """:param clock_skew: seconds by which clocks may differ"""
        self._margin = clock_skew + peer_clock.RESOLUTION
        self._revoked: dict[str, _Revocation] = {}
        #: agent that has failed -> the time of its last good quote
        self._failed: dict[str, float] = {}
        #: The agents of the newest snapshot.
        self._present: frozenset[str] = frozenset()
        #: The agents above that no host has; the oldest one comes first.
        self._absent: dict[str, None] = {}
        #: The newest revocation, and the newest good quote of an agent that
        #: has failed, that were forgotten.
        self._lost_revocation = -math.inf
        self._lost_quote = -math.inf

    def add(self, agent: str, at: float, found: str) -> None:
        """Revoke the trust in an agent.

        :param at: the time of the revocation, by the clock that is never set
        :param found: the verifier's reason, in words
        """
        if len(agent) > _MAX_NAME and agent not in self._present:
            self._lost_revocation = max(self._lost_revocation, at)
            return
        known = self._revoked.get(agent)
        if known is None or known.at <= at:
            self._revoked[agent] = _Revocation(at, found[:_MAX_WORDS])
        if agent not in self._present:
            self._absent.pop(agent, None)
            self._absent[agent] = None
            self._limit()

    def has(self, agent: str) -> bool:
        """Return whether a host of the newest snapshot has an agent."""
        return agent in self._present

    def apply(
        self, known: snapshot.Snapshot, epoch: float
    ) -> snapshot.Snapshot:
        """Return the snapshot with the verdicts that remain.

        Forgets the agents that are trusted again.

        :param epoch: what the clock that is never set showed at the epoch, as
            far as it is known now. A revocation that was heard while the
            clock of this host was wrong is dated by the right clock as soon
            as that one is known.
        """
        self._meet(known, epoch)
        read = functools.cache(_state)
        changed: dict[str, snapshot.Verdict] = {}
        over = set()
        for name, verdict in known.verdicts.items():
            state, agent = read(verdict.document), verdict.agent
            good_at = verdict.good_at or 0.0
            if state in (
                attestation_result.FAILED,
                attestation_result.REVOKED,
            ):
                # The verdict has the reason in more detail.
                self._failed[agent] = max(
                    good_at, self._failed.get(agent, 0.0)
                )
                continue
            if state != attestation_result.GOOD:
                continue
            revoked = self._revoked.get(agent)
            if revoked and good_at <= revoked.at - epoch + self._margin:
                changed[name] = _distrusted(
                    verdict,
                    attestation_result.REVOKED,
                    revoked.found,
                    self._time(agent, epoch),
                )
            elif good_at <= self._failed.get(agent, -1.0):
                changed[name] = _distrusted(
                    verdict,
                    attestation_result.FAILED,
                    'no good quote since the failure',
                    verdict.reported_at,
                )
            else:
                over.add(agent)
        for agent in over:
            self._revoked.pop(agent, None)
            self._failed.pop(agent, None)
        if not changed:
            return known
        return dataclasses.replace(
            known,
            verdicts=types.MappingProxyType({**known.verdicts, **changed}),
        )

    def _time(self, agent: str, epoch: float) -> float:
        """Return when an agent was revoked, by the clock of this host.

        The same at each call unless that clock was set: each estimate of the
        epoch differs a little, and that is no news for all clients.
        """
        revoked = self._revoked[agent]
        time = revoked.at - epoch
        if revoked.told is not None and (
            abs(revoked.told - time) < peer_clock.RESOLUTION
        ):
            return revoked.told
        self._revoked[agent] = revoked._replace(told=time)
        return time

    def _meet(self, known: snapshot.Snapshot, epoch: float) -> None:
        """Note which agents have a host now, and which have none any more."""
        present = frozenset(one.agent for one in known.verdicts.values())
        for agent in present - self._present:
            if agent in self._absent:
                del self._absent[agent]
                continue
            # It may be one of those that were forgotten.
            if self._lost_revocation > -math.inf:
                self._revoked[agent] = _Revocation(
                    self._lost_revocation, _FORGOTTEN
                )
            if self._lost_quote > -math.inf:
                self._failed[agent] = self._lost_quote
        for agent in self._present - present:
            if agent in self._revoked or agent in self._failed:
                self._absent[agent] = None
        self._present = present
        self._limit()

    def _limit(self) -> None:
        """Forget the oldest agents without a host, if there are too many."""
        while len(self._absent) > MAX_ABSENT:
            agent = next(iter(self._absent))
            del self._absent[agent]
            revoked = self._revoked.pop(agent, None)
            if revoked is not None:
                self._lost_revocation = max(self._lost_revocation, revoked.at)
            self._lost_quote = max(
                self._lost_quote, self._failed.pop(agent, -math.inf)
            )


def _state(document: str) -> str:
    """Return the state; '' if the document is malformed."""
    try:
        return attestation_result.loads(document).state
    except facts.FactsError:
        return ''


def _distrusted(
    verdict: snapshot.Verdict,
    state: str,
    found: str,
    reported_at: float | None,
) -> snapshot.Verdict:
    return verdict._replace(
        document=attestation_result.dumps(
            dataclasses.replace(
                attestation_result.loads(verdict.document),
                state=state,
                found=found,
            )
        ),
        reported_at=reported_at,
    )
