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

"""The certifications of the host, and the state that each presupposes."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import types
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.certification import extra_specs
from nova_isolation.mechanisms.certification import reason_codes
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.probes import selinux

if typing.TYPE_CHECKING:
    from oslo_config import cfg


def _enforcing(host: sources.Host) -> bool:
    return selinux.mode(host.read) == 'enforcing'


def _mls(host: sources.Host) -> bool:
    return _enforcing(host) and selinux.policy(host.read) == 'mls'


def _fips(host: sources.Host) -> bool:
    try:
        return host.read('/proc/sys/crypto/fips_enabled').strip() == '1'
    except FileNotFoundError:
        return False


#: Name of a precondition -> the function that measures it.
PRECONDITIONS: types.MappingProxyType[str, Callable[[sources.Host], bool]] = (
    types.MappingProxyType(
        {
            'selinux_enforcing': _enforcing,
            'selinux_mls': _mls,
            'fips_mode': _fips,
        }
    )
)

#: Certification -> the names of its preconditions. For LSPP and RBACPP the
#: source is the evaluated configurations of the Red Hat Enterprise Linux KVM
#: certifications that the OpenStack Security Guide names: they run SELinux
#: enforcing, LSPP with the MLS policy. A certification that is not listed here
#: has no measured precondition, so only the admin's declaration counts.
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
    """The declared certifications of a host.

    :ivar holding: name of a declared certification -> preconditions that
        were measured to be met. A precondition that is not met is left out.
        So a precondition that is lost, or that a host of an older release
        does not know, counts as not met.
    """

    holding: Mapping[str, tuple[str, ...]]

    def lacking(self, name: str) -> tuple[str, ...]:
        """Return the unmet preconditions of a declared certification."""
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
    # No process is read.
    needs = frozenset()

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """See the base class."""
        from nova_isolation.mechanisms.certification import options

        return options.OPTIONS

    def measure(self, host: sources.Host) -> CertificationFacts:
        """Measure the preconditions of each declared certification."""
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
        """Return an object with the certifications as keys.

        The declared names differ from host to host, so they cannot be the
        fields of a dataclass.
        """
        return {name: list(words) for name, words in facts.holding.items()}

    def read(self, section: object) -> CertificationFacts:
        """Return the facts from the JSON values of :meth:`write`."""
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
        """Return a trait for each certification with all preconditions met."""
        return frozenset(
            traits.name('CERTIFICATION', name)
            for name in facts.holding
            if not facts.lacking(name)
        )

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return one trait for each certification."""
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
                    f'only {", ".join(sorted(facts.holding))}'
                    if facts.holding
                    else 'no declared certification',
                    name,
                )
            elif lacking := facts.lacking(name):
                yield requirement.unmet(
                    reason_codes.PRECONDITION,
                    f'{name} without {", ".join(lacking)}',
                    f'{name} with {", ".join(CERTIFICATIONS[name])}',
                )

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: CertificationFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Decide again on the facts, measured after the start of the guest.

        A certification is about the host, so nothing is read from the guest.
        """
        for requirement in wanted.of(self.name):
            unmet = tuple(self.judge(requirement, facts))
            yield from unmet
            if not unmet:
                yield base.Proof(
                    requirement.key,
                    f'{requirement.value}: all preconditions are met',
                )
