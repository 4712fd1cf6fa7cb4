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
import types

from nova_isolation.attestation import snapshot
from nova_isolation.https import peer_clock
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import facts


class Revocations:
    """The agents that are not trusted, even if a verifier reports them good.

    A verifier sends a revocation before the next poll, and before it has
    stored the failure. It sends no message when the failure is over. So the
    agent is trusted again only after a good quote that is newer than the
    revocation, even if the verifier's clock is ahead of ours.

    An agent that was reported as failed is trusted again only after a newer
    good quote than its last one. Keylime counts an agent that was reactivated
    as passing before it has given any quote.
    """

    def __init__(self, clock_skew: float) -> None:
        """:param clock_skew: seconds by which clocks may differ"""
        self._margin = clock_skew + peer_clock.RESOLUTION
        #: agent -> when it was revoked, and why, in words
        self._revoked: dict[str, tuple[float, str]] = {}
        #: agent that has failed -> the time of its last good quote
        self._failed: dict[str, float] = {}

    def add(self, agent: str, at: float, found: str) -> None:
        """Revoke the trust in an agent.

        :param at: the time of the revocation, seconds since the epoch by our
            clock
        :param found: the verifier's reason, in words
        """
        known = self._revoked.get(agent)
        if known is None or known[0] <= at:
            self._revoked[agent] = (at, found)

    def apply(self, known: snapshot.Snapshot) -> snapshot.Snapshot:
        """Return the snapshot with the verdicts that remain.

        Forgets the agents that are trusted again.
        """
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
            if revoked and good_at <= revoked[0] + self._margin:
                changed[name] = _distrusted(
                    verdict, attestation_result.REVOKED, revoked[1], revoked[0]
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
