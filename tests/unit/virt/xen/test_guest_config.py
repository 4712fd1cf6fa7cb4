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

"""What a definition has for each kind of guest."""

from unittest import mock

import nova.conf
from nova.virt.libvirt import config
from nova.virt.libvirt import driver as libvirt_driver
from oslo_config import fixture

from nova_isolation.virt.xen import guest_config
from nova_isolation.virt.xen import guest_kind
from tests.unit import base
from tests.unit.virt.xen import images

_DISKS = {'disk_bus': 'xen', 'cdrom_bus': 'xen', 'mapping': {}}


class ConfigTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(fixture.Config(nova.conf.CONF))
        # Nova's own choices have no xen.
        self.conf.config(virt_type='parallels', group='libvirt')
        self.driver = guest_config.XenGuestConfig.__new__(
            guest_config.XenGuestConfig
        )

    def made(self, kind, kernel_id=''):
        guest = config.LibvirtConfigGuest()
        guest.virt_type, guest.os_type = 'xen', 'xen'
        instance = images.instance(kernel_id=kernel_id)
        instance.ramdisk_id = ''
        image = images.image(hw_machine_type=kind.machine)
        with mock.patch(
            'nova.virt.libvirt.blockinfo.get_boot_order', return_value=['hd']
        ):
            self.driver._conf_non_lxc(
                guest, '/dev/xvda', None, instance, '/path', image, _DISKS
            )
        with mock.patch.object(
            libvirt_driver.LibvirtDriver,
            '_get_console_log_path',
            return_value='/path/console.log',
        ):
            self.driver._create_consoles(guest, instance, None, image)
        self.assertFalse(self.driver._guest_add_video_device(guest))
        self.driver._guest_add_spice_channel(guest)
        return guest.format_dom()

    def test_pv_with_a_kernel(self):
        xml = self.made(guest_kind.PV, 'k')
        type_ = xml.find('os/type')
        self.assertEqual('xenpv', type_.get('machine'))
        self.assertEqual('/path/kernel', xml.findtext('os/kernel'))
        self.assertIn('root=/dev/xvda', xml.findtext('os/cmdline'))
        self.assertIn('console=hvc0', xml.findtext('os/cmdline'))
        (console,) = xml.find('devices')
        self.assertEqual('xen', console.find('target').get('type'))

    def test_pvh(self):
        xml = self.made(guest_kind.PVH, 'k')
        self.assertEqual('xenpvh', xml.findtext('os/type'))
        self.assertEqual('xenpvh', xml.find('os/type').get('machine'))
        self.assertEqual(['console'], [one.tag for one in xml.find('devices')])

    def test_hvm(self):
        self.conf.config(enabled=True, group='vnc')
        xml = self.made(guest_kind.HVM)
        self.assertEqual('hvm', xml.findtext('os/type'))
        self.assertEqual('xenfv', xml.find('os/type').get('machine'))
        self.assertEqual('hd', xml.find('os/boot').get('dev'))
        self.assertEqual(
            ['serial', 'graphics'], [one.tag for one in xml.find('devices')]
        )
        self.assertEqual(
            '/path/console.log', xml.find('devices/serial/source').get('path')
        )

    def test_only_hvm_has_a_screen(self):
        self.conf.config(enabled=True, group='vnc')
        self.conf.config(enabled=True, agent_enabled=True, group='spice')
        for kind in (guest_kind.PV, guest_kind.PVH):
            self.assertIsNone(self.made(kind, 'k').find('devices/graphics'))
        xml = self.made(guest_kind.HVM)
        self.assertEqual([], xml.findall('devices/channel'))

    def test_default(self):
        self.assertEqual('xen', self.driver._get_guest_os_type())
