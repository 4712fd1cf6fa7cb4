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

"""A compute host made of namespaces of this machine, and its libvirtd.

The compute host is a folder. Everything on the host runs in mount and UTS
namespaces in which the parts of that folder are mounted on libvirt's usual
paths. So libvirtd and nova-compute find each other, and Nova's driver finds
its host's files, at the same paths as on a real host.
"""

from collections.abc import Sequence
import dataclasses
from pathlib import Path
import shutil
import subprocess  # nosec B404: only for the type of a result
import sys
import uuid

from lab.config import host_specs
from lab.config import site as sites
from lab.emulator import cache as emulators
from lab.hosts import compute_host
from lab.hosts import container
from lab.hosts import executable_stack
from lab.hosts import namespaces
from lab.hosts import nova_files
from lab.machine import nova_account
from lab.run import errors
from lab.run import layout as layouts
from lab.run import progress as progresses
from lab.run import records
from lab.run import supervisor as supervisors

_START_SECONDS = 300
_KVM = Path('/dev/kvm')
_HIDE = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'


@dataclasses.dataclass(frozen=True)
class NamespacedHost:
    """A compute host made of namespaces; see lab.hosts.compute_host."""

    site: sites.Site
    spec: host_specs.HostSpec
    #: Its index among the lab's hosts, from 0.
    index: int

    @property
    def layout(self) -> layouts.HostLayout:
        """The host's folders."""
        return self.site.layout.host(self.spec.name)

    @property
    def _nova(self) -> nova_files.NovaFiles:
        return nova_files.NovaFiles(self.layout, self.spec)

    @property
    def daemon(self) -> str:
        """The name of the host's libvirtd."""
        return f'libvirtd-{self.spec.name}'

    def inside(self, command: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs ``command`` in the host's namespaces."""
        layout = self.layout
        mounts = {
            layout.root / name: Path(path)
            for name, path in (*layout.MOUNTS.items(), *layout.FILES.items())
        }
        # It is mounted over the stock emulator, because the XML of a migrated
        # guest names the emulator by its path.
        if self.spec.emulator != 'stock':
            mounts[layout.emulator] = compute_host.EMULATOR
        # libvirt asks whether QEMU's user may use KVM, and QEMU whether it
        # can. Where the answers differ, as they do if the device belongs to an
        # unknown group, libvirt examines QEMU again at each call.
        if _KVM.exists():
            mounts[layout.no_kvm] = _KVM
        return namespaces.inside(
            self.spec.name,
            layout.scratch,
            mounts,
            # Libvirt of another host is reached in the state folder, by root.
            (layouts.VENV, Path(sys.base_prefix), self.site.layout.state),
            command,
        )

    def emulator(self) -> Path:
        """The path of the host's QEMU outside the namespaces."""
        if self.spec.emulator == 'stock':
            return compute_host.EMULATOR
        return self.layout.emulator

    @property
    def pids(self) -> Path:
        """The path outside the namespaces; see lab.hosts.compute_host."""
        return self.layout.pids

    def make(self, supervisor: supervisors.Supervisor) -> None:
        """Make folders, users, QEMU, libvirt's configuration and the hook."""
        layout = self.layout
        layout.scratch.mkdir(parents=True)
        for folder in layout.MOUNTS:
            (layout.root / folder).mkdir()
        layout.container.mkdir()
        layout.no_kvm.touch(mode=0)
        self._nova.make()
        if self.spec.emulator == 'execstack':
            executable_stack.copy(compute_host.EMULATOR, layout.emulator)
        elif self.spec.emulator == 'stripped':
            shutil.copy(
                emulators.emulator(supervisor, progresses.Progress()),
                layout.emulator,
            )
        layouts.write(layout.etc / 'qemu.conf', self._qemu_conf())
        layouts.write(
            layout.etc / 'libvirtd.conf',
            'auth_unix_ro = "none"\n'
            'auth_unix_rw = "none"\n'
            f'unix_sock_group = "{nova_account.LIBVIRT_GROUP}"\n'
            'unix_sock_rw_perms = "0770"\n'
            # By default it is this machine's, the same for all hosts, and
            # libvirt only migrates to another host.
            f'host_uuid = "{uuid.uuid4()}"\n'
            'log_outputs = "3:stderr"\n',
        )
        if self.spec.guarded:
            self.hook(supervisor, 'install')

    def hook(self, supervisor: supervisors.Supervisor, command: str) -> str:
        """Run ``nova-isolation-hook COMMAND`` on this host.

        :returns: what it printed
        :raises LabError: when it failed
        """
        result = supervisor.output(
            self.inside([layouts.BIN / 'nova-isolation-hook', command])
        )
        if result.returncode:
            raise errors.LabError(
                f'{self.spec.name}: nova-isolation-hook {command}: '
                f'{result.stdout}{result.stderr}'
            )
        return result.stdout

    def start(self, supervisor: supervisors.Supervisor) -> None:
        """Start the host's libvirtd, and check which QEMU it found.

        :raises LabError: when libvirtd does not answer, or uses another QEMU
        """
        daemon = supervisor.start(
            self.daemon,
            self.inside(
                [
                    'libvirtd',
                    '-f',
                    '/etc/libvirt/libvirtd.conf',
                    '-p',
                    '/run/libvirt/libvirtd.pid',
                ]
            ),
        )
        supervisor.wait(
            f'libvirtd of {self.spec.name}',
            self.layout.socket.exists,
            _START_SECONDS,
            daemon,
        )
        found = supervisor.wait(
            f'libvirtd of {self.spec.name}',
            lambda: self._domcapabilities(supervisor),
            _START_SECONDS,
            daemon,
        )
        if f'<path>{compute_host.EMULATOR}</path>' not in found:
            raise errors.LabError(
                f'libvirtd of {self.spec.name} found another QEMU than '
                f'{compute_host.EMULATOR}:\n{found[:500]}'
            )
        seen = Path(f'/proc/{daemon.pid}/root{compute_host.EMULATOR}')
        if not seen.samefile(self.emulator()):
            raise errors.LabError(
                f'{compute_host.EMULATOR} of {self.spec.name} is not '
                f'{self.emulator()}'
            )

    def give(
        self, supervisor: supervisors.Supervisor, files: Sequence[Path]
    ) -> list[Path]:
        """See lab.hosts.compute_host."""
        return self._nova.give(files)

    def start_service(
        self,
        supervisor: supervisors.Supervisor,
        name: str,
        files: Sequence[Path],
    ) -> records.Daemon:
        """Start nova-compute in the host's namespaces."""
        command: list[str | Path] = [layouts.BIN / 'nova-compute']
        for file in self.give(supervisor, files):
            command += ['--config-file', file]
        command = container.as_user(self.spec.user, command)
        if self.spec.hidepid:
            command = ['sh', '-c', _HIDE, 'sh', *command]
        contained = self.spec.layout == 'container'
        if contained:
            command = container.inside(self.site, self.spec.name, command)
        return supervisor.start(name, self.inside(command), group=contained)

    def stop_service(
        self, supervisor: supervisors.Supervisor, name: str
    ) -> None:
        """Stop nova-compute."""
        supervisor.stop([name], 20)

    def run(
        self,
        supervisor: supervisors.Supervisor,
        command: Sequence[str | Path],
        seconds: float = compute_host.PROGRAM_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a short program in the host's namespaces."""
        return supervisor.output(self.inside(command), seconds)

    def read(self, supervisor: supervisors.Supervisor, path: Path) -> str:
        """The text of a file outside the namespaces."""
        try:
            text = path.read_text(encoding='utf-8', errors='replace')
        except OSError as error:
            raise errors.LabError(f'{self.spec.name}: {error}') from error
        return text.rstrip('\0')

    def virsh(
        self, supervisor: supervisors.Supervisor, *arguments: str
    ) -> str:
        """Run a virsh command for this host.

        :returns: what virsh printed
        :raises LabError: when virsh failed
        """
        result = supervisor.output(
            ['virsh', '-q', '-c', self.layout.uri, *arguments]
        )
        if result.returncode:
            raise errors.LabError(
                f'{self.spec.name}: virsh '
                f'{" ".join(arguments)}: {result.stderr}'
            )
        return result.stdout

    def _domcapabilities(self, supervisor: supervisors.Supervisor) -> str:
        result = supervisor.output(
            ['virsh', '-q', '-c', self.layout.uri, 'domcapabilities']
        )
        return '' if result.returncode else result.stdout

    def _qemu_conf(self) -> str:
        first, last = self.site.ports.migration(self.index)
        # libvirt refuses 127.0.0.1 as a destination, but accepts the rest of
        # 127/8.
        address = f'127.0.0.{self.index + 2}'
        return (
            # libvirt takes several settings in one line.
            f'user = "{nova_account.EMULATOR_USER}"; '
            f'seccomp_sandbox = {int(self.spec.sandbox)}\n'
            'dynamic_ownership = 1\n'
            # These need systemd, or another mount namespace below ours.
            'cgroup_controllers = [ ]\n'
            'namespaces = [ ]\n'
            # There is no virtlogd.
            'stdio_handler = "file"\n'
            f'migration_address = "{address}"\n'
            f'migration_host = "{address}"\n'
            f'migration_port_min = {first}\n'
            f'migration_port_max = {last}\n'
        )
