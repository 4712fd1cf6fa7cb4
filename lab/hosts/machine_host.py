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


"""A compute host of the lab that is a virtual machine."""

from collections.abc import Sequence
import dataclasses
from pathlib import Path
import subprocess  # nosec B404: only for the type of a result
import sysconfig
import time
from typing import ClassVar

from lab.config import host_specs
from lab.config import site as sites
from lab.hosts import compute_host
from lab.hosts import container
from lab.hosts import virtqemud
from lab.machine import cache
from lab.machine import confined
from lab.machine import image as images
from lab.machine import kind as kinds
from lab.machine import lan
from lab.machine import qemu
from lab.machine import recipe
from lab.machine import ssh as connections
from lab.run import errors
from lab.run import progress as progresses
from lab.run import records
from lab.run import supervisor as supervisors

_CONNECT_SECONDS = 900
#: Python is thirty times slower on the machine than here.
_PYTHON_SECONDS = 900
_UNIT = 'nova-compute'
#: The parts of this project's installed wheel that the machine gets.
_PROJECT = (
    'nova_isolation',
    'nova_isolation-*.dist-info',
    'nova-isolation.pth',
    'nova_isolation_finder.py',
)
#: Does what the console script nova-isolation-hook does.
_HOOK = (
    'import sys; from nova_isolation.cmd import hook; sys.exit(hook.main())'
)
#: $1 is the folder, followed by the names to pack, "--", and the command that
#: unpacks. What is byte-compiled comes too: where both have the same release
#: of Python, the machine need not compile each module at each start, because
#: nova-compute may not write there.
_PUSH = """
set -eu -o pipefail
cd "$1"
shift
files=()
while [ "$1" != -- ]; do files+=($1); shift; done
shift
tar --create "${files[@]}" | "$@"
"""


#: The interpreter of the machine's Nova.
PYTHON = recipe.VENV / 'bin' / 'python'


def hook_command(command: str, python: Path = PYTHON) -> list[str | Path]:
    """The command line of ``nova-isolation-hook COMMAND`` on a machine."""
    return [python, '-c', _HOOK, command]


