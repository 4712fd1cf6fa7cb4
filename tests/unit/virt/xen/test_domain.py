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

"""The definition of a domain, as libxl wants it."""

from lxml import etree
from nova import exception
from nova.virt.libvirt import config

from nova_isolation.model import self_reboot
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.xen import disk
from nova_isolation.virt.xen import domain
from tests.unit import base

#: What Nova 34 writes, shortened.
NOVAS = """\
<domain type="xen"><uuid>00000000-0000-4000-8000-000000000001</uuid>
<os><type>xen</type></os><iothreads>1</iothreads><devices>
<disk type="file" device="disk"><driver type="raw" cache="none" io="native"/>
<source file="/disk"/><target bus="xen" dev="xvda"/></disk>
<disk type="file" device="disk"><driver type="qcow2"/>
<source file="/disk.eph0"/><target bus="xen" dev="xvdb"/></disk>
<disk type="block" device="disk"><driver type="raw" cache="none"/>
<source dev="/dev/sdx"/><target bus="xen" dev="xvdc"/></disk>
<disk type="network" device="disk"><driver type="raw"/>
<source protocol="rbd" name="a/b"/><target bus="xen" dev="xvdd"/></disk>
<disk type="file" device="cdrom"><driver type="raw"/>
<source file="/iso"/><target bus="ide" dev="hdc"/></disk>
<disk type="file" device="disk">
<source file="/bare"/><target bus="xen" dev="xvde"/></disk>
<controller type="usb" index="0" model="none"/>
<controller type="scsi" index="0"/>
</devices></domain>
"""


def fit(text):
    return domain.fit(domain_xml.DomainXml(text))


class FitTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.text = fit(NOVAS)
        self.found = etree.fromstring(self.text)

    def test_disks_say_what_serves_them(self):
        self.assertEqual(
            ['phy', 'qemu', 'phy', 'qemu', 'qemu', 'phy'],
            [one.get('name') for one in self.found.iter('driver')],
        )
        for driver in self.found.iter('driver'):
            self.assertEqual({'name', 'type'}, set(driver.attrib))

    def test_what_libxl_does_not_know_is_gone(self):
        self.assertIsNone(self.found.find('iothreads'))
        self.assertEqual(
            ['scsi'],
            [one.get('type') for one in self.found.iter('controller')],
        )

    def test_a_second_time_changes_nothing(self):
        self.assertEqual(self.text, fit(self.text))

    def test_format_that_libxl_does_not_have(self):
        error = self.assertRaises(
            exception.ComputeResourcesUnavailable,
            fit,
            NOVAS.replace('qcow2', 'vmdk'),
        )
        self.assertIn('vmdk', str(error))

    def test_what_libxl_would_drop_of_a_disk(self):
        for more, word in (
            ('<encryption format="luks"/>', 'LUKS'),
            ('<iotune><total_iops_sec>9</total_iops_sec></iotune>', 'QoS'),
        ):
            error = self.assertRaises(
                exception.ComputeResourcesUnavailable,
                fit,
                NOVAS.replace('<source dev="/dev/sdx"/>', more),
            )
            self.assertIn(word, str(error))
        inside = '<source file="/iso"><encryption format="luks"/></source>'
        self.assertRaises(
            exception.ComputeResourcesUnavailable,
            fit,
            NOVAS.replace('<source file="/iso"/>', inside),
        )

    def test_pv_and_pvh_boot_their_disk_by_pygrub(self):
        plain = (
            '<domain><os><type machine="{}">x</type>{}<boot dev="hd"/></os>'
            '</domain>'
        )
        for machine in ('xenpv', 'xenpvh'):
            text = fit(plain.format(machine, ''))
            self.assertIn('<bootloader>pygrub</bootloader>', text)
            self.assertNotIn('<boot ', text)
            self.assertEqual(text, fit(text))
            direct = plain.format(machine, '<kernel>/k</kernel>')
            self.assertEqual(direct, fit(direct))
        self.assertEqual(
            plain.format('xenfv', ''), fit(plain.format('xenfv', ''))
        )

    def test_only_pv_has_its_time_from_xen(self):
        plain = (
            '<domain><os><type machine="{}">x</type><kernel>/k</kernel></os>'
            '<clock offset="utc">{}</clock></domain>'
        )
        timer = '<timer name="tsc" mode="native"/>'
        for machine, more in (
            ('xenpv', ''),
            ('xenpvh', timer),
            ('xenfv', timer),
        ):
            text = fit(plain.format(machine, ''))
            self.assertEqual(more.count('timer'), text.count('<timer'))
            self.assertIn(more, text)
            self.assertEqual(text, fit(text))

    def test_no_devices(self):
        self.assertEqual('<domain/>', fit('<domain/>'))


