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

"""What else a guest of Xen has: screens, consoles, a drive, diagnostics."""

from lxml import etree
from nova.tests.functional.api import client

from tests.functional.xen import base


class _Devices:
    def setUp(self):
        super().setUp()
        # What no guest of Xen has is enabled on the host as well.
        for group in ('vnc', 'spice', 'serial_console'):
            self.flags(enabled=True, group=group)
        self.flags(force_config_drive=True)
        self.server = self.boot(self.tagged())
        self.xml = etree.fromstring(self.domain(self.server).defined)

    def console(self, kind, protocol):
        return self.api.api_post(
            f'/servers/{self.server["id"]}/remote-consoles',
            {'remote_console': {'type': kind, 'protocol': protocol}},
        ).body['remote_console']

    def assertNoConsole(self, kind, protocol):
        error = self.assertRaises(
            client.OpenStackApiException, self.console, kind, protocol
        )
        self.assertEqual(400, error.response.status_code)
        self.assertIn('console type', error.response.text)

    def assertNoSerialConsole(self):
        """Nova finds no port. Nova's fake of libvirt adds one to each guest,
        which the definition does not have.
        """
        self.assertEqual([], self.xml.findall('devices/*[@type="tcp"]'))
        self.flags(enabled=False, group='serial_console')
        self.assertNoConsole('serial', 'serial')

    def test_config_drive(self):
        drive = self.xml.find('devices/disk[@device="cdrom"]')
        self.assertEqual('xen', drive.find('target').get('bus'))
        self.assertEqual('phy', drive.find('driver').get('name'))

    def test_diagnostics(self):
        path = f'/servers/{self.server["id"]}/diagnostics'
        found = self.api.api_get(path).body
        self.assertEqual('running', found['state'])
        self.assertEqual('xen', found['hypervisor'])


class _NoScreen(_Devices):
    def test_screen(self):
        self.assertEqual([], self.xml.findall('devices/graphics'))
        self.assertEqual([], self.xml.findall('devices/video'))
        self.assertNoConsole('novnc', 'vnc')

    def test_consoles(self):
        (console,) = self.xml.findall('devices/console')
        self.assertEqual('xen', console.find('target').get('type'))
        self.assertEqual([], self.xml.findall('devices/serial'))
        self.assertNoConsole('spice-html5', 'spice')
        self.assertNoSerialConsole()


class PvTest(_NoScreen, base.GuestTestCase):
    kind = 'xenpv'


class PvhTest(_NoScreen, base.GuestTestCase):
    kind = 'xenpvh'


class HvmTest(_Devices, base.GuestTestCase):
    kind = 'xenfv'

    def test_screen(self):
        (screen,) = self.xml.findall('devices/graphics')
        self.assertEqual('vnc', screen.get('type'))
        self.assertIn('token', self.console('novnc', 'vnc')['url'])

    def test_consoles(self):
        (serial,) = self.xml.findall('devices/serial')
        self.assertEqual('file', serial.get('type'))
        self.assertNoConsole('spice-html5', 'spice')
        self.assertNoSerialConsole()
