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

"""A fake libxl below a fake libvirt, and the hypervisor that it drives.

What differs from QEMU is as it was seen on the real machine (Xen 4.17,
libvirt 9.0). Above all libxl starts a guest whose label does not resolve, with
the label of any guest, and says nothing.
"""

import dataclasses
import typing

from lxml import etree
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.mechanisms import sources
from nova_isolation.probes.xen import answers
from tests.functional import fixtures

PLAIN = 'system_u:system_r:domU_t'
ISOLATED = 'system_u:system_r:isolated_domU_t'

#: Among the calls of a machine: the hypervisor was asked about a guest.
ASKED = 'the hypervisor'

_DOM0 = answers.DOM0_UUID

#: What libxl takes of VIR_DOMAIN_UNDEFINE_*.
_UNDEFINE_FLAGS = fakelibvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


@dataclasses.dataclass
class Machine(fixtures.Machine):
    """What is true on one Xen host; see the base class.

    :ivar flask: the state of FLASK
    :ivar known: the labels that the loaded policy resolves
    :ivar seqno: policies loaded since boot
    :ivar devices: what xenstore has of each guest
    """

    virt_type: str = 'xen'
    flask: str = answers.ENFORCING
    known: set[str] = dataclasses.field(
        default_factory=lambda: {PLAIN, ISOLATED}
    )
    seqno: int = 1
    devices: tuple[answers.Device, ...] = ()
    options: dict[str, dict[str, object]] = dataclasses.field(
        default_factory=lambda: {
            'xsm': {'labels': ['domU_t', 'isolated_domU_t', 'lost_t']}
        }
    )


def _unsupported(name: str) -> typing.Callable[..., typing.Any]:
    def fail(*args: object, **kwargs: object) -> None:
        raise fakelibvirt.make_libvirtError(
            fakelibvirt.libvirtError,
            f'this function is not supported by the connection driver: {name}',
            error_code=fakelibvirt.VIR_ERR_NO_SUPPORT,
        )

    return fail


class Domain(fixtures.Domain):
    """A domain of Xen.

    :ivar flask_label: the label that the hypervisor gave it
    :ivar kept: whether it has ended, and libvirt keeps it
    :ivar mistaken: whether it is paused and libvirt takes it for running
    """

    machine: Machine
    flask_label = ''
    kept = False
    mistaken = False

    def begin(self, xml, paused):
        self.mistaken = False
        super().begin(xml, paused)
        # The first one alone counts, whatever its model.
        asked = etree.fromstring(xml).findtext('seclabel/label')
        self.flask_label = asked if asked in self.machine.known else PLAIN

    def check_models(self, xml):
        """libxl's driver ignores the model."""

    def libvirtd_restarts(self) -> None:
        """libvirtd forgets whether the guest is paused."""
        self.mistaken = self._state == fakelibvirt.VIR_DOMAIN_PAUSED
        if self.mistaken:
            self._state = fakelibvirt.VIR_DOMAIN_RUNNING

    def end(self):
        self.kept = self.mistaken = False
        super().end()

    def isActive(self):
        return int(self.kept or super().isActive())

    def soft_reset(self, **changes: object) -> None:
        """What libvirt and libxl do when the guest has started a kernel by
        kexec: the domain stays, and there is neither a hook nor an event.
        """
        vars(self).update(changes)

    def reboot_itself(self) -> None:
        """What libvirt does when the guest reboots."""
        action = etree.fromstring(self.xml).findtext('on_reboot')
        xml = self.xml
        if action == 'preserve':
            self.kept, self._state = True, fakelibvirt.VIR_DOMAIN_SHUTOFF
            return
        self.end()
        if action != 'destroy':
            self._connection._mark_running(self)
            self.begin(xml, False)
            self._connection._emit_lifecycle(
                self, fakelibvirt.VIR_DOMAIN_EVENT_STARTED, 0
            )
        self._connection._emit_lifecycle(
            self, fakelibvirt.VIR_DOMAIN_EVENT_STOPPED, 0
        )

    def undefineFlags(self, flags):
        if flags & ~_UNDEFINE_FLAGS:
            raise fakelibvirt.libvirtError(
                f'unsupported flags ({flags:#x}) in function '
                'libxlDomainUndefineFlags'
            )
        self.saved = None
        self.undefine()

    def undefine(self):
        if self.saved is not None:
            raise fakelibvirt.libvirtError(
                'Refusing to undefine while domain managed save image exists'
            )
        super().undefine()

    def XMLDesc(self, flags):
        text = etree.fromstring(super().XMLDesc(flags))
        given = etree.fromstring(self.xml)
        for old in text.findall('os'):
            text.remove(old)
        text.extend(given.findall('os') + given.findall('on_reboot'))
        # Nova's fake gives every guest a screen, and every card the same name.
        devices = text.find('devices')
        for screen in devices.findall('graphics'):
            devices.remove(screen)
        screens = given.findall('devices/graphics')
        for screen in screens:
            # libvirt finds a port when the guest starts.
            screen.set('port', '5900' if self.isActive() else '-1')
        devices.extend(screens)
        cards = {nic['mac']: nic for nic in self._def['devices']['nics']}
        for card in devices.findall('interface'):
            nic, target = (
                cards[card.find('mac').get('address')],
                card.find('target'),
            )
            target.set('dev', nic.get('target_dev', target.get('dev')))
        return etree.tostring(text, encoding='unicode')

    securityLabel = _unsupported('virDomainGetSecurityLabel')
    vcpus = _unsupported('virDomainGetVcpus')
    blockStats = _unsupported('virDomainBlockStats')
    injectNMI = _unsupported('virDomainInjectNMI')
    setUserPassword = _unsupported('virDomainSetUserPassword')
    blockCopy = _unsupported('virDomainBlockCopy')
    blockResize = _unsupported('virDomainBlockResize')
    snapshotCreateXML = _unsupported('virDomainSnapshotCreateXML')
    migrateToURI3 = _unsupported('virDomainMigrate')


