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

"""A started domain of Xen, and what is verified of it.

What the guest itself can write is not read: its part of xenstore, and what
libvirt shows of the XML that it was given.
"""

from collections.abc import Iterator
import functools
import typing

from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import sources
from nova_isolation.mechanisms.xsm import dom0_processes
from nova_isolation.mechanisms.xsm import flask_label
from nova_isolation.mechanisms.xsm import reason_codes
from nova_isolation.mechanisms.xsm import xsm_facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes.xen import answers

Found = Iterator[base.Proof | reasons.Unmet]

#: What the kernel of a domain, or the daemon of the consoles, serves without
#: a QEMU.
_WITHOUT_QEMU = frozenset({'vbd', 'vif', 'console', 'pci'})

#: The devices that another domain may serve: disks and ports.
_SERVED = ('vbd', 'vif')


class RunningDomain:
    """The domain of a guest, with the answers of the hypervisor about it."""

    def __init__(
        self,
        guest: sources.Guest,
        host: sources.Host,
        xen: sources.Xen,
        options: typing.Any,
        facts: xsm_facts.XsmFacts,
    ) -> None:
        """:param guest: the guest
        :param host: its host
        :param xen: the hypervisor of the host
        :param options: the options of the mechanism
        :param facts: the facts of the host
        :raises OSError: the hypervisor does not answer
        :raises ValueError: it has no such domain
        """
        self.guest = guest
        self.host = host
        self.options = options
        self.facts = facts
        self._xen = xen
        number = guest.domain_id()
        self.answer = xen.ask(answers.Question(uuid=guest.uuid))
        domain = self.answer.domain(guest.uuid)
        if domain is None:
            raise ValueError(f'Xen has no domain with the UUID {guest.uuid}')
        if domain.id != number:
            raise ValueError(
                f'the domain with the UUID {guest.uuid} has the number '
                f'{domain.id}, and libvirt means number {number}'
            )
        self.domain = domain

    def changed(self) -> tuple[reasons.Reason, str] | None:
        """Return what the hypervisor no longer is that was measured."""
        now = self.answer.hypervisor
        if now.flask != answers.ENFORCING:
            return reason_codes.NOT_ENFORCING, f'XSM {now.flask}'
        known = self.facts.seqno, self.facts.build_id
        if (now.seqno, now.build_id) != known:
            return (
                reason_codes.POLICY_CHANGED,
                f'policy {now.seqno} in place of {self.facts.seqno}',
            )
        return None

    @functools.cached_property
    def processes(self) -> tuple[answers.Process, ...]:
        """The processes of dom0 that belong to Xen's tools."""
        return self._xen.processes()

    @property
    def served(self) -> list[answers.Device]:
        """The devices that another domain may serve."""
        return [one for one in self.answer.devices if one.kind in _SERVED]


def verify_label(
    requirement: requirements.Requirement, domain: RunningDomain
) -> Found:
    """Compare the label that the hypervisor has for the domain."""
    found = domain.domain
    if found.label != flask_label.full(requirement.value):
        yield requirement.unmet(reason_codes.LABEL, found.label)
    else:
        yield base.Proof(
            requirement.key, f'domain {found.id} has {found.label}, enforcing'
        )


def verify_isolated(
    requirement: requirements.Requirement, domain: RunningDomain
) -> Found:
    """Ask what the guest and each domain that runs may do to each other."""
    own = domain.domain.label
    if flask_label.short(own) not in domain.facts.isolated:
        yield requirement.unmet(
            reason_codes.NOT_ISOLATED, f'{own} is not isolated'
        )
        return
    backends = set(map(flask_label.full, domain.options.backends))
    others = {
        one.label
        for one in domain.answer.domains
        if one.id and one.label not in backends
    }
    for other in sorted(others):
        for pair in ((own, other), (other, own)):
            if domain.answer.between(*pair).reaches:
                yield requirement.unmet(
                    reason_codes.NOT_ISOLATED, f'{pair[0]} reaches {pair[1]}'
                )
                return
    yield base.Proof(
        requirement.key,
        f'{own}: no event channel and no grant with '
        f'{", ".join(sorted(others))}',
    )


