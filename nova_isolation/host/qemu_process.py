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

"""The QEMU process of a guest, as the kernel reports it in procfs."""

from collections.abc import Sequence
import itertools
import os
import re

from nova_isolation.host import privileged
from nova_isolation.probes import program


class QemuProcess:
    """A QEMU process.

    :ivar pid: the process id
    """

    def __init__(self, pid: int, proc: str = '/proc') -> None:
        """:param pid: the process id, as ``proc`` shows it
        :param proc: where the processes are seen, ``[isolation] process_root``
        """
        self.pid = pid
        self._proc = proc

    @classmethod
    def find(
        cls, run_dir: str, name: str, uuid: str, proc: str = '/proc'
    ) -> 'QemuProcess':
        """Find the process of a domain.

        libvirt writes the process id into a file. The kernel reuses process
        ids, so the file counts only if the command line of the process names
        the UUID of the domain.

        :param run_dir: the folder of libvirt's pid files
        :param name: the domain's name
        :param uuid: the domain's UUID
        :param proc: where the processes are seen, ``[isolation] process_root``
        :raises OSError: the file or the process does not exist
        :raises ValueError: the process does not belong to the domain
        """
        path = os.path.join(run_dir, f'{name}.pid')
        text = privileged.read(path).strip()
        if not text.isdecimal():
            raise ValueError(
                f'{path} contains {text!r}, which is not a process id'
            )
        process = cls(int(text), proc)
        arguments = process.arguments()
        # An empty UUID would be found in any command line.
        if not uuid or ('-uuid', uuid) not in itertools.pairwise(arguments):
            raise ValueError(
                f'process {text} of {path} is not the QEMU of domain {uuid}'
            )
        return process

    def arguments(self) -> list[str]:
        """Return the command line of the process."""
        return self._read('cmdline').split('\0')

    def label(self) -> str:
        """Return the label in attr/current.

        :raises OSError: the label cannot be read, for example because the
            kernel has no security module
        """
        return self._read('attr/current').rstrip('\0\n')

    def seccomp(self) -> int:
        """Return the seccomp mode: 0 none, 1 strict, 2 filter (proc(5)).

        :raises ValueError: the kernel does not report a seccomp mode
        """
        match = re.search(r'^Seccomp:\s*([0-9]+)$', self._read('status'), re.M)
        if match is None:
            raise ValueError(
                f'{self._proc}/{self.pid}/status has no line "Seccomp:"'
            )
        return int(match[1])

    def executable(self) -> program.Identity:
        """Return the identity of the file that the process runs."""
        return privileged.executable(self.pid, self._proc)

    def identities(self, paths: Sequence[str]) -> program.Fingerprint:
        """Return the identity of files and folders, as the process has them.

        libvirt gives each QEMU a mount namespace of its own.
        """
        return privileged.identities(self.pid, paths, self._proc)

    def started(self) -> int:
        """Return when the process began, in clock ticks after the boot.

        :raises ValueError: the kernel does not say
        """
        # Field 22 of stat (proc(5)). The second is the name of the program in
        # parentheses, which may contain anything.
        fields = self._read('stat').rpartition(')')[2].split()
        return int(fields[19]) if len(fields) > 19 else int('')

    def _read(self, name: str) -> str:
        return privileged.read_process(self.pid, name, self._proc)
