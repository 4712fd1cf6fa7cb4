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
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import types
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms.certification import extra_specs
from nova_isolation.mechanisms.certification import reason_codes
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.probes import selinux

if typing.TYPE_CHECKING:
    from oslo_config import cfg


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


@dataclasses.dataclass(frozen=True)
class CertificationFacts:
    """What the host declares.

    :ivar holding: name of a declared certification -> preconditions that
        were measured to hold. A precondition that does not hold is left out,
        so that one which is lost, or which a host of an older release does
        not know, counts as not holding.
    """

    holding: Mapping[str, tuple[str, ...]]

    def lacking(self, name: str) -> tuple[str, ...]:
        """The preconditions of a declared certification that do not hold."""
        return tuple(
            condition
            for condition in CERTIFICATIONS.get(name, ())
            if condition not in self.holding[name]
        )


class CertificationMechanism(base.HostMechanism[CertificationFacts]):
    """``isolation:certification``."""

    name = 'certification'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = CertificationFacts
    unknown = reason_codes.UNKNOWN

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """See the base class."""
        from nova_isolation.mechanisms.certification import options

        return options.OPTIONS

    def measure(self, host: base.Host) -> CertificationFacts:
        """Each declared name with the preconditions that hold."""
        (spec,) = self.extra_specs
        measured: dict[str, tuple[str, ...]] = {}
        for name in host.options(self.name).declared:
            spec.parse(name)
            measured[name] = tuple(
                condition
                for condition in CERTIFICATIONS.get(name, ())
                if PRECONDITIONS[condition](host)
            )
        return CertificationFacts(measured)

    def write(self, facts: CertificationFacts) -> object:
        """The names are the keys: what a host declares is not known here."""
        return {name: list(words) for name, words in facts.holding.items()}

    def read(self, section: object) -> CertificationFacts:
        """See :meth:`write`."""
        if not isinstance(section, dict) or not all(
            isinstance(holding, list) and all(type(w) is str for w in holding)
            for holding in section.values()
        ):
            raise facts.FactsError(
                reasons.FACTS_MALFORMED, 'not a section of certifications'
            )
        return CertificationFacts(
            {name: tuple(holding) for name, holding in section.items()}
        )

    def traits(self, facts: CertificationFacts) -> frozenset[str]:
        """A trait for each certification whose preconditions hold."""
        return frozenset(
            traits.name('CERTIFICATION', name)
            for name in facts.holding
            if not facts.lacking(name)
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
            if name not in facts.holding:
                yield requirement.unmet(
                    reason_codes.UNDECLARED,
                    'declared: '
                    + (', '.join(sorted(facts.holding)) or 'none'),
                    name,
                )
            elif lacking := facts.lacking(name):
                yield requirement.unmet(
                    reason_codes.PRECONDITION,
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
