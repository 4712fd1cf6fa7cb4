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

K = typing.TypeVar('K')
T = typing.TypeVar('T')

#: Name of a mechanism -> what a third party has reported about a host.
Statements = Mapping[str, evidence.Evidence]


class DecisionCache:
    """Decides about many hosts for one flavor, once for alike hosts.

    A decision depends on documents (that of the host and those of third
    parties) and on ages. The cache keeps the reason codes of a refusal for
    its documents and for how each age stands to its limits. It does not keep
    the words of a refusal that state an age. The cache takes no lock: at
    worst two threads make the same decision twice.
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
        #: a fresh document, where nothing else counts -> the decision
        self.kept: dict[str, decision.Decision] = {}
        #: documents and how each age stands to its limits -> reason codes.
        #: Where the facts are fresh, and evidence of one mechanism counts,
        #: the key is the facts, and document and band of the evidence.
        self.kept_codes: dict[object, tuple[str, ...]] = {}
        #: name of an evidence mechanism -> maximum ages of its evidence
        self.limits = tuple(_limits(wanted, mechanisms))

    @property
    def asks(self) -> bool:
        """Whether the decision needs the evidence of a third party."""
        return bool(self.limits)

    def codes(
        self,
        document: object,
        age: float | None,
        statements: Statements = evidence.NO_EVIDENCE,
        now: float = 0.0,
    ) -> tuple[str, ...]:
        """Return why a host is refused, without words.

        :param document: the facts that the host has published
        :param age: seconds since the facts were measured; None: unknown
        :param statements: what third parties have reported about this host
        :param now: seconds since the epoch
        :returns: the reason codes of :meth:`decide`; empty where the host is
            accepted
        """
        if not isinstance(document, str):
            return self._decide(document, age, statements, now).codes
        key: object = document
        fresh = self.freshness.accepts(age)
        if not fresh:
            key = (key, self.freshness.band(age))
        elif not self.limits:
            return self._by_document(document).codes
        for name, limits in self.limits:
            said = statements.get(name)
            key = (
                (key, None)
                if said is None
                else (key, said.document, said.band(now, limits))
            )
        codes = self.kept_codes.get(key)
        if codes is None:
            codes = self._decide(document, age, statements, now).codes
            # A mechanism that accepts what is too old, or missing, is asked
            # each time: it may have a limit of its own.
            if codes or (fresh and self._are_fresh(statements, now)):
                _keep(self.kept_codes, key, codes, codes)
        return codes

    def _are_fresh(self, statements: Statements, now: float) -> bool:
        """Whether each wanted statement is there, and fresh."""
        return all(
            name in statements and statements[name].is_fresh_at(now, limits[0])
            for name, limits in self.limits
        )

    def decide(
        self,
        document: object,
        age: float | None,
        statements: Statements = evidence.NO_EVIDENCE,
        now: float = 0.0,
    ) -> decision.Decision:
        """Decide about one host.

        The parameters are those of :meth:`codes`.
        """
        if not self.codes(document, age, statements, now):
            return decision.ACCEPTED
        if isinstance(document, str) and not self.limits:
            return host_facts.at_age(
                self._by_document(document), self.wanted, age, self.freshness
            )
        return self._decide(document, age, statements, now)

    def _by_document(self, document: str) -> decision.Decision:
        """Decide on fresh facts alone."""
        known = self.kept.get(document)
        if known is None:
            known = self._decide(document, 0.0, evidence.NO_EVIDENCE, 0.0)
            _keep(self.kept, document, known, known.codes)
        return known

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
                for name, _ in self.limits
                if name in statements
            },
        )


def _keep(kept: dict[K, T], key: K, what: T, codes: tuple[str, ...]) -> None:
    """Keep what was decided.

    :param codes: the reason codes of the decision
    """
    if reasons.MECHANISM_FAILED.code in codes:
        # It may succeed the next time.
        return
    if len(kept) >= DecisionCache.MAX_KEPT:
        kept.clear()
    kept[key] = what


def _limits(
    wanted: requirements.Requirements, mechanisms: registry.Mechanisms
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Return the wanted evidence mechanisms, each with its maximum ages.

    :returns: the ages that the requirements set, in seconds, the lowest first
    """
    for name in sorted({item.mechanism for item in wanted.items}):
        mechanism = mechanisms.loaded.get(name)
        if not isinstance(mechanism, base.EvidenceMechanism):
            continue
        try:
            found = map(mechanism.max_age, wanted.of(name))
            ages = {float(age) for age in found if age is not None}
            yield name, tuple(sorted(ages)) or (math.inf,)
        except base.FAILURES:
            # The mechanism may be of another package. No age is fresh then:
            # the mechanism is called for each host and reports its error.
            LOG.exception(
                'Mechanism %s raised an error instead of a maximum age', name
            )
            yield name, (-math.inf,)
