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

"""The host examines itself: on a real /proc, with the real helper.

A process of the test's own stands in for libvirt's daemon and for a guest, and
another one, of another user, for nova-compute. These tests need root.
"""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

import fixtures

from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.model import reasons
from tests.unit import base

ROOT = Path(__file__).parents[3]
NOBODY = 65534
#: Of the stand-in for the process of a guest.
QEMU = 65533
LIMIT = 120


class Place(fixtures.Fixture):
    """Folders, a process named as libvirt's daemon, and the helper.

    :ivar folder: all that is below belongs to root and may be read
    :ivar run_dir: for the pid files of guests
    :ivar helper: the command that starts the real helper
    """

    def _setUp(self):
        if os.geteuid():
            raise AssertionError('these tests need root')
        # Not below the folder of the test, which other users cannot enter.
        self.folder = Path(tempfile.mkdtemp(dir='/tmp'))
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        self.run_dir = self.folder / 'qemu'
        self.run_dir.mkdir()
        (self.folder / 'proc').mkdir()
        configuration = self.folder / 'helper.conf'
        configuration.touch()
        self.helper = (
            f'{Path(sys.executable).parent}/privsep-helper --config-file '
            f'{configuration}'
        )
        self.daemon = self.process('libvirtd', 0)
        (self.run_dir / 'driver.pid').write_text(f'{self.daemon.pid}\n')

    def process(self, name, uid):
        """A process with this name, of this user."""
        path = self.folder / name
        if not path.exists():
            shutil.copy('/bin/sleep', path)
        process = subprocess.Popen(
            [path, '600'], user=uid, group=uid, extra_groups=[]
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def guest(self, name='instance-00000001', mode=0o644):
        """A guest that runs."""
        process = self.process('qemu-kvm', QEMU)
        path = self.run_dir / f'{name}.pid'
        path.write_text(str(process.pid))
        path.chmod(mode)
        return process


class SelfExaminationTest(base.TestCase):
    """What is unseen, and why, as another user and in namespaces."""

    def setUp(self):
        super().setUp()
        self.place = self.useFixture(Place())

    def examine(self, *prefix, **given):
        """Examine in a process of its own."""
        given = {
            'uid': NOBODY,
            'helper': self.place.helper,
            'proc': procfs.PROC,
            'run_dir': str(self.place.run_dir),
            **given,
        }
        done = subprocess.run(
            [*prefix, sys.executable, '-m', 'tests.unit.host.examine'],
            cwd=ROOT,
            # The helper has the modules of this tree, too.
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        self.log = done.stderr
        return json.loads(done.stdout)

    def assertUnseen(self, found, process, executable):
        """These are the causes; None: it is seen."""
        causes = {'process': process, 'executable': executable}
        self.assertEqual(
            {
                name: reason.code
                for name, reason in causes.items()
                if reason is not None
            },
            found['unseen'],
            self.log,
        )

    def test_root_sees_all(self):
        self.place.guest(mode=0o600)
        self.assertUnseen(self.examine(uid=0, helper='false'), None, None)

    def test_another_user_with_the_helper(self):
        self.place.guest(mode=0o600)
        self.assertUnseen(self.examine(started=True), None, None)

    def test_no_right_to_start_the_helper(self):
        found = self.examine(helper='sh -c "echo no right >&2; exit 1" --')
        self.assertUnseen(found, None, reasons.NO_HELPER)
        # It is told once, with the words of sudo or rootwrap.
        self.assertNotIn('CRITICAL', self.log)
        self.assertEqual(1, self.log.count('has no privileged helper'))
        self.assertIn('no right', self.log)
        self.assertEqual(1, self.log.count('cannot see the program'))

    def test_no_sudo(self):
        self.assertUnseen(
            self.examine(helper='/no/such/sudo'), None, reasons.NO_HELPER
        )

    def test_a_helper_that_was_killed(self):
        # This user may not start another one.
        found = self.examine(started=True, kill=True)
        self.assertUnseen(found, None, reasons.NO_HELPER)

    def test_a_helper_that_was_killed_and_is_started_again(self):
        found = self.examine(uid=0, started=True, kill=True)
        self.assertUnseen(found, None, None)

    def test_pid_files_that_only_root_reads(self):
        self.place.guest(mode=0o600)
        found = self.examine(helper='false')
        self.assertUnseen(found, reasons.NO_HELPER, reasons.NO_HELPER)

    def test_hidden_processes(self):
        proc = str(self.place.folder / 'proc')
        for option in ('1', '2', 'ptraceable'):
            found = self.examine(hidepid=option, proc=proc, helper='false')
            self.assertTrue(found['hides'])
            self.assertUnseen(found, reasons.HIDEPID, reasons.HIDEPID)

    def test_hidden_processes_and_the_helper(self):
        self.place.guest(mode=0o600)
        proc = str(self.place.folder / 'proc')
        for option in ('1', '2', 'ptraceable'):
            found = self.examine(hidepid=option, proc=proc, started=True)
            self.assertTrue(found['hides'])
            self.assertUnseen(found, None, None)

    def test_the_process_of_the_daemon_is_another_one(self):
        other = self.place.process('another', 0)
        (self.place.run_dir / 'driver.pid').write_text(str(other.pid))
        # The tests may run in a container.
        expected = (
            reasons.LIBVIRT_UNSEEN
            if procfs.is_initial_pid_namespace()
            else reasons.PID_NAMESPACE
        )
        self.assertUnseen(self.examine(), expected, expected)

    def test_a_pid_namespace_of_its_own(self):
        self.place.guest()
        found = self.examine(
            'unshare', '--pid', '--fork', '--mount-proc', uid=0
        )
        self.assertUnseen(found, reasons.PID_NAMESPACE, reasons.PID_NAMESPACE)

    def test_no_folder_of_pid_files(self):
        for path in ('/no/such/folder', '/etc/passwd', '/usr/share'):
            found = self.examine(run_dir=path)
            self.assertUnseen(found, reasons.PID_FILES, reasons.PID_FILES)

    def test_a_folder_of_pid_files_that_only_root_enters(self):
        self.place.guest(mode=0o600)
        self.place.run_dir.chmod(0o700)
        self.assertUnseen(self.examine(started=True), None, None)
        found = self.examine(helper='false')
        self.assertUnseen(found, reasons.NO_HELPER, reasons.NO_HELPER)

    def test_a_folder_of_the_caller_is_no_proc(self):
        folder = self.place.folder / 'proc'
        (folder / '7').mkdir()
        for name in ('status', 'cmdline'):
            (folder / '7' / name).symlink_to('/etc/shadow')
        with mock.patch.object(privileged.context, 'client_mode', False):
            for ask in (
                lambda: privileged._read_process_as_root(
                    7, 'status', str(folder)
                ),
                lambda: privileged._stat_as_root(7, str(folder)),
            ):
                self.assertRaises(PermissionError, ask)
            pid = os.getpid()
            for name in ('environ', '../../etc/shadow', 'root/etc/shadow'):
                self.assertRaises(
                    PermissionError,
                    privileged._read_process_as_root,
                    pid,
                    name,
                    '/proc',
                )
            self.assertIn(
                'Seccomp:',
                privileged._read_process_as_root(pid, 'status', '/proc'),
            )
