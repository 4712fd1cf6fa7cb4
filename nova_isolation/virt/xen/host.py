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

"""Nova's Host, where libxl does not answer, or answers for dom0."""

import typing

from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt import signatures
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.xen import domain

_DOM0 = '00000000-0000-0000-0000-000000000000'

_MIB = 1 << 20


class XenHost(libvirt_host.Host):
    """A Host whose libvirt drives Xen."""

    @signatures.override
    def list_instance_domains(self, only_running: bool = True) -> typing.Any:
        """See Nova's Host. Without this, Domain-0 is an instance: the
        resource tracker asks the database for it.
        """
        return [
            found
            for found in super().list_instance_domains(only_running)
            if found.UUIDString() != _DOM0
        ]

    @signatures.override
    def get_online_cpus(self) -> set[int]:
        """See Nova's Host. Without this: ``this function is not supported by
        the connection driver: virNodeGetCPUMap``, and the host never
        registers.
        """
        return set(range(self.get_connection().getInfo()[2]))

    @signatures.override
    def get_available_cpus(self) -> set[int]:
        """See :meth:`get_online_cpus`."""
        return self.get_online_cpus()

    @signatures.override
    def get_memory_mb_total(self) -> int:
        """See Nova's Host: what guests can have.

        Xen counts dom0's memory too (3071 MiB where dom0 has 1536 of them),
        and placement would offer it.
        """
        connection = self.get_connection()
        dom0 = connection.lookupByID(0).info()[2] // 1024
        return int(connection.getInfo()[1]) - int(dom0)

    @signatures.override
    def get_memory_mb_used(self) -> int:
        """See Nova's Host, which reads /proc/meminfo, that is dom0's own:
        1922 MiB were in use by it and 1570 by Xen.
        """
        free = self.get_connection().getFreeMemory() // _MIB
        return max(0, self.get_memory_mb_total() - int(free))

    @signatures.override
    def get_cpu_stats(self) -> dict[str, int]:
        """See Nova's Host; for ``[compute] monitors``. Without this: ``this
        function is not supported by the connection driver:
        virNodeGetCPUStats``.
        """
        return {
            'kernel': 0,
            'idle': 0,
            'user': 0,
            'iowait': 0,
            'frequency': int(self.get_connection().getInfo()[3]),
        }

    @signatures.override
    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See Nova's Host. libxl gets what Nova writes for QEMU in its own
        terms: see :func:`nova_isolation.virt.xen.domain.fit`.
        """
        text = xml.decode() if isinstance(xml, bytes) else xml
        return super().write_instance_config(
            domain.fit(domain_xml.DomainXml(text))
        )
