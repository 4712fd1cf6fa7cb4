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

"""A started guest of Xen, as the mechanisms verify it."""

import hashlib
import typing

from nova_isolation.host import libvirt_guest
from nova_isolation.host import privileged
from nova_isolation.host import qemu_process
from nova_isolation.host import xen_host
from nova_isolation.mechanisms import sources
from nova_isolation.probes import libvirt_xml


class XenGuest(libvirt_guest.LibvirtGuest):
    """Answers from libvirt, Xen and dom0's kernel; see the base class."""

    def __init__(
        self, domain: typing.Any, xen: xen_host.XenHost, proc: str
    ) -> None:
        """:param domain: libvirt's domain, through Nova's connection proxy
        :param xen: the hypervisor
        :param proc: where the processes are seen, ``[isolation]
            process_root``
        """
        super().__init__(domain)
        self._xen = xen
        self._proc = proc

    def security_label(self) -> tuple[str, bool]:
        """See the base class.

        libvirt has no security driver for Xen. The labels of FLASK are the
        hypervisor's, and the XML may show another one than the guest has.

        :raises ValueError: always
        """
        raise ValueError('libvirt has no security label for a guest of Xen')

    def process(self) -> sources.Process | None:
        """See the base class; the process is the guest's device model."""
        pid = self._xen.model(self.uuid)
        if pid is not None:
            return qemu_process.QemuProcess(pid, self._proc)
        type_ = libvirt_xml.parse(self.domain_xml()).find('os/type')
        if (
            type_ is not None
            and type_.text == 'hvm'
            and not (type_.get('machine') or '').startswith('xenpvh')
        ):
            raise OSError('the device model of an HVM guest cannot be found')
        return None

    def boot(self) -> str:
        """Name this run of the guest as no other run is ever named.

        Xen numbers the domains of one boot in turn.

        :returns: 32 hexadecimal digits, which say nothing about the host
        """
        kernel = privileged.read(
            f'{self._proc}/sys/kernel/random/boot_id'
        ).strip()
        name = f'{kernel} {self.uuid} {self.domain_id()}'
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    def other_process_labels(self) -> dict[str, str]:
        """See the base class.

        The processes of Xen's guests have no labels of their own: all device
        models run in one domain of SELinux.

        :raises ValueError: always
        """
        raise ValueError('the guests of Xen have no process labels')
