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

"""Tests of nova_isolation.probes.foreign_root, on real namespaces."""

import os
import subprocess
import time

import fixtures

from nova_isolation.probes import emulator
from nova_isolation.probes import enter
from nova_isolation.probes import foreign_root
from nova_isolation.probes import program
from tests.unit import base
from tests.unit import mount_namespace

QEMU = '/usr/bin/qemu-system-x86_64'
NOBODY = 65534


class PathTest(base.TestCase):
    """Links lead to what they lead to there."""

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path
        os.makedirs(f'{self.root}/usr/bin')
        for name, target in (
            ('bin', 'usr/bin'),
            ('usr/bin/kvm', '/etc/alternatives/kvm'),
            ('etc', 'usr/../configuration'),
            ('out', '../../../../../etc/passwd'),
            ('loop', 'loop'),
        ):
            os.symlink(target, f'{self.root}/{name}')

    def path(self, name):
        found = foreign_root.path(self.root, name)
        self.assertTrue(found.startswith(self.root))
        return found.removeprefix(self.root)

    def test_paths(self):
        for name, there in (
            ('/usr/bin/qemu', '/usr/bin/qemu'),
            ('/bin/qemu', '/usr/bin/qemu'),
            ('/bin/kvm', '/configuration/alternatives/kvm'),
            ('//usr/./bin//../bin/qemu', '/usr/bin/qemu'),
            ('/../../usr', '/usr'),
            ('/out', '/configuration/passwd'),
            ('/no/such/file', '/no/such/file'),
            ('/', ''),
        ):
            self.assertEqual(there.rstrip('/'), self.path(name).rstrip('/'))

    def test_links_without_end(self):
        self.assertRaisesText(
            OSError, 'Too many levels', foreign_root.path, self.root, '/loop'
        )


class ExamineTest(base.TestCase):
    """An emulator that only another mount namespace has."""

    def examine(self, root, path='/opt/qemu', seconds=60):
        launcher = foreign_root.launcher(root, NOBODY, NOBODY)
        return emulator.examine(path, seconds, root, launcher)

    def test_as_in_our_own_root(self):
        ours = emulator.examine(QEMU, 60)
        for way in ('pivot', 'chroot'):
            there = self.useFixture(mount_namespace.MountNamespace(way))
            self.assertFalse(os.path.exists('/opt/qemu'))
            found = self.examine(there.root)
            self.assertEqual('/opt/qemu', found.path)
            for name in (
                'executable', 'identity', 'hardening', 'types', 'sandbox',
                'folders',
            ):  # fmt: skip
                self.assertEqual(getattr(ours, name), getattr(found, name))

    def test_its_modules_are_those_of_that_root(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(more=mount_namespace.FEW_MODULES)
        )
        ours = emulator.examine(QEMU, 60)
        found = self.examine(there.root, QEMU)
        self.assertEqual(ours.identity, found.identity)
        self.assertLess(found.types, ours.types)
        self.assertNotEqual(
            emulator.fingerprint(QEMU, found.others),
            emulator.fingerprint(QEMU, found.others, there.root),
        )

    def test_a_binary_of_that_root_alone(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(more=f'cp {QEMU} opt/own')
        )
        found = self.examine(there.root, '/opt/own')
        self.assertEqual('/opt/own', found.executable)
        self.assertEqual(
            program.identity(f'{there.root}/opt/own'), found.identity
        )

    def test_it_runs_without_rights(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(
                more="printf '#!/bin/sh\\nid -u >&2; id -G >&2;"
                'grep -e CapPrm -e CapBnd -e NoNewPrivs /proc/self/status >&2;'
                "exit 3\\n' >opt/qemu2; chmod 755 opt/qemu2;"
                'mkdir proc; mount -t proc proc proc'
            )
        )
        error = self.assertRaises(
            OSError, self.examine, there.root, '/opt/qemu2'
        )
        words = str(error).split('status 3:')[1].split()
        self.assertEqual(['65534', '65534'], words[:2])
        self.assertEqual('0' * 16, words[words.index('CapPrm:') + 1])
        self.assertEqual('1', words[words.index('NoNewPrivs:') + 1])

    def test_never_as_root(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        for user, group in ((0, 5), (5, 0), (-1, 5)):
            result = subprocess.run(
                [*foreign_root.launcher(there.root, user, group), '/bin/true'],
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertIn('rights of root', result.stderr)
            self.assertNotEqual(0, result.returncode)
            self.assertRaises(
                ValueError, enter.main, '/', user, group, ['/bin/true']
            )

    def test_hangs(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(
                more="printf '#!/bin/sh\\nexec sleep 60\\n' >opt/hang;"
                'chmod 755 opt/hang'
            )
        )
        start = time.monotonic()
        self.assertRaisesText(
            OSError, '/opt/hang did not answer in 1 s',
            self.examine, there.root, '/opt/hang', 1.0,
        )  # fmt: skip
        self.assertLess(time.monotonic() - start, 10)

    def test_nothing_there(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        self.assertRaises(
            FileNotFoundError, self.examine, there.root, '/opt/none'
        )
        self.assertRaises(OSError, self.examine, '/proc/0/root')
