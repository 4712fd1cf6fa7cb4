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

"""Tests of nova_isolation.host.qemu_process, on a real /proc."""

import os
import subprocess
import sys

import fixtures

from nova_isolation.host import qemu_process
from nova_isolation.probes import emulator
from nova_isolation.probes import program
from tests.unit import base
from tests.unit import fakes
from tests.unit import mount_namespace

NAME = 'instance-00000001'

#: A child that filters its system calls (all allowed) where asked to.
CHILD = """
import ctypes, struct, sys
if 'filter' in sys.argv:
    class Program(ctypes.Structure):
        _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_char_p)]
    allow = struct.pack('HBBI', 0x06, 0, 0, 0x7fff0000)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0   # PR_SET_NO_NEW_PRIVS
    program = Program(1, allow)
    assert libc.prctl(22, 2, ctypes.byref(program)) == 0   # PR_SET_SECCOMP
print('ready', flush=True)
sys.stdin.read()
"""


class QemuProcessTest(base.TestCase):
    """A child of the test stands in for QEMU."""

    def setUp(self):
        super().setUp()
        self.run_dir = self.useFixture(fixtures.TempDir()).path

    def child(self, *arguments):
        """A process with these arguments, until the test ends."""
        child = subprocess.Popen(
            [sys.executable, '-c', CHILD, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self._end, child)
        self.assertEqual('ready\n', child.stdout.readline())
        return child

    def _end(self, child):
        child.stdin.close()
        child.wait(timeout=30)
        child.stdout.close()

    def write(self, text):
        with open(os.path.join(self.run_dir, f'{NAME}.pid'), 'w') as stream:
            stream.write(str(text))

    def find(self):
        return qemu_process.QemuProcess.find(self.run_dir, NAME, fakes.UUID)

    def test_find(self):
        child = self.child('-name', 'guest', '-uuid', fakes.UUID)
        for text in (child.pid, f'{child.pid}\n'):
            self.write(text)
            self.assertEqual(child.pid, self.find().pid)

    def test_no_file(self):
        self.assertRaises(OSError, self.find)

    def test_no_process_id(self):
        for text in ('', 'x', '-1', '1.5', '1 2', '0x1', '\0'):
            self.write(text)
            self.assertRaises(ValueError, self.find)

    def test_no_process(self):
        child = self.child('-uuid', fakes.UUID)
        self._end(child)
        self.write(child.pid)
        self.assertRaises((OSError, ValueError), self.find)

    def test_process_of_another_domain(self):
        for arguments in (
            (),
            ('-uuid', fakes.UUID[:-1] + 'f'),
            ('-uuid', fakes.UUID.upper()),
            ('-name', fakes.UUID),
            (f'-uuid={fakes.UUID}',),
            (f'name={fakes.UUID},x',),
        ):
            self.write(self.child(*arguments).pid)
            self.assertRaises(ValueError, self.find)

    def test_domain_without_uuid(self):
        # The command line ends in an empty argument.
        self.write(self.child('-uuid', '').pid)
        self.assertRaises(
            ValueError, qemu_process.QemuProcess.find, self.run_dir, NAME, ''
        )

    def test_arguments(self):
        process = qemu_process.QemuProcess(self.child('a b', '', 'c').pid)
        self.assertEqual(['a b', '', 'c', ''], process.arguments()[-4:])

    def test_started(self):
        first, second = self.child(), self.child()
        found = [
            qemu_process.QemuProcess(one.pid).started()
            for one in (first, first, second)
        ]
        self.assertEqual(found[0], found[1])
        self.assertLessEqual(found[1], found[2])
        # Clock ticks since the boot: not in the future.
        with open('/proc/uptime') as stream:
            uptime = float(stream.read().split()[0])
        ticks = os.sysconf('SC_CLK_TCK')
        self.assertLess(uptime - 600, found[0] / ticks)
        self.assertLessEqual(found[0] / ticks, uptime)

    def test_started_of_a_name_with_parentheses(self):
        process = qemu_process.QemuProcess(1, self.run_dir)
        os.mkdir(os.path.join(self.run_dir, '1'))
        fields = ' '.join(['S', *map(str, range(4, 40))])
        for name in ('qemu', 'a) S 1 2 (b', ') )'):
            with open(os.path.join(self.run_dir, '1', 'stat'), 'w') as stream:
                stream.write(f'1 ({name}) {fields}\n')
            self.assertEqual(22, process.started())
        for text in ('', '1 (qemu) S', f'1 (qemu) {"x " * 30}'):
            with open(os.path.join(self.run_dir, '1', 'stat'), 'w') as stream:
                stream.write(text)
            self.assertRaises(ValueError, process.started)

    def test_executable(self):
        process = qemu_process.QemuProcess(self.child().pid)
        self.assertEqual(
            program.identity(sys.executable), process.executable()
        )
        self.assertNotEqual(program.identity('/bin/sh'), process.executable())

    def test_identities(self):
        process = qemu_process.QemuProcess(self.child().pid)
        self.assertEqual(
            (('/usr/bin', program.identity('/usr/bin')), ('/no', None)),
            process.identities(('/usr/bin', '/no')),
        )

    def test_seccomp(self):
        process = qemu_process.QemuProcess(self.child('filter').pid)
        self.assertEqual(2, process.seccomp())

    def test_seccomp_is_that_of_the_process(self):
        mine = qemu_process.QemuProcess(os.getpid()).seccomp()
        process = qemu_process.QemuProcess(self.child().pid)
        self.assertEqual(mine, process.seccomp())

    def test_label_is_that_of_the_kernel(self):
        process = qemu_process.QemuProcess(self.child().pid)
        try:
            with open(f'/proc/{process.pid}/attr/current') as stream:
                expected = stream.read().rstrip('\0\n')
        except OSError:
            # A kernel without a security module.
            self.assertRaises(OSError, process.label)
        else:
            self.assertEqual(expected, process.label())

    def test_texts_of_the_kernel(self):
        process = qemu_process.QemuProcess(1)
        for method, text, expected in (
            ('label', 'a:b:c:s0:c1,c2\0', 'a:b:c:s0:c1,c2'),
            ('label', 'libvirt-x (enforce)\n', 'libvirt-x (enforce)'),
            ('label', 'unconfined\n\0', 'unconfined'),
            ('seccomp', 'Name:\tx\nSeccomp:\t0\n', 0),
            ('seccomp', 'Seccomp:\t2\nSeccomp_filters:\t1\n', 2),
            ('seccomp', 'Name:\tSeccomp: 2\nSeccomp:\t0\n', 0),
        ):
            with fixtures.MockPatchObject(process, '_read', return_value=text):
                self.assertEqual(expected, getattr(process, method)())

    def test_kernel_that_does_not_say(self):
        process = qemu_process.QemuProcess(1)
        for text in ('', 'Name:\tSeccomp: 2\n', 'Seccomp:\n', 'Seccomp: x\n'):
            with fixtures.MockPatchObject(process, '_read', return_value=text):
                self.assertRaises(ValueError, process.seccomp)

    def test_gone(self):
        child = self.child()
        self._end(child)
        process = qemu_process.QemuProcess(child.pid)
        for method in ('arguments', 'label', 'seccomp', 'executable'):
            self.assertRaises(OSError, getattr(process, method))
        for paths in ((), ('/usr/bin', '/no')):
            self.assertRaises(OSError, process.identities, paths)


#: Asks as nova-compute of the user nova does, with a daemon of privsep's.
AS_NOVA = """
import os, sys
from oslo_config import cfg
from oslo_privsep import priv_context
from nova_isolation.host import privileged, qemu_process
cfg.CONF([])
privileged.context.start(priv_context.Method.FORK)
os.setgroups([])
os.setresgid(65533, 65533, 65533)
os.setresuid(65533, 65533, 65533)
pid, *paths = sys.argv[1:]
try:
    os.listdir(f'/proc/{pid}/root')
except PermissionError:
    print(qemu_process.QemuProcess(int(pid)).identities(paths))
"""
FOLDER = '/usr/lib/x86_64-linux-gnu/qemu'


class OwnRootTest(base.TestCase):
    """A process in a mount namespace of its own, as libvirt's QEMU is."""

    def found(self, more=''):
        """:returns: the process id, and what it has at two paths"""
        pid = self.useFixture(mount_namespace.MountNamespace(more=more)).pid
        process = qemu_process.QemuProcess(pid)
        return pid, process.identities((FOLDER, '/no'))

    def test_the_same_folder_in_another_root(self):
        _, found = self.found()
        self.assertEqual(emulator.identities((FOLDER, '/no')), found)

    def test_a_folder_below_another_mount(self):
        pid, found = self.found(mount_namespace.FEW_MODULES)
        self.assertEqual(
            program.identity(f'/proc/{pid}/root{FOLDER}'), found[0][1]
        )
        self.assertNotEqual(emulator.identities((FOLDER, '/no')), found)

    def test_as_nova(self):
        pid, found = self.found(mount_namespace.FEW_MODULES)
        result = subprocess.run(
            [sys.executable, '-c', AS_NOVA, str(pid), FOLDER, '/no'],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(f'{found}\n', result.stdout, result.stderr)


#: Looks for a process of the host from a PID namespace of its own.
INSIDE = """
import sys
from nova_isolation.host import qemu_process
run_dir, name, uuid = sys.argv[1:]
for proc in ('/proc', run_dir + '/proc'):
    try:
        process = qemu_process.QemuProcess.find(run_dir, name, uuid, proc)
    except (OSError, ValueError) as error:
        print(type(error).__name__, error)
    else:
        print(process.pid, process.executable().inode, process.seccomp())
"""


class OwnPidNamespaceTest(base.TestCase):
    """As a container has it, with the host's /proc mounted elsewhere."""

    def test_find(self):
        run_dir = self.useFixture(fixtures.TempDir()).path
        os.mkdir(f'{run_dir}/proc')
        child = subprocess.Popen(
            [sys.executable, '-c', CHILD, '-uuid', fakes.UUID],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.communicate)
        child.stdout.readline()
        with open(f'{run_dir}/{NAME}.pid', 'w') as stream:
            stream.write(str(child.pid))
        result = subprocess.run(
            ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec',
             'mount --rbind /proc "$0/proc"; exec unshare --pid --fork '
             '--mount-proc "$@"',
             run_dir, sys.executable, '-c', INSIDE, run_dir, NAME, fakes.UUID],
            capture_output=True,
            text=True,
            timeout=60,
        )  # fmt: skip
        self.assertEqual(0, result.returncode, result.stderr)
        without, with_ = result.stdout.splitlines()
        # The number may be that of another process in there, at most.
        self.assertIn(without.split()[0], ('FileNotFoundError', 'ValueError'))
        inode = program.identity(sys.executable).inode
        self.assertEqual([str(child.pid), str(inode)], with_.split()[:2])
