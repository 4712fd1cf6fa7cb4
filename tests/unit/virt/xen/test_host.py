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

"""Nova's Host on Xen, with libxl's answers as they were recorded."""

from unittest import mock

import libvirt
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt.xen import host
from tests.unit import base

_GUEST = '00000000-0000-4000-8000-000000000001'


class Domain:
    """A domain of libvirt."""

    def __init__(self, uuid, number, kib=0):
        self._uuid, self._number, self._kib = uuid, number, kib

    def UUIDString(self):
        return self._uuid

    def ID(self):
        return self._number

    def info(self):
        return [1, self._kib, self._kib, 1, 0]


class Connection:
    """Xen 4.17 with 3 GiB of memory, half of which dom0 has."""

    domains = (
        Domain('00000000-0000-0000-0000-000000000000', 0, 1572864),
        Domain(_GUEST, 7),
    )

    def listAllDomains(self, flags):
        return self.domains

    def lookupByID(self, number):
        return self.domains[number]

    def getInfo(self):
        return ['x86_64', 3071, 4, 2999, 1, 1, 1, 1]

    def getFreeMemory(self):
        return 1341 << 20

    def getCPUMap(self):
        raise libvirt.libvirtError('not supported: virNodeGetCPUMap')

    getCPUStats = getCPUMap


class HostTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.host = host.XenHost.__new__(host.XenHost)
        self.host._libvirt_proxy_classes = ()
        for patch in (
            mock.patch.object(
                libvirt_host.Host, 'get_connection', lambda _: Connection()
            ),
            # Nova 31 imports it when the first Host is made.
            mock.patch.object(libvirt_host, 'libvirt', libvirt),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def test_dom0_is_no_guest(self):
        self.assertEqual(
            [_GUEST],
            [one.UUIDString() for one in self.host.list_instance_domains()],
        )

    def test_memory_is_what_guests_can_have(self):
        self.assertEqual(1535, self.host.get_memory_mb_total())
        self.assertEqual(1535 - 1341, self.host.get_memory_mb_used())

    def test_processors(self):
        self.assertEqual({0, 1, 2, 3}, self.host.get_online_cpus())
        self.assertEqual({0, 1, 2, 3}, self.host.get_available_cpus())
        self.assertEqual(2999, self.host.get_cpu_stats()['frequency'])

    def test_definition(self):
        defined = []
        with mock.patch.object(
            libvirt_host.Host,
            'write_instance_config',
            lambda _, xml: defined.append(xml),
        ):
            self.host.write_instance_config(
                b'<domain><iothreads>1</iothreads></domain>'
            )
        self.assertEqual(['<domain/>'], defined)