class KeepAtRebootTest(base.TestCase):
    def test_whatever_it_said(self):
        for more in (
            '',
            '<on_reboot>restart</on_reboot>',
            '<on_reboot/>',
            '<on_reboot>rename-restart</on_reboot>',
            '<on_crash>coredump-restart</on_crash>',
            '<on_reboot>preserve</on_reboot><on_crash>restart</on_crash>',
            '<on_poweroff>rename-restart</on_poweroff>'
            '<on_reboot>preserve</on_reboot>',
        ):
            element = etree.fromstring(f'<domain type="xen">{more}</domain>')
            self.assertTrue(self_reboot.restarts(element))
            domain.keep_at_reboot(element)
            self.assertFalse(self_reboot.restarts(element))
            (found,) = element.findall('on_reboot')
            self.assertEqual('preserve', found.text)

    def test_what_does_not_restart_stays(self):
        text = '<on_crash>coredump-destroy</on_crash>'
        element = etree.fromstring(f'<domain type="xen">{text}</domain>')
        domain.keep_at_reboot(element)
        self.assertIn(text, domain.text(element))
        self.assertIsNone(element.find('on_poweroff'))

    def test_qemu(self):
        for more in ('', '<on_crash>restart</on_crash>'):
            element = etree.fromstring(f'<domain type="kvm">{more}</domain>')
            self.assertFalse(self_reboot.restarts(element))


class ServeTest(base.TestCase):
    def attached(self, form, source, **more):
        found = config.LibvirtConfigGuestDisk()
        found.driver_format, found.source_type = form, source
        found.source_path, found.target_bus = '/volume', 'xen'
        found.target_dev = 'xvdb'
        found.source_protocol, found.source_name = 'rbd', 'a/b'
        found.driver_cache = 'none'
        vars(found).update(more)
        disk.serve(found)
        self.assertIsNone(found.driver_cache)
        return found.driver_name, found.driver_format

    def test_volumes(self):
        self.assertEqual(('phy', 'raw'), self.attached('raw', 'block'))
        self.assertEqual(('phy', 'raw'), self.attached(None, 'file'))
        self.assertEqual(('qemu', 'qcow2'), self.attached('qcow2', 'file'))
        self.assertEqual(('qemu', 'raw'), self.attached('raw', 'network'))
        self.assertRaises(
            exception.ComputeResourcesUnavailable,
            self.attached,
            'ploop',
            'file',
        )

    def test_volumes_of_which_libxl_would_drop_something(self):
        encryption = config.LibvirtConfigGuestDiskEncryption()
        encryption.format = 'luks'
        encryption.secret = config.LibvirtConfigGuestDiskEncryptionSecret()
        encryption.secret.type, encryption.secret.uuid = 'passphrase', 'u'
        for word, more in (
            ('LUKS', {'volume_encryption': encryption}),
            ('LUKS', {'ephemeral_encryption': encryption}),
            ('QoS', {'disk_total_iops_sec': 9}),
            ('QoS', {'disk_read_bytes_sec_max': 9}),
        ):
            error = self.assertRaises(
                exception.ComputeResourcesUnavailable,
                self.attached,
                'raw',
                'block',
                **more,
            )
            self.assertIn(word, str(error))
