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

"""The paths of a lab: what lies where below its state folder."""

import dataclasses
import os
from pathlib import Path
import shutil
import sys
from typing import ClassVar

from lab.run import errors

CHECKOUT = Path(__file__).resolve().parent.parent.parent
#: The interpreter runs from the venv, but is a symlink out of it: resolving
#: it would lose the venv.
VENV = Path(sys.prefix)
BIN = VENV / 'bin'

#: sockaddr_un.sun_path, with its final zero byte.
_SOCKET_PATH_BYTES = 108
_MARK = 'this-is-a-nova-isolation-lab'


def cache() -> Path:
    """The folder for what outlives a checkout: state, logs, guest files."""
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'nova-isolation'


def default_state(name: str = 'default') -> Path:
    """The state folder of the lab called ``name``."""
    return cache() / 'lab' / name


@dataclasses.dataclass(frozen=True)
class HostLayout:
    """The folders of one compute host, seen from outside its namespace."""

    root: Path

    #: Folder below root -> the path it is mounted over for that host.
    MOUNTS: ClassVar[dict[str, str]] = {
        'etc-libvirt': '/etc/libvirt',
        'lib-libvirt': '/var/lib/libvirt',
        'log-libvirt': '/var/log/libvirt',
        'cache-libvirt': '/var/cache/libvirt',
        'run-libvirt': '/run/libvirt',
        'etc-nova': '/etc/nova',
        'lib-nova': '/var/lib/nova',
        'sudoers.d': '/etc/sudoers.d',
        'local-sbin': '/usr/local/sbin',
    }
    #: Files of which that holds, too.
    FILES: ClassVar[dict[str, str]] = {
        'passwd': '/etc/passwd',  # nosec B105: no password
        'group': '/etc/group',
        'hosts': '/etc/hosts',
    }

    @property
    def etc(self) -> Path:
        """What the host sees as /etc/libvirt."""
        return self.root / 'etc-libvirt'

    @property
    def run(self) -> Path:
        """What the host sees as /run/libvirt."""
        return self.root / 'run-libvirt'

    @property
    def socket(self) -> Path:
        """libvirtd's socket."""
        return self.run / 'libvirt-sock'

    @property
    def pids(self) -> Path:
        """The folder with the pid files of the host's QEMUs."""
        return self.run / 'qemu'

    @property
    def nova_etc(self) -> Path:
        """What the host sees as /etc/nova."""
        return self.root / 'etc-nova'

    @property
    def nova(self) -> Path:
        """What the host sees as /var/lib/nova, nova-compute's state_path."""
        return self.root / 'lib-nova'

    @property
    def instances(self) -> Path:
        """Nova's instances of this host."""
        return self.nova / 'instances'

    @property
    def scratch(self) -> Path:
        """An empty folder; see lab.hosts.namespaces."""
        return self.root / 'scratch'

    @property
    def sudoers(self) -> Path:
        """The file with what the user of nova-compute may do as root."""
        return self.root / 'sudoers.d' / 'nova'

    @property
    def local_sbin(self) -> Path:
        """What the host sees as /usr/local/sbin."""
        return self.root / 'local-sbin'

    @property
    def emulator(self) -> Path:
        """The host's own copy of QEMU, if the host has one."""
        return self.root / 'qemu-system-x86_64'

    @property
    def no_kvm(self) -> Path:
        """What the host sees as /dev/kvm where this machine has that."""
        return self.root / 'kvm'

    @property
    def container(self) -> Path:
        """An empty folder, over which a container's files are mounted."""
        return self.root / 'container'

    @property
    def taken_away(self) -> Path:
        """The file with the volumes that the container is to lack."""
        return self.root / 'taken-away'

    @property
    def uri(self) -> str:
        """The libvirt URI that reaches this host from outside."""
        return f'qemu+unix:///system?socket={self.socket}'


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders of one lab."""

    state: Path

    @property
    def etc(self) -> Path:
        """Configuration files, one folder for each project."""
        return self.state / 'etc'

    @property
    def log(self) -> Path:
        """One log for each daemon and each set-up step."""
        return self.state / 'log'

    @property
    def run(self) -> Path:
        """The records of running daemons: one file for each daemon."""
        return self.state / 'run'

    @property
    def data(self) -> Path:
        """The data of the control plane."""
        return self.state / 'data'

    @property
    def nova_conf(self) -> Path:
        """nova.conf of the control plane."""
        return self.etc / 'nova' / 'nova.conf'

    @property
    def isolation_api_conf(self) -> Path:
        """The configuration file of nova-isolation-api."""
        return self.etc / 'nova-isolation' / 'nova-isolation-api.conf'

    def host(self, name: str) -> HostLayout:
        """The folders of the compute host called ``name``."""
        return HostLayout(self.state / 'hosts' / name)

    def exists(self) -> bool:
        """Whether the state folder is that of a lab."""
        return (self.state / _MARK).exists()

    def make(self) -> None:
        """Make an empty state folder, in place of the lab that was there.

        :raises LabError: when the folder contains files that are not a
            lab's, or its path is too long for the sockets in it
        """
        # No host name is longer: see lab.config.host_specs.
        probe = self.host('x' * 20).socket
        if len(os.fsencode(probe)) >= _SOCKET_PATH_BYTES:
            raise errors.LabError(
                f'the path of the state folder, {self.state}, is too long '
                'for the sockets in it: choose a shorter one'
            )
        if self.state.exists() and any(self.state.iterdir()):
            if not self.exists():
                raise errors.LabError(
                    f'the state folder {self.state} is not empty, and it is '
                    'not the folder of a lab: choose another one'
                )
            shutil.rmtree(self.state)
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.state / _MARK).touch()
        for folder in (self.etc, self.log, self.run, self.data):
            folder.mkdir()


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file and its parent folders.

    :param mode: by default only the owner may read the file
    :returns: the path
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
        file.write(text)
    return path
