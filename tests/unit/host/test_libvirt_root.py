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

"""Tests of nova_isolation.host.libvirt_root, on real namespaces."""

import json
import os
import subprocess
import sys
import types
from unittest import mock

import fixtures

from nova_isolation.host import compute_host
from nova_isolation.host import libvirt_root
from nova_isolation.probes import emulator
from nova_isolation.probes import program
from tests.unit import base
from tests.unit import fakes
from tests.unit import mount_namespace

QEMU = '/usr/bin/qemu-system-x86_64'

#: As nova-compute of the user nova does it, with a daemon of privsep's.
UNPRIVILEGED = """
import json, os, sys
from oslo_config import cfg
from oslo_privsep import priv_context
from nova_isolation.host import libvirt_root, privileged
cfg.CONF([])
privileged.context.start(priv_context.Method.FORK)
os.setgroups([])
os.setresgid(65533, 65533, 65533)
os.setresuid(65533, 65533, 65533)
root, path, seconds = sys.argv[1:]
try:
    os.listdir(root)
except PermissionError:
    pass
else:
    sys.exit('no privilege was needed')
try:
    found = libvirt_root.examine(root, path, float(seconds))
except (OSError, ValueError) as error:
    print(json.dumps([type(error).__name__, str(error)]))
    sys.exit()
key = libvirt_root.fingerprint(root, path, found.others)
print(json.dumps([
    found.executable, found.identity.fields, sorted(found.hardening),
    len(found.types), found.sandbox, found.folders,
    [(name, one and one.fields) for name, one in key],
]))
"""


def options(run_dir, **more):
    """The options that count."""
    values = {
        'qemu_run_dir': run_dir, 'process_root': '/proc', 'libvirt_root': '',
    }  # fmt: skip
    return types.SimpleNamespace(**values | more)


