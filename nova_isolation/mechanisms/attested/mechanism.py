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

"""Hosts whose measured launch a verifier has confirmed a short time ago.

The facts that a host reports can be trusted only as far as the host itself.
This mechanism uses no facts of the host. Its evidence is a verifier's verdict
on quotes of the host's TPM (:mod:`nova_isolation.attestation`). This module
has all the rules that decide whether a verdict counts, also the rule of its
age.
"""

from collections.abc import Iterator
import dataclasses

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.attested import extra_specs
from nova_isolation.mechanisms.attested import reason_codes
from nova_isolation.model import evidence as evidences
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits

_REASONS = {
    attestation_result.FAILED: reason_codes.FAILED,
    attestation_result.PENDING: reason_codes.PENDING,
    attestation_result.REVOKED: reason_codes.REVOKED,
    attestation_result.AMBIGUOUS: reason_codes.AMBIGUOUS,
}

#: The states in which the verifier's policy for the host is not known.
_NO_POLICY = frozenset(
    {attestation_result.AMBIGUOUS, attestation_result.PENDING}
)

#: How many digits of a PCR's value a message shows; the fault of a server has
#: no room for more.
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class AttestedFacts:
    """The facts from a verifier's verdict.

    :ivar result: the verifier's result for the host; None: no verifier has a
        result for the host
    :ivar approved: PCR -> the values that the verifier's policy approves
    :ivar evidence: the evidence, which has the ages
    """

    result: attestation_result.AttestationResult | None
    approved: dict[int, tuple[str, ...]]
    evidence: evidences.Evidence


class AttestedMechanism(base.EvidenceMechanism[AttestedFacts]):
    """``isolation:attested`` and its companions."""

    name = attestation_result.MECHANISM
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL

    def read(self, evidence: evidences.Evidence) -> AttestedFacts:
        """See the base class."""
        if not isinstance(evidence, evidences.Evidence):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, f'evidence {evidence!r}'
            )
        if not evidence.document:
            return AttestedFacts(None, {}, evidence)
        result = attestation_result.loads(evidence.document)
        return AttestedFacts(result, result.approved(), evidence)

    def traits(self, facts: AttestedFacts) -> frozenset[str]:
        """Return one trait, for a host whose last good quote is fresh."""
        if next(self._untrusted(_PLAIN, facts), None) is not None:
            return frozenset()
        return _TRAITS

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return one trait, for ``isolation:attested``.

        All other extra specs of this mechanism require that extra spec.
        Placement does not know the age of a quote; traits only narrow the
        hosts.
        """
        return _TRAITS if requirement.key == _PLAIN.key else frozenset()

    def max_age(self, requirement: requirements.Requirement) -> float | None:
        """See the base class."""
        if requirement.key != 'isolation:attested_max_age':
            return None
        return float(requirement.value)

    def judge(
        self, requirement: requirements.Requirement, facts: AttestedFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if requirement.key in (_PLAIN.key, 'isolation:attested_max_age'):
            yield from self._untrusted(requirement, facts)
            return
        result = facts.result
        if result is None or result.state in _NO_POLICY:
            # The flavor has isolation:attested as well; the reason of both is
            # the same.
            yield from self._untrusted(requirement, facts)
        elif requirement.key == 'isolation:attested_pcrs':
            yield from self._unmet_pcrs(requirement, facts)
        elif requirement.key == 'isolation:attested_boot':
            if not result.boot:
                yield requirement.unmet(
                    reason_codes.NO_BOOT,
                    'a policy without measured boot',
                )
        elif requirement.key == 'isolation:attested_runtime':
            if not result.runtime:
                yield requirement.unmet(
                    reason_codes.NO_RUNTIME,
                    'a policy without run-time integrity',
                )
        else:
            raise ValueError(
                f'mechanism {self.name} does not own {requirement.key}'
            )

    def _untrusted(
        self, requirement: requirements.Requirement, facts: AttestedFacts
    ) -> Iterator[reasons.Unmet]:
        """Return why the verdict is not good, or is no longer fresh."""
        result, said = facts.result, facts.evidence
        trouble = f' ({said.trouble})' if said.trouble else ''
        if result is None:
            yield requirement.unmet(
                reason_codes.UNKNOWN, f'no agent for this host{trouble}'
            )
            return
        if result.state != attestation_result.GOOD:
            ago = (
                ''
                if said.report_age is None
                else f' {said.report_age:.0f} s ago'
            )
            yield requirement.unmet(
                _REASONS[result.state],
                f'verdict: {result.found or result.state}{ago}',
                _wanted(requirement, facts),
            )
            return
        limit = self.max_age(requirement)
        limit = said.max_age if limit is None else min(limit, said.max_age)
        if said.is_fresh(limit):
            return
        if said.age is None:
            yield requirement.unmet(
                reason_codes.PENDING, 'no good quote so far'
            )
        elif said.age < 0:
            yield requirement.unmet(
                reason_codes.FUTURE,
                f'a good quote {-said.age:.0f} s in the future',
            )
        else:
            yield requirement.unmet(
                reason_codes.STALE,
                f'the last good quote {said.age:.1f} s ago{trouble}',
                f'a good quote of the last {limit:.0f} s',
            )

    def _unmet_pcrs(
        self, requirement: requirements.Requirement, facts: AttestedFacts
    ) -> Iterator[reasons.Unmet]:
        """Return the PCRs that the verifier's policy does not cover.

        A policy that approves the value before any launch does not count, and
        neither does one for a PCR whose value any program can make.
        """
        for number in sorted(map(int, requirement.values)):
            values = facts.approved.get(number)
            if number in attestation_result.RESETTABLE:
                yield requirement.unmet(
                    reason_codes.RESETTABLE,
                    f'PCR {number}, which any program of the host can reset',
                    'a PCR of a measured launch',
                )
                continue
            if values is None:
                covered = ', '.join(map(str, sorted(facts.approved)))
                yield requirement.unmet(
                    reason_codes.NOT_JUDGED,
                    f'a policy for PCR {covered}'
                    if covered
                    else 'a policy for no PCR',
                    f'a policy for PCR {number}',
                )
                continue
            for value in values:
                if attestation_result.is_launched(number, value):
                    continue
                yield requirement.unmet(
                    reason_codes.NEVER_LAUNCHED,
                    f'a policy that approves {value[:_DIGITS]}..., the '
                    'value before any launch',
                    f'PCR {number} of a measured launch',
                )
                break

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: AttestedFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Decide again on the verdict, as it is after the start of the guest.

        The verdict is about the host, so nothing is read from the guest.
        """
        age = facts.evidence.age
        for requirement in wanted.of(self.name):
            lacking = tuple(self.judge(requirement, facts))
            yield from lacking
            if not lacking:
                yield base.Proof(
                    requirement.key,
                    f'agent {facts.evidence.agent} at '
                    f'{facts.evidence.verifier}: good quote '
                    f'{age or 0:.1f} s ago{_values(facts)}',
                )


_PLAIN = requirements.Requirement('isolation:attested', 'attested', ('true',))
_TRAITS = frozenset({traits.name('ATTESTED')})


def _wanted(
    requirement: requirements.Requirement, facts: AttestedFacts
) -> str:
    return requirement.value + _values(facts)


def _values(facts: AttestedFacts) -> str:
    """Return the PCRs of the verifier's policy and their approved values."""
    return ''.join(
        f', PCR {number} = '
        + ' or '.join(f'{value[:_DIGITS]}...' for value in values)
        for number, values in sorted(facts.approved.items())
    )
