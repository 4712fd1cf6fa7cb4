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

"""Tests of nova_isolation.probes.apparmor."""

from nova_isolation.probes import apparmor
from tests.unit import base
from tests.unit import fakes


class ModeTest(base.TestCase):
    """/sys/module/apparmor/parameters."""

    def mode(self, enabled, mode=None):
        host = fakes.Host({fakes.APPARMOR: enabled, fakes.APPARMOR_MODE: mode})
        return apparmor.mode(host.read)

    def test_modes(self):
        for enabled, mode, expected in (
            (None, None, 'disabled'),
            ('N\n', 'enforce\n', 'disabled'),
            ('', 'enforce', 'disabled'),
            ('y', 'enforce', 'disabled'),
            ('1', 'enforce', 'disabled'),
            ('Y\n', 'enforce\n', 'enforcing'),
            ('Y', 'enforce', 'enforcing'),
            ('Y', 'complain\n', 'complain'),
            ('Y', 'kill', 'complain'),
            ('Y', 'unconfined', 'complain'),
            ('Y', 'prompt', 'complain'),
            ('Y', '', 'complain'),
            ('Y', 'enforce complain', 'complain'),
        ):
            self.assertEqual(expected, self.mode(enabled, mode))

    def test_unreadable(self):
        error = PermissionError('no')
        self.assertRaises(OSError, self.mode, error)
        self.assertRaises(OSError, self.mode, 'Y', error)
        self.assertRaises(OSError, self.mode, 'Y', None)


class GuestModeTest(base.TestCase):
    """The template of the profiles of guests."""

    # As Debian 13 and Ubuntu 24.04 ship it.
    SHIPPED = (
        '#\n# This profile is for the domain whose UUID matches this file.\n'
        '#\n\n#include <tunables/global>\n\n'
        'profile LIBVIRT_TEMPLATE flags=(attach_disconnected) {\n'
        '  #include <abstractions/libvirt-qemu>\n}\n'
    )

    def mode(self, template, enabled='Y', mode='enforce\n'):
        host = fakes.Host(
            {
                fakes.APPARMOR: enabled,
                fakes.APPARMOR_MODE: mode,
                apparmor.TEMPLATE: template,
            }
        )
        return apparmor.guest_mode(host.read)

    def test_flags(self):
        for flags, expected in (
            ('flags=(attach_disconnected) ', 'enforcing'),
            ('', 'enforcing'),
            ('flags=(enforce) ', 'enforcing'),
            ('flags=(audit,attach_disconnected) ', 'enforcing'),
            ('flags=(complain) ', 'complain'),
            ('flags=(attach_disconnected,complain) ', 'complain'),
            ('flags=(attach_disconnected complain)\n', 'complain'),
            ('(complain)', 'complain'),
            ('flags=(kill)', 'complain'),
            ('flags=(unconfined)', 'complain'),
            ('flags=(prompt)', 'complain'),
        ):
            text = self.SHIPPED.replace('flags=(attach_disconnected) ', flags)
            self.assertEqual(expected, self.mode(text), flags)
            self.assertEqual('complain', self.mode(text, mode='complain\n'))
            self.assertEqual('disabled', self.mode(text, enabled='N'))

    def test_no_template(self):
        # libvirt with its driver of QEMU left out has no such file.
        self.assertEqual('enforcing', self.mode(None))

    def test_no_answer(self):
        for text in ('', 'profile OTHER {', PermissionError('no')):
            self.assertRaises((OSError, ValueError), self.mode, text)


class ProfilesTest(base.TestCase):
    """/sys/kernel/security/apparmor/profiles."""

    PATH = '/sys/kernel/security/apparmor/profiles'

    def profiles(self, text, enabled='Y'):
        host = fakes.Host(
            {
                fakes.APPARMOR: enabled,
                fakes.APPARMOR_MODE: 'enforce',
                self.PATH: text,
            }
        )
        return apparmor.profiles(host.read)

    def test_names(self):
        for text, names in (
            ('', set()),
            ('libvirtd (enforce)\n', {'libvirtd'}),
            (
                'libvirtd (enforce)\n/usr/bin/a b (complain)\n',
                {'libvirtd', '/usr/bin/a b'},
            ),
        ):
            self.assertEqual(names, self.profiles(text))

    def test_disabled(self):
        self.assertEqual(set(), self.profiles(None, enabled='N'))
        self.assertEqual(set(), self.profiles('a (enforce)', enabled=None))

    def test_unreadable(self):
        for error in (None, PermissionError('no')):
            self.assertRaises(OSError, self.profiles, error)
