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

"""Deciding about many hosts: what comes of it is kept for alike ones."""

from collections.abc import Iterator
from collections.abc import Mapping
import logging
import math
import types
import typing

from nova_isolation import decision
from nova_isolation import evidence
from nova_isolation import reasons
from nova_isolation import requirements
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry

LOG = logging.getLogger(__name__)

#: Name of a mechanism -> what a third party has said of a host.
Statements = Mapping[str, evidence.Statement]

NO_STATEMENTS: Statements = types.MappingProxyType({})


class Judge:
    """Decides about many hosts for one flavor, once for alike hosts.

    What depends on the documents alone, the host's own and those of third
    parties, is kept; the ages are looked at for each host. Takes no lock: at
    worst two threads decide the same twice.
    """

    #: Decisions that are kept. A cloud has few kinds of hosts; the bound is
    #: for a host that changes its facts all the time.
    MAX_KEPT: typing.ClassVar[int] = 4096

    def __init__(
        self,
        wanted: requirements.Requirements,
        freshness: decision.Freshness,
        mechanisms: registry.Mechanisms,
    ) -> None:
        """See :func:`nova_isolation.decision.decide` for the parameters."""
        self.wanted = wanted
        self.freshness = freshness
        self.mechanisms = mechanisms
        self.kept: dict[object, decision.Decision] = {}
        #: of mechanisms with a third party: the age that evidence may have
        self._limits = tuple(_limits(wanted, mechanisms))

    def decide(
        self,
        document: object,
        age: float | None,
        statements: Statements = NO_STATEMENTS,
        now: float = 0.0,
    ) -> decision.Decision:
        """Decide about one host.

        :param statements: what third parties have said of this host
        :param now: seconds since the epoch
        """
        if not self.freshness.accepts(age):
            return self._decide(document, age, statements, now)
        if not isinstance(document, str):
            return self._decide(document, 0.0, statements, now)
        # While all evidence is fresh it is its document alone that counts.
        fresh: object = document
        for name, limit in self._limits:
            said = statements.get(name)
            if said is None or said.good_at is None:
                fresh = None
                break
            since = now - said.good_at
            if not -said.clock_skew <= since <= limit or since > said.max_age:
                fresh = None
                break
            fresh = (fresh, said.document)
        known = None if fresh is None else self.kept.get(fresh)
        if known is None:
            known = self._refused(document, statements, now)
        if known is None:
            known = self._decide(document, 0.0, statements, now)
            self._keep(known, fresh, document, statements, now)
        return known

    def _refused(
        self, document: object, statements: Statements, now: float
    ) -> decision.Decision | None:
        """A refusal that is kept."""
        if not self._limits:
            return None
        return self.kept.get(self._key(document, statements, now))

    def _key(
        self, document: object, statements: Statements, now: float
    ) -> object:
        """What a refusal depends on; its words have ages in them.

        To the second, so that hosts of one verifier that has been away for
        long are decided about together.
        """
        key: list[object] = [document]
        for name, _ in self._limits:
            said = statements.get(name)
            if said is not None:
                key += (
                    said.document,
                    _second(said.good_at, now),
                    _second(said.told_at, now),
                    said.trouble,
                )
            key.append(None)
        return tuple(key)

    def _keep(
        self,
        known: decision.Decision,
        fresh: object,
        document: object,
        statements: Statements,
        now: float,
    ) -> None:
        # A mechanism that has failed may do better the next time.
        if any(
            item.code == reasons.MECHANISM_FAILED.code for item in known.unmet
        ):
            return
        if len(self.kept) >= self.MAX_KEPT:
            self.kept = {}
        if fresh is not None and (known.accepted or not self._limits):
            self.kept[fresh] = known
        elif not known.accepted:
            self.kept[self._key(document, statements, now)] = known

    @property
    def asks(self) -> bool:
        """Whether what a third party says has a part in it."""
        return bool(self._limits)

    def _decide(
        self,
        document: object,
        age: float | None,
        statements: Statements,
        now: float,
    ) -> decision.Decision:
        return decision.decide(
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
    """The mechanisms with a third party that are asked for, each with the
    age that its evidence may have by the requirements.
    """
    for name in sorted({item.mechanism for item in wanted.items}):
        mechanism = mechanisms.loaded.get(name)
        if (
            mechanism is None
            or mechanism.source is not base.Source.THIRD_PARTY
        ):
            continue
        try:
            ages = [mechanism.max_age(item) for item in wanted.of(name)]
            yield (
                name,
                min((a for a in ages if a is not None), default=math.inf),
            )
        except base.FAILURES:
            # Anybody's mechanism. No age is fresh then: it is asked about
            # each host, and says each time what is wrong.
            LOG.exception('Mechanism %s failed to tell an age', name)
            yield name, -math.inf


def _second(moment: float | None, now: float) -> object:
    """How long ago, in whole seconds."""
    if moment is None or not math.isfinite(now - moment):
        return moment
    return math.floor(now - moment)
