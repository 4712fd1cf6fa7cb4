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

"""The hypervisor that runs the guests of the host."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.hypervisor import extra_specs
from nova_isolation.mechanisms.hypervisor import reason_codes
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes.xen import answers

#: libvirt's type of the domains of Xen.
XEN = 'xen'


@dataclasses.dataclass(frozen=True)
class HypervisorFacts:
    """The hypervisor of a host.

    :ivar type: libvirt's type of the domains: kvm, qemu, xen
    """

    type: str


class HypervisorMechanism(base.HostMechanism[HypervisorFacts]):
    """``isolation:hypervisor``."""

    name = 'hypervisor'
    extra_specs = extra_specs.ROWS
    own_reasons = reason_codes.ALL
    facts_class = HypervisorFacts
    unknown = reason_codes.UNKNOWN
    # No process is read.
    needs = frozenset()

    def measure(self, host: sources.Host) -> HypervisorFacts:
        """Return the type that libvirt reports.

        libvirt reports kvm only where /dev/kvm can be used.
        """
        return HypervisorFacts(
            libvirt_xml.domain_type(host.domain_capabilities())
        )

    def traits(self, facts: HypervisorFacts) -> frozenset[str]:
        """Return one trait, for the type."""
        return frozenset({traits.name('HYPERVISOR', facts.type)})

    def required_traits(
        self, requirement: requirements.Requirement
    ) -> frozenset[str]:
        """Return one trait; empty where the flavor allows several types.

        A host must have all required traits, so traits cannot express a
        choice.
        """
        if len(requirement.values) > 1:
            return frozenset()
        return frozenset({traits.name('HYPERVISOR', requirement.value)})

    def judge(
        self, requirement: requirements.Requirement, facts: HypervisorFacts
    ) -> Iterator[reasons.Unmet]:
        """See the base class."""
        if facts.type not in requirement.values:
            yield requirement.unmet(reason_codes.OTHER, facts.type)

    def judge_image(
        self,
        requirement: requirements.Requirement,
        properties: Mapping[str, object],
    ) -> Iterator[reasons.Unmet]:
        """Decide about the emulation of another architecture."""
        architecture = properties.get(base.EMULATED_ARCHITECTURE)
        if architecture and 'qemu' not in requirement.values:
            yield requirement.unmet(
                reason_codes.OTHER_ARCHITECTURE,
                f'an image with {base.EMULATED_ARCHITECTURE}={architecture}',
            )

    def verify(
        self,
        guest: sources.Guest,
        wanted: requirements.Requirements,
        facts: HypervisorFacts,
        host: sources.Host,
    ) -> Iterator[base.Proof | reasons.Unmet]:
        """Verify the type of the running domain, which cannot change.

        Where it is Xen's, Xen itself must have the domain.
        """
        found = libvirt_xml.parse(guest.domain_xml()).get('type') or 'none'
        proof = f'domain type {found}'
        if found == XEN:
            proof = _domain_of_xen(guest, host)
        for requirement in wanted.of(self.name):
            if found not in requirement.values:
                yield requirement.unmet(reason_codes.OTHER, found)
            elif not proof:
                yield requirement.unmet(
                    reason_codes.OTHER, 'a domain that Xen does not have'
                )
            else:
                yield base.Proof(requirement.key, proof)


def _domain_of_xen(guest: sources.Guest, host: sources.Host) -> str:
    """Return what Xen says of a guest; '' where it has no such domain.

    :raises OSError, ValueError: Xen does not answer
    """
    xen = host.xen()
    if xen is None:
        return ''
    answer = xen.ask(answers.Question(uuid=guest.uuid))
    domain = answer.domain(guest.uuid)
    if domain is None or domain.id != guest.domain_id():
        return ''
    return f'domain {domain.id} of Xen {answer.hypervisor.version}'