def verify_device_model(
    requirement: requirements.Requirement, domain: RunningDomain
) -> Found:
    """Look for processes that work for the guest, and for traces of them."""
    number = domain.domain.id
    found = [
        f'{one.name} in {one.label or "no label"}'
        for one in domain.processes
        if one.domain == number
    ]
    if domain.answer.has_model:
        found.append('a device model in xenstore')
    found += [
        f'{one.kind} {one.name} by {one.driver}'
        for one in domain.answer.devices
        if one.driver not in _WITHOUT_QEMU
    ]
    if requirement.value != 'none' or found:
        yield requirement.unmet(
            reason_codes.DEVICE_MODEL, ', '.join(found) or 'no device model'
        )
    elif not domain.answer.devices:
        # xenstore has lost its domains, or libvirt speaks of another one.
        yield requirement.unmet(
            reason_codes.DEVICE_MODEL, 'no devices in xenstore'
        )
    else:
        served = sorted({one.driver for one in domain.answer.devices})
        yield base.Proof(
            requirement.key,
            f'no process for domain {number}; devices by {", ".join(served)}',
        )


def verify_backend(
    requirement: requirements.Requirement, domain: RunningDomain
) -> Found:
    """Read who serves each disk and port, and whether it is let."""
    wanted = requirement.value
    xml = libvirt_xml.parse(domain.guest.domain_xml())
    expected = len(xml.findall('devices/disk')) + len(
        xml.findall('devices/interface')
    )
    devices = domain.served
    if not devices or len(devices) < expected:
        yield requirement.unmet(
            reason_codes.BACKEND,
            f'{len(devices)} disks and ports in xenstore, {expected} in XML',
        )
        return
    labels = {one.id: one.label for one in domain.answer.domains}
    for device in devices:
        found = labels.get(device.backend, 'no domain')
        right = (
            device.backend == 0
            if wanted == xsm_facts.DOM0
            else device.backend != 0 and found == flask_label.full(wanted)
        )
        if not right:
            yield requirement.unmet(
                reason_codes.BACKEND,
                f'{device.kind} {device.name} by domain {device.backend} '
                f'({found})',
            )
            return
    own = domain.domain.label
    for backend in sorted({labels[one.backend] for one in devices}):
        if not _serves(
            domain.answer.between(backend, own),
            domain.answer.between(own, backend),
        ):
            yield requirement.unmet(
                reason_codes.BACKEND, f'XSM does not let {backend} serve {own}'
            )
            return
    if wanted == xsm_facts.DOM0:
        wrong = dom0_processes.wrong(domain.host, domain.options)
        if wrong:
            yield requirement.unmet(reason_codes.UNCONFINED, ', '.join(wrong))
            return
    yield base.Proof(
        requirement.key,
        ', '.join(
            f'{one.kind} {one.name} by domain {one.backend} '
            f'({labels[one.backend]}, state {one.state})'
            for one in devices
        ),
    )


def _serves(backend: answers.Access, guest: answers.Access) -> bool:
    """Return whether the policy lets one domain serve devices of another.

    Where it does not, the toolstack starts the guest all the same, and the
    guest never gets its disk.

    :param backend: what the domain that serves may do to the guest
    :param guest: what the guest may do to that domain
    """
    return backend.signals and guest.signals and backend.maps


def verify_dom0(
    requirement: requirements.Requirement, domain: RunningDomain
) -> Found:
    """Read the labels of dom0's processes anew."""
    wrong = dom0_processes.wrong(domain.host, domain.options)
    if wrong:
        yield requirement.unmet(reason_codes.UNCONFINED, ', '.join(wrong))
        return
    types = sorted(set(dom0_processes.wanted(domain.options).values()))
    yield base.Proof(
        requirement.key, f'SELinux enforcing; {", ".join(types)} confined'
    )
