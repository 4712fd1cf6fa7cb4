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

"""Which hosts are in good standing at present, by their agents.

The mechanism ``attested`` decides that, as it does for guests.
"""

from collections.abc import Mapping
import functools
import time
import typing

from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.attestd.evidence import refusal
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.attested import mechanism
from nova_isolation.model import requirements

_PLAIN = requirements.Requirement(
    'isolation:attested', attestation_result.MECHANISM, ('true',)
)

#: The verdicts with which a host loses its key.
_FALLEN = frozenset({attestation_result.FAILED, attestation_result.REVOKED})

#: Alike hosts have equal documents.
_state = functools.lru_cache(2**10)(attestation_result.loads)


class Good(typing.NamedTuple):
    """A host in good standing.

    :ivar host: the name of its compute service; '' where the hosts are named
        by their compute nodes
    :ivar approved: PCR -> the values that the verifier's policy approves
    :ivar quote_age: seconds since the last good quote
    """

    host: str
    approved: Mapping[int, tuple[str, ...]]
    quote_age: int


class Standings:
    """The standing of each agent's host. May be used on any thread."""

    def __init__(self, refreshed: refresher.Refresher) -> None:
        """:param refreshed: has the newest verdicts"""
        self._refreshed = refreshed
        self._mechanism = mechanism.AttestedMechanism()
        #: The hosts of each agent in a snapshot.
        self._named: tuple[snapshot.Snapshot, dict[str, list[str]]] = (
            snapshot.Snapshot(),
            {},
        )
        #: The snapshot that was looked at last, and whose hosts had failed.
        self._looked: tuple[snapshot.Snapshot | None, dict[str, str]] = (
            None,
            {},
        )

    def of(self, agent: str) -> Good:
        """Return the standing of the host with this agent.

        :raises nova_isolation.attestd.evidence.refusal.Refused: it is not
            good
        """
        known, hosts = self._hosts()
        names = hosts.get(agent, [])
        if len(names) != 1:
            raise self._bad(
                agent, f'{len(names) or "no"} hosts with this agent'
            )
        [name] = names
        found = self._refreshed.evidence(name, name, time.time()).get(
            attestation_result.MECHANISM
        )
        if found is None or found.agent != agent:
            raise self._bad(agent, 'no answer of a verifier yet')
        facts = self._mechanism.read(found)
        for unmet in self._mechanism.judge(_PLAIN, facts):
            raise self._bad(agent, f'{unmet.found} ({unmet.code})')
        return Good(
            name if known.by == snapshot.BY_HOST else '',
            facts.approved,
            max(int(found.age or 0), 0),
        )

    def fallen(self) -> dict[str, str]:
        """Return the agents whose hosts have failed, and why, in words."""
        known = self._refreshed.snapshot
        if known is not self._looked[0]:
            states = (
                (one.agent, _state(one.document))
                for one in known.verdicts.values()
            )
            self._looked = (
                known,
                {
                    agent: one.found or one.state
                    for agent, one in states
                    if agent and one.state in _FALLEN
                },
            )
        return self._looked[1]

    def _hosts(self) -> tuple[snapshot.Snapshot, dict[str, list[str]]]:
        named = self._named
        known = self._refreshed.snapshot
        if named[0] is not known:
            hosts: dict[str, list[str]] = {}
            for name, one in known.verdicts.items():
                hosts.setdefault(one.agent, []).append(name)
            named = self._named = known, hosts
        return named

    @staticmethod
    def _bad(agent: str, found: str) -> refusal.Refused:
        return refusal.Refused(
            refusal.Code.STANDING,
            f'agent {agent}: wanted a host in good standing, found {found}',
        )
