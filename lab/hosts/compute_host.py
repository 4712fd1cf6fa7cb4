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


"""What the lab needs from a compute host, whatever kind of host it is.

There are two kinds: namespaces of this machine (lab.hosts.namespaced_host),
and a virtual machine (lab.hosts.machine_host).
"""

from collections.abc import Sequence
from pathlib import Path
import subprocess  # nosec B404: only for the type of a result
from typing import Protocol

from lab.config import host_specs
from lab.config import site as sites
from lab.run import records
from lab.run import supervisor as supervisors

#: The path at which every compute host has its QEMU.
EMULATOR = Path('/usr/bin/qemu-system-x86_64')
#: The limit for a short program on a host, which may be an emulated machine
#: whose cores are shared by ten others.
PROGRAM_SECONDS = 300.0


class ComputeHost(Protocol):
    """A compute host, on which commands run."""

    @property
    def site(self) -> sites.Site:
        """The addresses and passwords of the lab."""

    @property
    def spec(self) -> host_specs.HostSpec:
        """What the host is to be."""

    @property
    def daemon(self) -> str:
        """The name of the daemon that has to run before nova-compute."""

    @property
    def pids(self) -> Path:
        """The folder of the pid files of QEMU processes; for read()."""

    def emulator(self) -> Path:
        """The path of the host's QEMU; for read()."""

    def make(self, supervisor: supervisors.Supervisor) -> None:
        """Make the files of the host; start nothing."""

    def start(self, supervisor: supervisors.Supervisor) -> None:
        """Start the host, and wait until libvirt answers there."""

    def give(
        self, supervisor: supervisors.Supervisor, files: Sequence[Path]
    ) -> list[Path]:
        """Copy files of this machine to nova-compute's configuration.

        They belong to the user of nova-compute, and nobody else reads them.

        :returns: their paths on the host
        """

    def start_service(
        self,
        supervisor: supervisors.Supervisor,
        name: str,
        files: Sequence[Path],
    ) -> records.Daemon:
        """Start nova-compute on the host, as the user of its spec.

        :param name: the name of the daemon on this machine
        :param files: configuration files of nova-compute, on this machine
        """

    def stop_service(
        self, supervisor: supervisors.Supervisor, name: str
    ) -> None:
        """Stop nova-compute on the host."""

    def run(
        self,
        supervisor: supervisors.Supervisor,
        command: Sequence[str | Path],
        seconds: float = PROGRAM_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a short program on the host, as root.

        :returns: the result, whether the program failed or not
        :raises LabError: when the program does not end in time
        """

    def read(self, supervisor: supervisors.Supervisor, path: Path) -> str:
        """The text of a file of the host, without trailing zero bytes.

        :raises LabError: when the file cannot be read
        """

    def virsh(
        self, supervisor: supervisors.Supervisor, *arguments: str
    ) -> str:
        """Run a virsh command for this host.

        :returns: what virsh printed
        :raises LabError: when virsh failed
        """
