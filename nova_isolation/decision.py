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

"""The decision: may a guest with these requirements run on this host?

There is one place that decides, :func:`decide`. The scheduler, the compute
driver and the command line call it; none judges by itself. It does no I/O,
knows no Nova and has no clock of its own.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import logging
import math
import types
import typing

from nova_isolation import evidence as evidences
from nova_isolation import facts
from nova_isolation import reasons
from nova_isolation import requirements
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry

LOG = logging.getLogger(__name__)

#: Name of a mechanism -> what a third party says of a host.
Evidence = Mapping[str, evidences.Evidence]

#: The same, not yet at a time.
Statements = Mapping[str, evidences.Statement]

NO_EVIDENCE: Evidence = types.MappingProxyType({})
NO_STATEMENTS: Statements = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How old facts may be.

    :ivar max_age: seconds after which facts no longer count
    :ivar clock_skew: seconds by which they may seem to come from the future
    """

    max_age: float = 180.0
    clock_skew: float = 30.0

    def accepts(self, age: float | None) -> bool:
        """Whether facts of an age, in seconds, count."""
        return age is not None and -self.clock_skew <= age <= self.max_age


@dataclasses.dataclass(frozen=True)
class Decision:
    """The answer.

    :ivar unmet: every requirement that is not met; empty: accepted
    """

    unmet: tuple[reasons.Unmet, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the guest may run on the host."""
        return not self.unmet

    @property
    def codes(self) -> tuple[str, ...]:
        """The reason codes, sorted, each once."""
        return tuple(sorted({u.code for u in self.unmet}))

    def __str__(self) -> str:
        return '; '.join(map(str, self.unmet)) or 'accepted'


ACCEPTED = Decision()


def decide(
    wanted: requirements.Requirements,
    document: object,
    *,
    age: float | None,
    freshness: Freshness,
    mechanisms: registry.Mechanisms,
    evidence: Evidence = NO_EVIDENCE,
) -> Decision:
    """Decide whether a guest may run on a host.

    :param wanted: what the flavor asks for
    :param document: the host's facts as they came, a JSON text; None for
        none
    :param age: seconds since they were measured; None: nobody knows
    :param freshness: how old they may be
    :param mechanisms: the mechanisms of this process
    :param evidence: name of a mechanism -> what a third party says of
        this host, now, for mechanisms that do not take the host's word
    :returns: accepted, or all that is unmet. An untagged flavor is accepted
        whatever the host says or does not say.
    """
    if not wanted:
        return ACCEPTED
    return Decision(
        tuple(
            dict.fromkeys(
                _unmet(wanted, document, age, freshness, mechanisms, evidence)
            )
        )
    )


def _unmet(
    wanted: requirements.Requirements,
    document: object,
    age: float | None,
    freshness: Freshness,
    mechanisms: registry.Mechanisms,
    evidence: Evidence,
) -> Iterator[reasons.Unmet]:
    yield from wanted.problems
    try:
        measured = facts.loads(document)
    except facts.FactsError as error:
        yield reasons.Unmet(
            error.reason.code,
            '',
            f'facts of schema {facts.VERSION}',
            error.found,
        )
        return
    yield from _stale(age, freshness)
    for requirement in wanted.items:
        yield from _judge(requirement, measured, mechanisms, evidence)


def _stale(age: float | None, freshness: Freshness) -> Iterator[reasons.Unmet]:
    if freshness.accepts(age):
        return
    if age is None:
        reason, found = reasons.FACTS_STALE, 'facts without a time'
    elif age < 0:
        reason = reasons.FACTS_FUTURE
        found = f'facts measured {-age:.0f} s in the future'
    else:
        reason, found = reasons.FACTS_STALE, f'facts {age:.0f} s old'
    yield reasons.Unmet(
        reason.code, '', f'facts at most {freshness.max_age:.0f} s old', found
    )


def _judge(
    requirement: requirements.Requirement,
    measured: facts.Facts,
    mechanisms: registry.Mechanisms,
    evidence: Evidence,
) -> Iterator[reasons.Unmet]:
    """What is unmet of one requirement."""
    yield from answers(
        (requirement,),
        mechanisms,
        lambda mechanism: _ask(mechanism, requirement, measured, evidence),
    )


def answers(
    owned: tuple[requirements.Requirement, ...],
    mechanisms: registry.Mechanisms,
    ask: Callable[[registry.AnyMechanism], Iterable[reasons.Unmet]],
) -> Iterator[reasons.Unmet]:
    """What a mechanism answers to a question about its requirements.

    :param owned: requirements of one mechanism; where it gives no answer,
        all of them are unmet
    :param mechanisms: the mechanisms of this process
    :param ask: asks it; may raise anything
    """
    name = owned[0].mechanism
    mechanism = mechanisms.loaded.get(name)
    if mechanism is None:
        for requirement in owned:
            yield requirement.unmet(
                reasons.MECHANISM_UNAVAILABLE,
                f'the mechanism {name} is not loaded',
            )
        return
    try:
        found = tuple(ask(mechanism))
        for item in found:
            if not isinstance(item, reasons.Unmet):
                raise TypeError(f'it gave {item!r}, which is no Unmet')
    except base.FAILURES as error:
        # A mechanism may come from anybody. Whatever it raises, the answer
        # is no, and the service that asked lives on.
        LOG.exception('Mechanism %s failed to judge', name)
        for requirement in owned:
            yield requirement.unmet(
                reasons.MECHANISM_FAILED, f'{type(error).__name__}: {error}'
            )
        return
    yield from found


def _ask(
    mechanism: registry.AnyMechanism,
    requirement: requirements.Requirement,
    measured: facts.Facts,
    evidence: Evidence,
) -> tuple[reasons.Unmet, ...]:
    """What a mechanism finds unmet in the facts."""
    by = facts.violated_by(measured.sections.get(requirement.mechanism))
    if by is not None:
        return (
            requirement.unmet(
                reasons.HOST_VIOLATED, by or 'a running guest without it'
            ),
        )
    if mechanism.source is base.Source.THIRD_PARTY:
        section: object = evidence.get(requirement.mechanism)
        nothing = reasons.EVIDENCE_MISSING
    else:
        section = measured.sections.get(requirement.mechanism)
        nothing = mechanism.unknown()
    if section is None:
        return (requirement.unmet(nothing, 'unknown'),)
    try:
        return tuple(mechanism.judge(requirement, mechanism.read(section)))
    except facts.FactsError as error:
        return (requirement.unmet(error.reason, error.found),)


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
        freshness: Freshness,
        mechanisms: registry.Mechanisms,
    ) -> None:
        """See :func:`decide` for the parameters."""
        self.wanted = wanted
        self.freshness = freshness
        self.mechanisms = mechanisms
        self.kept: dict[object, Decision] = {}
        #: of mechanisms with a third party: the age that evidence may have
        self._limits = tuple(_limits(wanted, mechanisms))

    def decide(
        self,
        document: object,
        age: float | None,
        statements: Statements = NO_STATEMENTS,
        now: float = 0.0,
    ) -> Decision:
        """Decide about one host, as :func:`decide` does.

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
    ) -> Decision | None:
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
        known: Decision,
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
    ) -> Decision:
        return decide(
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