class _Dom0:
    """Domain-0, which libvirt lists beside the guests."""

    def UUIDString(self):
        return _DOM0

    def ID(self):
        return 0

    def name(self):
        return 'Domain-0'

    def info(self):
        return [fakelibvirt.VIR_DOMAIN_RUNNING, 1 << 20, 1 << 20, 1, 0]


class Connection(fixtures.Connection):
    """libvirt with its driver of Xen."""

    machine: Machine
    domain_class = Domain

    def getType(self):
        return 'Xen'

    def getVersion(self):
        return 4017000

    def lookupByID(self, number):
        assert number == 0
        return _Dom0()

    def listAllDomains(self, flags):
        return [_Dom0(), *super().listAllDomains(flags)]

    def getFreeMemory(self):
        return 2 << 30

    getCPUMap = _unsupported('virNodeGetCPUMap')
    getCPUStats = _unsupported('virNodeGetCPUStats')
    compareHypervisorCPU = _unsupported('virConnectCompareHypervisorCPU')
    getCPUModelNames = _unsupported('virConnectGetCPUModelNames')


class Xen(sources.Xen):
    """The hypervisor of one host. It answers whether libvirtd lives or not."""

    def __init__(self, machine: Machine) -> None:
        """:param machine: what is true there"""
        self._machine = machine

    @classmethod
    def below(cls, driver: typing.Any) -> 'Xen':
        """The hypervisor below a driver, for the driver."""
        return cls(driver._host.get_connection().machine)

    def ask(self, question: answers.Question) -> answers.Answer:
        """See the base class."""
        machine = self._machine
        machine.check('xen')
        if question.uuid is not None:
            machine.calls.append(ASKED)
        return answers.Answer(
            answers.Hypervisor(
                '4.17',
                machine.flask,
                machine.seqno,
                'b0' * 20,
                'flask=enforcing',
            ),
            tuple(
                answers.Label(
                    one, one if one in machine.known else None, creatable=True
                )
                for one in question.labels
            ),
            tuple(
                answers.Access(source, target, True, 0, 0, 0)
                for source, target in question.pairs
            ),
            domains=tuple(self._domains()),
            devices=machine.devices if question.uuid is not None else (),
        )

    def _domains(self) -> typing.Iterator[answers.Domain]:
        yield answers.Domain(
            0,
            _DOM0,
            'system_u:system_r:dom0_t',
            paused=False,
            dying=False,
            hvm=False,
        )
        lies = self._machine.lies
        for found in tuple(fixtures.Processes.current._domains.values()):
            if found.machine is not self._machine:
                continue
            yield answers.Domain(
                lies.get(f'number of {found.ID()}', found.ID()),
                lies.get(f'uuid of {found.ID()}', found.UUIDString()),
                lies.get('flask_label', found.flask_label),
                paused=found.mistaken
                or found._state == fakelibvirt.VIR_DOMAIN_PAUSED,
                dying=False,
                hvm=False,
            )

    def processes(self) -> tuple[answers.Process, ...]:
        """See the base class."""
        return ()

    def model(self, uuid: str) -> int | None:
        """As nova_isolation.host.xen_host.XenHost."""
        return None
