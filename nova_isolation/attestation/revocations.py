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

"""Trust that was called back, until it is earned again."""

import dataclasses
import types

from nova_isolation.attestation import snapshot
from nova_isolation.attestation import standing


class Revocations:
    """The agents that a verifier has called to distrust.

    Such a call says so sooner than the next look does; that it is over, no
    call says. An agent is trusted again only for a good quote that is newer
    than the call, also where the verifier's clock is ahead of ours.
    """

    def __init__(self, clock_skew: float) -> None:
        """:param clock_skew: seconds by which clocks may differ"""
        self._skew = clock_skew
        #: agent -> when, and what was said
        self._revoked: dict[str, tuple[float, str]] = {}

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
        if not self._revoked:
            return known
        changed: dict[str, snapshot.Verdict] = {}
        over = set()
        for name, verdict in known.verdicts.items():
            revoked = self._revoked.get(verdict.agent)
            if revoked is None:
                continue
            good = standing.loads(verdict.document)
            if good.state != standing.GOOD:
                # The verifier's own words say more.
                continue
            at, found = revoked
            if verdict.good_at is not None and (
                verdict.good_at > at + self._skew
            ):
                over.add(verdict.agent)
                continue
            changed[name] = verdict._replace(
                document=standing.dumps(
                    dataclasses.replace(
                        good, state=standing.REVOKED, found=found
                    )
                ),
                told_at=at,
            )
        for agent in over:
            del self._revoked[agent]
        if not changed:
            return known
        return dataclasses.replace(
            known,
            verdicts=types.MappingProxyType({**known.verdicts, **changed}),
        )
