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

"""Nova's Guest on Xen."""

import libvirt
from nova.virt.libvirt import config

from nova_isolation.virt.xen import guest
from tests.unit import base


class Domain:
    """A domain of libvirt that notes what is asked of it."""

    def __init__(self):
        self.asked = []

    def undefineFlags(self, flags):
        self.asked.append(flags)

    def attachDeviceFlags(self, xml, flags):
        self.asked.append((xml, flags))


class GuestTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.domain = Domain()
        self.guest = guest.XenGuest(self.domain)

    def test_undefined_with_its_saved_memory_and_no_other_flag(self):
        self.guest.delete_configuration(keep_vtpm=True, keep_nvram=True)
        self.assertEqual(
            [libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE], self.domain.asked
        )

    def test_attached_volume_says_what_serves_it(self):
        disk = config.LibvirtConfigGuestDisk()
        disk.source_type, disk.source_path = 'file', '/volume'
        disk.driver_format = 'qcow2'
        disk.target_dev, disk.target_bus = 'xvdb', 'xen'
        self.guest.attach_device(disk, persistent=True, live=True)
        ((xml, flags),) = self.domain.asked
        self.assertIn('<driver name="qemu" type="qcow2"/>', xml)
        self.assertEqual(3, flags)

    def test_attached_port_is_as_nova_made_it(self):
        port = config.LibvirtConfigGuestInterface()
        port.net_type, port.mac_addr = 'bridge', '00:16:3e:00:00:01'
        port.source_dev = 'br0'
        self.guest.attach_device(port)
        ((xml, _),) = self.domain.asked
        self.assertEqual(port.to_xml(), xml)
