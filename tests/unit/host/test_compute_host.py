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

"""What is kept of a host, and for how long."""

import dataclasses
import os
from unittest import mock

import fixtures
import libvirt

from nova_isolation.host import compute_host
from nova_isolation.probes import emulator
from nova_isolation.probes import libvirt_xml
from nova_isolation.probes import program
from nova_isolation.testing import fakes as testing_fakes
from tests.unit import base

GOOD = program.Emulator(
    '/q',
    '/q',
    program.Identity(1, 2, 3, 4, 5),
    frozenset(),
    frozenset(),
    True,
)


NATIVE = (
    "LC_ALL=C /q -name 'guest=a b' "
    '-object \'{"qom-type":"secret"}\' -sandbox off'
)


CONF = mock.Mock()
CONF.isolation = mock.Mock(
    probe_timeout=1.0, libvirt_root='/', selinuxfs='/sys/fs/selinux'
)


class Connection:
    def __init__(self):
        self.asked = 0
        self.native = NATIVE

    def getCapabilities(self):
        self.asked += 1
        return f'capabilities {self.asked}'

    def getDomainCapabilities(self, *arguments):
        return f'domain capabilities {self.asked}'

    def domainXMLToNative(self, *arguments):
        self.arguments = arguments
        if isinstance(self.native, Exception):
            raise self.native
        return self.native


class LibvirtHost:
    def __init__(self):
        self.connection = Connection()

    def get_connection(self):
        return self.connection


class ComputeHostTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.libvirt = LibvirtHost()
        self.host = compute_host.ComputeHost(
            self.libvirt,
            CONF,
            'qemu',
            lambda: {'attested': 'good'},
        )
        self.now = 1000.0
        self.key = ('key',)
        self.examine = mock.Mock(return_value=GOOD)
        for owner, name, new in (
            (libvirt_xml, 'emulator', lambda text: '/q'),
            (libvirt_xml, 'plain_domain', lambda text: f'<{text}>'),
            (
                emulator,
                'fingerprint',
                lambda path, others, root='': self.key,
            ),
            (emulator, 'examine', self.examine),
            (compute_host.time, 'monotonic', lambda: self.now),
        ):
            patch = mock.patch.object(owner, name, new)
            patch.start()
            self.addCleanup(patch.stop)

    def test_device_model_of_xen(self):
        host = compute_host.ComputeHost(
            self.libvirt, CONF, 'xen', dict, testing_fakes.FakeXen()
        )
        with mock.patch.object(CONF.isolation, 'xen_device_model', '/model'):
            self.assertIs(GOOD, host.emulator())
        self.assertEqual('/model', self.examine.call_args.args[0])

    def test_evidence(self):
        self.assertEqual('good', self.host.evidence('attested'))
        self.assertIsNone(self.host.evidence('other'))

    def test_ask(self):
        # The kernel's own files of this kind are in selinuxfs; this one,
        # too, answers what it was asked.
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'file')
        for question in ('x', 'longer'):
            with open(path, 'w', encoding='ascii') as file:
                file.write('-' * len(question) + 'answer')
            self.assertEqual('answer', self.host.ask(path, question))

    def test_selinuxfs_that_is_mounted_elsewhere(self):
        folder = self.useFixture(fixtures.TempDir()).path
        with open(f'{folder}/enforce', 'w', encoding='ascii') as file:
            file.write('1')
        with mock.patch.object(CONF.isolation, 'selinuxfs', folder):
            self.assertEqual('1', self.host.read('/sys/fs/selinux/enforce'))
            self.assertEqual('answer', self.ask_of(folder))
            self.assertRaises(
                FileNotFoundError, self.host.read, '/sys/fs/selinux/mls'
            )
            # Only the kernel's own name of the folder is another.
            self.assertEqual('1', self.host.read(f'{folder}/enforce').strip())

    def ask_of(self, folder):
        with open(f'{folder}/access', 'w', encoding='ascii') as file:
            file.write('-answer')
        return self.host.ask('/sys/fs/selinux/access', 'x')

    def test_ask_where_there_is_none(self):
        self.assertRaises(
            FileNotFoundError, self.host.ask, '/no/such/file', 'x'
        )

    def test_capabilities_of_a_connection(self):
        self.assertEqual('capabilities 1', self.host.capabilities())
        self.assertEqual(
            'domain capabilities 1', self.host.domain_capabilities()
        )
        self.assertEqual(1, self.libvirt.connection.asked)

    def test_another_connection(self):
        self.host.capabilities()
        self.libvirt.connection = Connection()
        self.host.capabilities()
        self.assertEqual(1, self.libvirt.connection.asked)

    def test_command_line(self):
        for _ in range(2):
            self.assertEqual(
                ('LC_ALL=C', '/q', '-name', 'guest=a b', '-object',
                 '{"qom-type":"secret"}', '-sandbox', 'off'),
                self.host.emulator_arguments(),
            )  # fmt: skip
            self.libvirt.connection.native = 'kept with the connection'
        self.assertEqual(
            ('qemu-argv', '<domain capabilities 0>', 0),
            self.libvirt.connection.arguments,
        )

    def test_command_line_of_a_libvirtd_that_was_started_again(self):
        self.host.emulator_arguments()
        self.libvirt.connection = Connection()
        self.libvirt.connection.native = '/q -sandbox on'
        self.assertEqual(
            ('/q', '-sandbox', 'on'), self.host.emulator_arguments()
        )

    def test_no_command_line(self):
        self.libvirt.connection.native = libvirt.libvirtError('no')
        self.assertRaises(OSError, self.host.emulator_arguments)
        # The rest is known, and the question is asked again.
        self.assertEqual('capabilities 1', self.host.capabilities())
        self.libvirt.connection.native = "/q 'no end"
        self.assertRaises(ValueError, self.host.emulator_arguments)

    def test_examined_once(self):
        for _ in range(3):
            self.assertIs(GOOD, self.host.emulator())
        self.assertEqual(1, self.examine.call_count)

    def test_examined_anew_when_it_changes(self):
        self.host.emulator()
        self.key = ('other',)
        self.host.emulator()
        self.assertEqual(2, self.examine.call_count)

    def test_examined_anew_after_a_minute(self):
        self.host.emulator()
        self.now += 61
        self.host.emulator()
        self.assertEqual(2, self.examine.call_count)

    def test_examined_until_the_folders_of_its_modules_are_watched(self):
        more = dataclasses.replace(
            GOOD, modules=(('/modules', None),), executable='/real'
        )
        self.examine.side_effect = [more, more]
        watched = []
        with mock.patch.object(
            emulator,
            'fingerprint',
            lambda path, others, root='': (watched.append(others), others),
        ):
            for _ in range(3):
                self.assertIs(more, self.host.emulator())
        self.assertEqual(2, self.examine.call_count)
        self.assertEqual(('/real', '/modules'), watched[-1])

    def test_folders_that_never_stay(self):
        self.examine.side_effect = [
            dataclasses.replace(GOOD, modules=((name, None),))
            for name in 'abcd'
        ]
        self.assertRaises(OSError, self.host.emulator)

    def test_a_failure_is_not_repeated_at_once(self):
        self.examine.side_effect = OSError('gave no answer')
        for _ in range(3):
            error = self.assertRaises(OSError, self.host.emulator)
            self.assertIn('gave no answer', str(error))
        self.assertEqual(1, self.examine.call_count)

    def test_a_failure_is_forgotten(self):
        self.examine.side_effect = [ValueError('no QEMU'), GOOD]
        self.assertRaises(OSError, self.host.emulator)
        self.now += 61
        self.assertIs(GOOD, self.host.emulator())
