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

import atexit
import functools
from pathlib import Path
import pwd

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.daemons import nova
from lab.machine import nova_account
from lab.run import layout
from lab.run import processes
from nova_isolation.host import privileged
from tests.e2e import base

_ROOT, _HIDEPID = 'cpu-root', 'cpu-hidepid'
_TAGGED = {
    'isolation:qemu_sandbox': 'true',
    'isolation:qemu_hardening': 'pie,nx,relro',
}
#: The bits of CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE (capabilities(7)).
_CAPABILITIES = 1 << 2 | 1 << 19


def _status(pid: int, name: str) -> list[str]:
    """The words of a line of /proc/PID/status."""
    text = Path(f'/proc/{pid}/status').read_text(encoding='utf-8')
    lines = dict(line.split(':', 1) for line in text.splitlines())
    return lines[name].split()


class TestCase(base.TestCase):
    """Looks at the processes of a host."""

    def compute(self, host: str) -> int:
        """The process id of a host's nova-compute."""
        daemons = self.cloud.supervisor.daemons()
        return daemons[nova.compute_name(host)].pid

    def helpers(self, host: str) -> list[int]:
        """The process ids of the privileged helpers of this project."""
        namespace = Path(f'/proc/{self.compute(host)}/ns/mnt').readlink()
        return [
            pid
            for pid, command in processes.belonging(self.cloud.layout).items()
            if privileged.context.pypath in command
            and 'python' in command.split()[0]
            and Path(f'/proc/{pid}/ns/mnt').readlink() == namespace
        ]


class NovaTest(TestCase):
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
            self.assertEqual([uid] * 4, _status(pid, 'Uid'))
            self.assertEqual(0, int(_status(pid, 'CapEff')[0], 16))
            conf = Path(f'/proc/{pid}/root/etc/libvirt/qemu.conf').stat()
            self.assertEqual((0o600, 0), (conf.st_mode & 0o777, conf.st_uid))

    def test_what_only_root_may_see(self) -> None:
        server = self.boot(_TAGGED, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        self.assertEvent(server, 'isolation_verify', 'Success')
        emulator = pwd.getpwnam(nova_account.EMULATOR_USER)
        qemu = self.guests.qemu_pid(server)
        self.assertEqual([str(emulator.pw_uid)] * 4, _status(qemu, 'Uid'))
        (helper,) = self.helpers(base.HARDENED)
        self.assertEqual(['0'] * 4, _status(helper, 'Uid'))
        self.assertEqual(_CAPABILITIES, int(_status(helper, 'CapEff')[0], 16))


@functools.cache
def _other_cloud() -> clouds.Cloud:
    started = clouds.Cloud(
        layout.default_state('e2e-users'),
        host_specs.known([_ROOT, _HIDEPID]),
    )
    started.up()
    atexit.register(started.down)
    return started


class OtherTest(TestCase):
    """Hosts that differ in what their nova-compute may see."""

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """A cloud with these hosts."""
        return _other_cloud()

    def test_root(self) -> None:
        self.assertEqual(['0'] * 4, _status(self.compute(_ROOT), 'Uid'))
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