class FindTest(base.TestCase):
    """Which process it is, and which root folder."""

    def setUp(self):
        super().setUp()
        self.run_dir = self.useFixture(fixtures.TempDir()).path

    def pid_file(self, text):
        with open(os.path.join(self.run_dir, 'driver.pid'), 'w') as stream:
            stream.write(str(text))

    def find(self, **more):
        return libvirt_root.find(options(self.run_dir, **more))

    def refused(self, pattern, **more):
        self.assertRaisesText(
            (OSError, ValueError), pattern, self.find, **more
        )

    def assertRaisesText(self, error, pattern, function, **more):
        raised = self.assertRaises(error, function, **more)
        self.assertRegex(str(raised), pattern)

    def test_the_daemon(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        self.pid_file(there.pid)
        self.assertEqual(there.root, self.find())

    def test_the_daemon_in_the_proc_of_the_host(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        self.pid_file(there.pid)
        proc = self.useFixture(fixtures.TempDir()).path
        os.symlink('/proc', f'{proc}/proc')
        self.assertEqual(
            f'{proc}/proc/{there.pid}/root',
            self.find(process_root=f'{proc}/proc'),
        )

    def test_no_pid_file(self):
        self.refused(r'\[isolation\] qemu_run_dir and libvirt_root')

    def test_another_process_has_the_id_now(self):
        for pid in (os.getpid(), 1, 2**22 + 1, 'x', '', '1 2', '../1'):
            self.pid_file(pid)
            self.refused(
                r'driver.pid is not libvirtd or virtqemud or virtxend in '
                r'/proc; see \[isolation\] process_root'
            )

    def test_no_proc_of_the_host(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        self.pid_file(there.pid)
        self.refused(
            r'in /host/proc; see \[isolation\] process_root',
            process_root='/host/proc',
        )

    def test_a_folder_that_is_told(self):
        self.assertEqual('', self.find(libvirt_root='/'))
        self.assertEqual('/x', self.find(libvirt_root='/x/'))
        self.refused('libvirt_root is .x., which is not', libvirt_root='x')

    def test_a_wrong_folder(self):
        self.assertRaisesText(
            FileNotFoundError,
            r'not in the root folder /no/such: .*; see \[isolation\] '
            'libvirt_root',
            lambda: libvirt_root.fingerprint('/no/such', QEMU, ()),
        )


class WhoseTest(base.TestCase):
    """Which of two emulators with one path a compute host measures."""

    def measured(self, there):
        """:returns: the emulator, and the root folders where it ran"""
        run_dir = self.useFixture(fixtures.TempDir()).path
        with open(f'{run_dir}/driver.pid', 'w') as stream:
            stream.write(str(there.pid))
        host = compute_host.ComputeHost(
            None,
            types.SimpleNamespace(
                isolation=options(
                    run_dir, probe_timeout=60.0, measure_timeout=30.0
                )
            ),
            'qemu',
            dict,
        )
        ran = []
        examine = libvirt_root.examine

        def spy(root, *arguments):
            ran.append(root)
            return examine(root, *arguments)

        with (
            mock.patch.object(libvirt_root, 'examine', spy),
            mock.patch.object(
                host,
                'domain_capabilities',
                lambda: fakes.domain_capabilities(path=QEMU),
            ),
        ):
            found = host.emulator()
            # It is kept.
            count = len(ran)
            self.assertIs(found, host.emulator())
            self.assertEqual(count, len(ran))
        return found, ran

    def test_the_same_files(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        found, ran = self.measured(there)
        self.assertEqual(emulator.examine(QEMU, 60), found)
        self.assertEqual({''}, set(ran))

    def test_the_same_binary_with_other_modules(self):
        # Ours has modules that a guest's QEMU would not find, or the reverse.
        there = self.useFixture(
            mount_namespace.MountNamespace(more=mount_namespace.FEW_MODULES)
        )
        found, ran = self.measured(there)
        self.assertEqual(there.root, ran[-1])
        self.assertLess(found.types, emulator.examine(QEMU, 60).types)

    def test_another_binary(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(
                more=f'cp {QEMU} other; mount --bind other usr/bin/'
                + os.path.basename(QEMU)
            )
        )
        found, ran = self.measured(there)
        self.assertEqual({there.root}, set(ran))
        self.assertEqual(program.identity(there.root + QEMU), found.identity)
        self.assertNotEqual(program.identity(QEMU), found.identity)


class ExamineTest(base.TestCase):
    """As root, and as another user with the privileged helper."""

    def unprivileged(self, *arguments):
        result = subprocess.run(
            [sys.executable, '-c', UNPRIVILEGED, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def test_our_own(self):
        self.assertEqual(
            emulator.examine(QEMU, 60), libvirt_root.examine('', QEMU, 60)
        )

    def test_as_root(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        found = libvirt_root.examine(there.root, '/opt/qemu', 60)
        self.assertEqual(QEMU, found.executable)
        key = libvirt_root.fingerprint(there.root, '/opt/qemu', found.others)
        self.assertEqual((QEMU, found.identity), key[1])

    def test_as_nova(self):
        there = self.useFixture(mount_namespace.MountNamespace())
        ours = libvirt_root.examine(there.root, '/opt/qemu', 60)
        key = libvirt_root.fingerprint(there.root, '/opt/qemu', ours.others)
        self.assertEqual(
            json.loads(json.dumps([
                ours.executable, ours.identity.fields, sorted(ours.hardening),
                len(ours.types), ours.sandbox, ours.folders,
                [(name, one and one.fields) for name, one in key],
            ])),
            self.unprivileged(there.root, '/opt/qemu', '60'),
        )  # fmt: skip

    def test_as_nova_where_it_hangs(self):
        there = self.useFixture(
            mount_namespace.MountNamespace(
                more="printf '#!/bin/sh\\nexec sleep 61.5\\n' >opt/hang;"
                'chmod 755 opt/hang'
            )
        )
        self.assertEqual(
            ['OSError', '/opt/hang did not answer in 1 s'],
            self.unprivileged(there.root, '/opt/hang', '1'),
        )
        left = subprocess.run(['pgrep', '-fx', 'sleep 61.5'], timeout=60)
        self.assertEqual(1, left.returncode)
