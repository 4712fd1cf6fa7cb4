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

"""Tests of nova_isolation.host.guest_template, on real namespaces."""

import os
import subprocess
import sys
import types

import fixtures
from testtools import matchers

from nova_isolation.host import compute_host
from nova_isolation.host import guest_template
from nova_isolation.probes import apparmor
from tests.unit import base
from tests.unit import mount_namespace

HEADER = 'profile LIBVIRT_TEMPLATE flags=(complain) {'

FOLDER = os.path.dirname(apparmor.TEMPLATE).lstrip('/')

#: The template of libvirt, in a root folder of its own.
THERE = f"""
mkdir -p {FOLDER}
echo '{HEADER}' >{FOLDER}/TEMPLATE.qemu
"""

#: As nova-compute of the user nova does it, with a daemon of privsep's. What
#: is printed is the error, or the text.
UNPRIVILEGED = """
import os, sys
from oslo_config import cfg
from oslo_privsep import priv_context
from nova_isolation.host import guest_template, privileged
cfg.CONF([])
privileged.context.start(priv_context.Method.FORK)
os.setgroups([])
os.setresgid(65533, 65533, 65533)
os.setresuid(65533, 65533, 65533)
try:
    os.listdir(sys.argv[1])
except PermissionError:
    pass
else:
    sys.exit('no privilege was needed')
try:
    print(guest_template.read(sys.argv[1]))
except OSError as error:
    print(type(error).__name__, error)
"""


class GuestTemplateTest(base.TestCase):
    """As root, and as another user with the privileged helper."""

    def there(self, more):
        """:returns: the root folder of a process"""
        namespace = mount_namespace.MountNamespace(more=more)
        return self.useFixture(namespace).root

    def as_nova(self, root):
        result = subprocess.run(
            [sys.executable, '-c', UNPRIVILEGED, root],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout.strip()

    def assertNotRead(self, error, root):
        self.assertRaises(error, guest_template.read, root)
        self.assertThat(
            self.as_nova(root), matchers.StartsWith(error.__name__)
        )

    def test_that_of_libvirt(self):
        root = self.there(THERE)
        self.assertEqual(f'{HEADER}\n', guest_template.read(root))
        self.assertEqual(HEADER, self.as_nova(root))

    def test_links_of_that_root_folder(self):
        root = self.there(
            f'mkdir -p {FOLDER} opt/there\n'
            f"echo '{HEADER}' >opt/there/file\n"
            f'ln -s /opt/there opt/folder\n'
            f'ln -s /opt/folder/file {FOLDER}/TEMPLATE.qemu\n'
        )
        self.assertEqual(f'{HEADER}\n', guest_template.read(root))
        self.assertEqual(HEADER, self.as_nova(root))

    def test_no_template(self):
        self.assertNotRead(FileNotFoundError, self.there(''))

    def test_no_process(self):
        # Not the answer that libvirt has no template.
        error = self.assertRaises(
            ProcessLookupError, guest_template.read, '/proc/4194304/root'
        )
        self.assertIn('[isolation] libvirt_root', str(error))

    def test_a_file_that_only_root_may_read(self):
        # The helper does not tell nova-compute what is in /etc/shadow.
        root = self.there(f'{THERE}chmod 640 {FOLDER}/TEMPLATE.qemu\n')
        self.assertEqual(f'{HEADER}\n', guest_template.read(root))
        self.assertIn('PermissionError', self.as_nova(root))
        self.assertNotIn(HEADER, self.as_nova(root))

    def test_no_file(self):
        for make in ('mkdir', 'mkfifo'):
            root = self.there(
                f'mkdir -p {FOLDER}\n{make} {FOLDER}/TEMPLATE.qemu'
            )
            self.assertNotRead(OSError, root)


class HostTest(base.TestCase):
    """Which of two templates a compute host reads."""

    def host(self, there='', **more):
        run_dir = self.useFixture(fixtures.TempDir()).path
        namespace = mount_namespace.MountNamespace(more=there)
        with open(f'{run_dir}/driver.pid', 'w') as stream:
            stream.write(str(self.useFixture(namespace).pid))
        options = {
            'qemu_run_dir': run_dir, 'process_root': '/proc',
            'libvirt_root': '', 'selinuxfs': '/sys/fs/selinux',
            'probe_timeout': 60.0, 'measure_timeout': 30.0,
        }  # fmt: skip
        conf = types.SimpleNamespace(
            isolation=types.SimpleNamespace(**options | more)
        )
        return compute_host.ComputeHost(None, conf, 'qemu', dict)

    def mode(self, host):
        """The mode of guests on a kernel that enforces AppArmor."""
        kernel = {'enabled': 'Y\n', 'mode': 'enforce\n'}
        return apparmor.guest_mode(
            lambda path: kernel.get(os.path.basename(path)) or host.read(path)
        )

    def test_that_of_libvirt(self):
        self.assertEqual('complain', self.mode(self.host(THERE)))

    def test_libvirt_enforces(self):
        there = THERE.replace('flags=(complain) ', '')
        self.assertEqual('enforcing', self.mode(self.host(there)))

    def test_libvirt_has_none(self):
        self.assertEqual('enforcing', self.mode(self.host()))

    def test_a_folder_that_is_told(self):
        folder = self.useFixture(fixtures.TempDir()).path
        os.makedirs(f'{folder}/{FOLDER}')
        with open(folder + apparmor.TEMPLATE, 'w') as stream:
            stream.write(HEADER)
        for told, mode in ((folder, 'complain'), ('', 'enforcing')):
            self.assertEqual(mode, self.mode(self.host(libvirt_root=told)))

    def test_libvirt_cannot_be_found(self):
        host = self.host(process_root='/no/such')
        self.assertRaises(OSError, self.mode, host)
        self.assertNotIsInstance(
            self.assertRaises(OSError, host.read, apparmor.TEMPLATE),
            FileNotFoundError,
        )
