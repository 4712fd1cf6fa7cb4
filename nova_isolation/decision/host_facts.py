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

Only one function decides, :func:`decide`. The scheduler, the compute driver
and the command line call it and have no rules of their own. The function does
no I/O, imports no Nova and reads no clock.
"""

from collections.abc import Iterator
from collections.abc import Mapping

from nova_isolation.decision import answers
from nova_isolation.decision import decision
from nova_isolation.mechanisms import registry
from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements

#: Name of a mechanism -> what a third party reports about a host.
Evidence = Mapping[str, evidences.Evidence]


def decide(
    wanted: requirements.Requirements,
    document: object,
    *,
    age: float | None,
    freshness: facts.Freshness,
    mechanisms: registry.Mechanisms,
    evidence: Evidence = evidences.NO_EVIDENCE,
) -> decision.Decision:
    """Decide whether a guest may run on a host.

    :param wanted: the requirements of the flavor
    :param document: the host's facts as they were received, a JSON text;
        None where the host has published no facts
    :param age: seconds since the facts were measured; None: unknown
    :param freshness: the limits for the age of the facts
    :param mechanisms: the mechanisms of this process
    :param evidence: name of a mechanism -> what a third party reports about
        this host now, for mechanisms that do not use the facts of the host
    :returns: accepted, or all requirements that are unmet. An untagged
        flavor is accepted whatever the host has published.
    """
    if not wanted:
        return decision.ACCEPTED
    return decision.Decision(
        tuple(
            dict.fromkeys(
                _unmet(wanted, document, age, freshness, mechanisms, evidence)
            )
        )
    )


def at_age(
    fresh: decision.Decision,
    wanted: requirements.Requirements,
    age: float | None,
    freshness: facts.Freshness,
) -> decision.Decision:
    """Return the decision on the same facts at another age.

    Many hosts with the same facts need one decision only, whatever the ages
    of their facts are.

    :param fresh: what :func:`decide` has returned for these facts at an age
        that ``freshness`` accepts
    :param wanted: the requirements of that decision
    :param age: seconds since the facts were measured; None: unknown
    :param freshness: the limits for the age of the facts
    """
    problems = tuple(dict.fromkeys(wanted.problems))
    rest = fresh.unmet[len(problems) :]
    if (
        not wanted
        or freshness.accepts(age)
        or (rest and _is_unreadable(rest[0]))
    ):
        return fresh
    return decision.Decision((*problems, *_stale(age, freshness), *rest))


def _is_unreadable(unmet: reasons.Unmet) -> bool:
    """Whether the facts as a whole could not be read."""
    # A mechanism that cannot read its own section names an extra spec.
    return not unmet.key and unmet.code in facts.UNREADABLE


def _unmet(
    wanted: requirements.Requirements,
    document: object,
    age: float | None,
    freshness: facts.Freshness,
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
        yield from _unmet_of(requirement, measured, mechanisms, evidence)


def _stale(
    age: float | None, freshness: facts.Freshness
) -> Iterator[reasons.Unmet]:
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


def _unmet_of(
    requirement: requirements.Requirement,
    measured: facts.Facts,
    mechanisms: registry.Mechanisms,
    evidence: Evidence,
) -> Iterator[reasons.Unmet]:
    """Return what is unmet of one requirement."""
    yield from answers.answers(
        (requirement,),
        mechanisms,
        lambda mechanism: _unmet_by_facts(
            mechanism, requirement, measured, evidence
        ),
    )


def _unmet_by_facts(
    mechanism: registry.AnyMechanism,
    requirement: requirements.Requirement,
    measured: facts.Facts,
    evidence: Evidence,
) -> tuple[reasons.Unmet, ...]:
    """Return what a mechanism finds unmet in the facts."""
    by = facts.violated_by(measured.sections.get(requirement.mechanism))
    if by is not None:
        return (
            requirement.unmet(
                reasons.HOST_VIOLATED, by or 'a running guest without it'
            ),
        )
    try:
        facts_ = mechanism.facts_of(measured.sections, evidence)
        return tuple(mechanism.judge(requirement, facts_))
    except facts.FactsError as error:
        return (requirement.unmet(error.reason, error.found),)
