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

"""A nova-compute that is not root, one that is, and one that sees little."""

import functools
from pathlib import Path
import pwd

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.machine import nova_account
from tests.e2e import base
from tests.e2e import host_processes

_ROOT, _HIDEPID = 'cpu-root', 'cpu-hidepid'
_TAGGED = {
    'isolation:qemu_sandbox': 'true',
    'isolation:qemu_hardening': 'pie,nx,relro',
}
#: CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE; and CAP_SYS_ADMIN (capabilities(7)).
_NEEDED, _ALL_POWERFUL = 1 << 2 | 1 << 19, 1 << 21


class NovaTest(host_processes.TestCase):
    """The hosts of the lab: nova-compute runs as the user nova."""

    def test_nova_compute_has_no_privileges(self) -> None:
        for host in self.cloud.hosts:
            pid = self.compute(host)
            accounts = Path(f'/proc/{pid}/root/etc/passwd').read_text('utf-8')
            (line,) = (
                line
                for line in accounts.splitlines()
                if line.startswith(f'{nova_account.USER}:')
            )
            uid = line.split(':')[2]
            self.assertNotEqual('0', uid)
            self.assertEqual([uid] * 4, host_processes.status(pid, 'Uid'))
            self.assertEqual(
                0, int(host_processes.status(pid, 'CapEff')[0], 16)
            )
            conf = Path(f'/proc/{pid}/root/etc/libvirt/qemu.conf').stat()
            self.assertEqual((0o600, 0), (conf.st_mode & 0o777, conf.st_uid))

    def test_what_only_root_may_see(self) -> None:
        server = self.boot(_TAGGED, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        self.assertEvent(server, 'isolation_verify', 'Success')
        emulator = pwd.getpwnam(nova_account.EMULATOR_USER)
        qemu = self.guests.qemu_pid(server)
        self.assertEqual(
            [str(emulator.pw_uid)] * 4, host_processes.status(qemu, 'Uid')
        )
        (helper,) = self.helpers(base.HARDENED)
        self.assertEqual(['0'] * 4, host_processes.status(helper, 'Uid'))
        capabilities = int(host_processes.status(helper, 'CapEff')[0], 16)
        self.assertEqual(_NEEDED, capabilities & (_NEEDED | _ALL_POWERFUL))


@functools.cache
def _other_cloud() -> clouds.Cloud:
    return base.start_cloud('e2e-users', host_specs.known([_ROOT, _HIDEPID]))


class OtherTest(host_processes.TestCase):
    """Hosts that differ in what their nova-compute may see."""

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """A cloud with these hosts."""
        return _other_cloud()

    def test_root(self) -> None:
        self.assertEqual(
            ['0'] * 4, host_processes.status(self.compute(_ROOT), 'Uid')
        )
        server = self.boot(_TAGGED, host=_ROOT)
        self.assertActive(server, _ROOT)
        self.assertEvent(server, 'isolation_verify', 'Success')
        # nova-compute reads all by itself.
        self.assertEqual([], self.helpers(_ROOT))

    def test_hidepid(self) -> None:
        # nova-compute sees no process of QEMU's or libvirt's.
        status = self.cloud.supervisor.output(
            [
                'nsenter',
                f'--target={self.compute(_HIDEPID)}',
                '--mount',
                'setpriv',
                f'--reuid={nova_account.USER}',
                f'--regid={nova_account.USER}',
                '--init-groups',
                'ls',
                '/proc/1',
            ]
        )
        self.assertNotEqual(0, status.returncode, status.stdout)
        server = self.boot(_TAGGED, host=_HIDEPID)
        self.assertActive(server, _HIDEPID)
        self.assertEvent(server, 'isolation_verify', 'Success')
        self.assertEqual(1, len(self.helpers(_HIDEPID)))
