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

"""Decisions about many hosts, kept so that alike hosts are decided once."""

from collections.abc import Iterator
from collections.abc import Mapping
import logging
import math
import typing

from nova_isolation.decision import decision
from nova_isolation.decision import host_facts
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements

LOG = logging.getLogger(__name__)

#: Name of a mechanism -> what a third party has reported about a host.
Statements = Mapping[str, evidence.Evidence]


class DecisionCache:
    """Decides about many hosts for one flavor, once for alike hosts.

    A decision depends on documents (that of the host and those of third
    parties) and on ages. The cache keeps a decision for its documents and
    compares the ages for each host. The cache takes no lock: at worst two
    threads make the same decision twice.
    """

    #: How many decisions are kept. A cloud has few kinds of hosts; the bound
    #: is for a host that changes its facts all the time.
    MAX_KEPT: typing.ClassVar[int] = 4096

    def __init__(
        self,
        wanted: requirements.Requirements,
        freshness: facts.Freshness,
        mechanisms: registry.Mechanisms,
    ) -> None:
        """See :func:`nova_isolation.decision.host_facts.decide` for the
        parameters.
        """
        self.wanted = wanted
        self.freshness = freshness
        self.mechanisms = mechanisms
        self.kept: dict[object, decision.Decision] = {}
        #: a time, and the refusals on evidence at that time
        self._refused: tuple[float, dict[object, decision.Decision]] = (0, {})
        #: name of an evidence mechanism -> maximum age of its evidence
        self._limits = tuple(_limits(wanted, mechanisms))

    def decide(
        self,
        document: object,
        age: float | None,
        statements: Statements = evidence.NO_EVIDENCE,
        now: float = 0.0,
    ) -> decision.Decision:
        """Decide about one host.

        :param document: the facts that the host has published
        :param age: seconds since the facts were measured; None: unknown
        :param statements: what third parties have reported about this host
        :param now: seconds since the epoch
        """
        if not self.freshness.accepts(age):
            if not isinstance(document, str):
                return self._decide(document, age, statements, now)
            return host_facts.at_age(
                self.decide(document, 0.0, statements, now),
                self.wanted,
                age,
                self.freshness,
            )
        if not isinstance(document, str):
            return self._decide(document, 0.0, statements, now)
        if not self._limits:
            return self._kept(self.kept, document, document, statements, now)
        # While all evidence is fresh, only the documents count.
        fresh: object = document
        for name, limit in self._limits:
            said = statements.get(name)
            if said is None or not said.is_fresh_at(now, limit):
                fresh = None
                break
            fresh = (fresh, said.document)
        known = None if fresh is None else self.kept.get(fresh)
        if known is not None:
            return known
        known = self._kept(
            self._refusals(now),
            (document, *(_words(statements.get(n)) for n, _ in self._limits)),
            document,
            statements,
            now,
        )
        if fresh is not None and known.accepted:
            self._keep(self.kept, fresh, known)
        return known

    def _refusals(self, now: float) -> dict[object, decision.Decision]:
        """Return the refusals of this moment, because they state ages."""
        at, kept = self._refused
        if at != now:
            kept = {}
            self._refused = now, kept
        return kept

    def _kept(
        self,
        kept: dict[object, decision.Decision],
        key: object,
        document: str,
        statements: Statements,
        now: float,
    ) -> decision.Decision:
        known = kept.get(key)
        if known is None:
            known = self._decide(document, 0.0, statements, now)
            # A mechanism that has failed may succeed the next time.
            if not any(
                item.code == reasons.MECHANISM_FAILED.code
                for item in known.unmet
            ):
                self._keep(kept, key, known)
        return known

    def _keep(
        self,
        kept: dict[object, decision.Decision],
        key: object,
        known: decision.Decision,
    ) -> None:
        if len(kept) >= self.MAX_KEPT:
            kept.clear()
        kept[key] = known

    @property
    def asks(self) -> bool:
        """Whether the decision needs the evidence of a third party."""
        return bool(self._limits)

    def _decide(
        self,
        document: object,
        age: float | None,
        statements: Statements,
        now: float,
    ) -> decision.Decision:
        return host_facts.decide(
            self.wanted,
            document,
            age=age,
            freshness=self.freshness,
            mechanisms=self.mechanisms,
            evidence={
                name: statements[name].at(now)
                for name, _ in self._limits
                if name in statements
            },
        )


def _limits(
    wanted: requirements.Requirements, mechanisms: registry.Mechanisms
) -> Iterator[tuple[str, float]]:
    """Return the wanted evidence mechanisms, each with a maximum age.

    The maximum age is the lowest that the requirements set, in seconds.
    """
    for name in sorted({item.mechanism for item in wanted.items}):
        mechanism = mechanisms.loaded.get(name)
        if not isinstance(mechanism, base.EvidenceMechanism):
            continue
        try:
            found = map(mechanism.max_age, wanted.of(name))
            ages = [float(age) for age in found if age is not None]
            yield name, min(ages, default=math.inf)
        except base.FAILURES:
            # The mechanism may be of another package. No age is fresh then:
            # the mechanism is called for each host and reports its error.
            LOG.exception(
                'Mechanism %s raised an error instead of a maximum age', name
            )
            yield name, -math.inf


def _words(said: evidence.Evidence | None) -> object:
    """Return the part of a statement that the text of a refusal shows."""
    return said and said[:6]
