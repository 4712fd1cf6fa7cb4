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

"""Trust that was lost, until it is earned again."""

import dataclasses
import functools
import types

from nova_isolation.attestation import snapshot
from nova_isolation.https import peer_clock
from nova_isolation.model import attestation_result
from nova_isolation.model import facts


class Revocations:
    """The agents that are not trusted, whatever state they are said to have.

    A verifier calls to distrust one: sooner than the next look, and before
    it has that stored. That it is over, no call says: the agent is trusted
    again for a good quote that is newer than the call, also where the
    verifier's clock is ahead of ours.

    An agent that a look has shown to have failed is trusted again for a newer
    good quote than it had then. Keylime counts one that was reactivated as
    passing before it has given any.
    """

    def __init__(self, clock_skew: float) -> None:
        """:param clock_skew: seconds by which clocks may differ"""
        self._margin = clock_skew + peer_clock.RESOLUTION
        #: agent -> when, and what was said
        self._revoked: dict[str, tuple[float, str]] = {}
        #: agent that has failed -> its last good quote then
        self._failed: dict[str, float] = {}

    def add(self, agent: str, at: float, found: str) -> None:
        """Distrust an agent.

        :param at: when that was said, seconds since the epoch, our clock
        :param found: what was said, in words
        """
        known = self._revoked.get(agent)
        if known is None or known[0] <= at:
            self._revoked[agent] = (at, found)

    def apply(self, known: snapshot.Snapshot) -> snapshot.Snapshot:
        """What is left of a snapshot. Forgets who is trusted again."""
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
                # The verifier's own words say more than a call.
                self._failed[agent] = max(
                    good_at, self._failed.get(agent, 0.0)
                )
                continue
            if state != attestation_result.GOOD:
                continue
            revoked = self._revoked.get(agent)
            if revoked and good_at <= revoked[0] + self._margin:
                changed[name] = _distrusted(
                    verdict, attestation_result.REVOKED, revoked[1], revoked[0]
                )
            elif good_at <= self._failed.get(agent, -1.0):
                changed[name] = _distrusted(
                    verdict,
                    attestation_result.FAILED,
                    'no good quote since it failed',
                    verdict.told_at,
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


def _state(document: str) -> str:
    """The state; '' where nobody will understand it, nor trust it."""
    try:
        return attestation_result.loads(document).state
    except facts.FactsError:
        return ''


def _distrusted(
    verdict: snapshot.Verdict,
    state: str,
    found: str,
    told_at: float | None,
) -> snapshot.Verdict:
    return verdict._replace(
        document=attestation_result.dumps(
            dataclasses.replace(
                attestation_result.loads(verdict.document),
                state=state,
                found=found,
            )
        ),
        told_at=told_at,
    )
