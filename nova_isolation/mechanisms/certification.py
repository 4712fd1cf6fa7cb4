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

"""Which certifications the host has, and whether it is in their state."""

from collections.abc import Callable
from collections.abc import Iterator
import types

from nova_isolation.mechanisms import base
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.model import vocabulary
from nova_isolation.probes import selinux


def _enforcing(host: base.Host) -> bool:
    return selinux.mode(host.read) == 'enforcing'


def _mls(host: base.Host) -> bool:
    return _enforcing(host) and selinux.policy(host.read) == 'mls'


def _fips(host: base.Host) -> bool:
    try:
        return host.read('/proc/sys/crypto/fips_enabled').strip() == '1'
    except FileNotFoundError:
        return False


#: What can be measured of the state that a certification presupposes.
PRECONDITIONS: types.MappingProxyType[str, Callable[[base.Host], bool]] = (
    types.MappingProxyType(
        {
            'selinux_enforcing': _enforcing,
            'selinux_mls': _mls,
            'fips_mode': _fips,
        }
    )
)

#: Certification -> what it presupposes. LSPP and RBACPP: the evaluated
#: configurations of the Red Hat Enterprise Linux KVM certifications that the
#: OpenStack Security Guide names run SELinux enforcing, LSPP with the MLS
#: policy. A name that is not here presupposes nothing that is measured:
#: the admin's declaration is all there is to it.
CERTIFICATIONS = types.MappingProxyType(
    {
        'LSPP': ('selinux_enforcing', 'selinux_mls'),
        'RBACPP': ('selinux_enforcing',),
        'CAPP': (),
        'FIPS_140_2': ('fips_mode',),
        'FIPS_140_3': ('fips_mode',),
    }
)

#: name of a declared certification -> preconditions that were measured to
#: hold. What does not hold is left out, so that a fact which is lost, or which
#: a host of an older release does not know, counts as not so.
CertificationFacts = dict[str, tuple[str, ...]]


class CertificationMechanism(base.Mechanism[CertificationFacts]):
    """``isolation:certification``."""

    name = 'certification'
    extra_specs = vocabulary.owned_by('certification')

    def measure(self, host: base.Host) -> object:
        """Each declared name with the preconditions that hold."""
        (spec,) = self.extra_specs
        measured: dict[str, list[str]] = {}
        for name in host.options.certifications:
            spec.parse(name)
            measured[name] = [
                condition
                for condition in CERTIFICATIONS.get(name, ())
                if PRECONDITIONS[condition](host)
            ]
        return measured

    def read(self, section: object) -> CertificationFacts:
        """See the base class."""
        if not isinstance(section, dict) or not all(
            isinstance(holding, list) and all(type(w) is str for w in holding)
            for holding in section.values()
        ):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'not a section of certifications'
            )
        return {name: tuple(holding) for name, holding in section.items()}

    def unknown(self) -> reasons.Reason:
        """See the base class."""
        return reasons.CERTIFICATION_UNKNOWN

    def traits(self, facts: CertificationFacts) -> frozenset[str]:
        """A trait for each certification whose preconditions hold."""
        return frozenset(
            traits.name('CERTIFICATION', name)
            for name in facts
            if not _lacking(name, facts)
        )

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """One trait for each certification."""
        return frozenset(
            traits.name('CERTIFICATION', name) for name in requirement.values
        )

    def judge(
        self,
        requirement: requirements.Requirement,
        facts: CertificationFacts,
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        for name in requirement.values:
            if name not in facts:
                yield requirement.unmet(
                    reasons.CERTIFICATION_UNDECLARED,
                    'declared: ' + (', '.join(sorted(facts)) or 'none'),
                    name,
                )
            elif lacking := _lacking(name, facts):
                yield requirement.unmet(
                    reasons.CERTIFICATION_PRECONDITION,
                    'not so: ' + ', '.join(lacking),
                    f'{name} with {", ".join(CERTIFICATIONS[name])}',
                )

    def verify(
        self,
        guest: base.Guest,
        wanted: requirements.Requirements,
        facts: CertificationFacts,
        host: base.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """A certification is of the host, so the facts are what there is.

        The caller measured them after the guest was started.
        """
        for requirement in wanted.of(self.name):
            unmet = tuple(self.judge(requirement, facts))
            yield from unmet
            if not unmet:
                yield base.Proof(
                    requirement.key,
                    f'{requirement.value}: preconditions hold',
                )


def _lacking(name: str, facts: CertificationFacts) -> tuple[str, ...]:
    """The preconditions of a declared certification that do not hold."""
    return tuple(
        condition
        for condition in CERTIFICATIONS.get(name, ())
        if condition not in facts[name]
    )