@dataclasses.dataclass(frozen=True)
class MachineHost:
    """A compute host that is a virtual machine; see lab.hosts.compute_host."""

    site: sites.Site
    spec: host_specs.HostSpec
    #: Its index among the lab's hosts, from 0.
    index: int

    #: What the machine is, and libvirt's URI on it.
    KIND: ClassVar[kinds.Kind] = confined.KIND
    URI: ClassVar[str] = 'qemu:///system'

    @property
    def module(self) -> host_specs.Machine:
        """What the machine has: the name of its boot."""
        if self.spec.machine is None:
            raise errors.LabError(
                f'compute host {self.spec.name} is not a virtual machine'
            )
        return self.spec.machine

    @property
    def folder(self) -> Path:
        """The folder of the machine's files on this machine."""
        return self.site.layout.host(self.spec.name).root

    @property
    def _image(self) -> images.Image:
        return self.KIND.image(self.folder)

    @property
    def daemon(self) -> str:
        """The name of the machine's process."""
        return f'machine-{self.spec.name}'

    @property
    def connection(self) -> str:
        """The name of the process that keeps the connection open."""
        return f'ssh-{self.spec.name}'

    @property
    def _libvirt(self) -> str:
        """The unit of the daemon with libvirt's QEMU driver."""
        modular = self.spec.layout == 'container'
        return 'virtqemud' if modular else 'libvirtd'

    @property
    def pids(self) -> Path:
        """See lab.hosts.compute_host."""
        return Path('/run/libvirt/qemu')

    def emulator(self) -> Path:
        """See lab.hosts.compute_host."""
        return compute_host.EMULATOR

    def make(self, supervisor: supervisors.Supervisor) -> None:
        """Copy the snapshot from which the machine starts."""
        self.folder.mkdir(parents=True)
        image = cache.image(self.KIND, supervisor, progresses.Progress())
        cache.copy(supervisor, image, self.module, self.folder)

    def start(self, supervisor: supervisors.Supervisor) -> None:
        """Start the machine and install this project with its libvirt hook.

        :raises LabError: when the machine does not enforce what it should
        """
        machine = qemu.Machine(
            supervisor,
            self._image,
            self.module,
            self.daemon,
            self.folder,
        )
        daemon = machine.start(
            self._image.snapshot(self.module),
            self.site.ports.ssh(self.index),
            restore=True,
        )
        ssh = self.ssh(supervisor)
        ssh.open(_CONNECT_SECONDS, daemon)
        # The clock of the machine still shows when the snapshot was taken.
        ssh.check(['date', '--set', f'@{time.time():.3f}'])
        ssh.check(['hostname', self.spec.name])
        # sudo looks for the name of its host.
        line = f'{sites.LOCALHOST} {self.spec.name}'
        ssh.check(['sh', '-c', f'echo {line} >>/etc/hosts'])
        self.KIND.check(ssh, self.module)
        if self.spec.layout == 'container':
            virtqemud.start(ssh)
        if self.spec.lan is not None:
            lan.join(machine, ssh, self.site.layout, self.spec.lan)
        if self.spec.guarded:
            self._push(supervisor, ssh)
            ssh.check(hook_command('install'), _PYTHON_SECONDS)
            ssh.check(['systemctl', 'reload', self._libvirt])

    def give(
        self, supervisor: supervisors.Supervisor, files: Sequence[Path]
    ) -> list[Path]:
        """See lab.hosts.compute_host."""
        paths = [recipe.CONFIGURATION / file.name for file in files]
        for file, path in zip(files, paths, strict=True):
            self.ssh(supervisor).check(
                [
                    'install',
                    f'--owner={self.spec.user}',
                    '--mode=600',
                    '/dev/stdin',
                    path,
                ],
                text=file.read_text('utf-8'),
            )
        return paths

    def start_service(
        self,
        supervisor: supervisors.Supervisor,
        name: str,
        files: Sequence[Path],
    ) -> records.Daemon:
        """Start nova-compute as a service of the machine's systemd.

        The daemon on this machine is the ssh client that receives the
        output of the service, and ends with the service.
        """
        command: list[str | Path] = [recipe.VENV / 'bin' / 'nova-compute']
        for file in self.give(supervisor, files):
            command += ['--config-file', file]
        if self.spec.layout == 'container':
            command = container.inside_machine(
                self.site,
                self.spec.name,
                container.as_user(self.spec.user, command),
            )
        else:
            command = [f'--uid={self.spec.user}', *command]
        return supervisor.start(
            name,
            self.ssh(supervisor).command(
                [
                    'systemd-run',
                    '--quiet',
                    '--collect',
                    '--pipe',
                    '--wait',
                    f'--unit={_UNIT}',
                    *command,
                ]
            ),
        )

    def stop_service(
        self, supervisor: supervisors.Supervisor, name: str
    ) -> None:
        """Stop nova-compute."""
        self.ssh(supervisor).run(['systemctl', 'stop', _UNIT])
        supervisor.stop([name], 20)

    def run(
        self,
        supervisor: supervisors.Supervisor,
        command: Sequence[str | Path],
        seconds: float = compute_host.PROGRAM_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """See lab.hosts.compute_host."""
        return self.ssh(supervisor).run(command, seconds)

    def read(self, supervisor: supervisors.Supervisor, path: Path) -> str:
        """See lab.hosts.compute_host."""
        return self.ssh(supervisor).check(['cat', path]).rstrip('\0')

    def virsh(
        self, supervisor: supervisors.Supervisor, *arguments: str
    ) -> str:
        """See lab.hosts.compute_host."""
        return self.ssh(supervisor).check(
            ['virsh', '-q', '-c', self.URI, *arguments]
        )

    def ssh(self, supervisor: supervisors.Supervisor) -> connections.Ssh:
        """The connection to the machine."""
        return connections.Ssh(
            supervisor,
            self._image,
            self.connection,
            self.site.ports.ssh(self.index),
            self.folder,
        )

    def _push(
        self, supervisor: supervisors.Supervisor, ssh: connections.Ssh
    ) -> None:
        """Copy this project, as it is installed here, to the machine."""
        target = ssh.check(
            ['sh', '-c', f'echo {recipe.VENV}/lib/python*/site-packages']
        ).strip()
        supervisor.run(
            f'project-{self.spec.name}',
            [
                'bash',
                '-c',
                _PUSH,
                'bash',
                sysconfig.get_path('purelib'),
                *_PROJECT,
                '--',
                *ssh.command(['tar', '--extract', '-C', target]),
            ],
            900,
        )
