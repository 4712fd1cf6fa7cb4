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

"""The QEMU process of a guest, as the kernel shows it in /proc."""

import itertools
import os
import re

from nova_isolation.host import privileged
from nova_isolation.probes import program


class QemuProcess:
    """One process.

    :ivar pid: its id
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @classmethod
    def find(cls, run_dir: str, name: str, uuid: str) -> 'QemuProcess':
        """The process of a domain.

        libvirt writes its id into a file. That is believed only if the
        process was started for the very domain, because ids are used again.

        :param run_dir: where libvirt keeps the files
        :param name: the domain's name
        :param uuid: the domain's UUID
        :raises OSError: there is no such file or process
        :raises ValueError: the process is another
        """
        path = os.path.join(run_dir, f'{name}.pid')
        text = privileged.read(path).strip()
        if not text.isdecimal():
            raise ValueError(f'{path} holds {text!r}, no process id')
        process = cls(int(text))
        arguments = process.arguments()
        # An empty UUID would be found in any command line.
        if not uuid or ('-uuid', uuid) not in itertools.pairwise(arguments):
            raise ValueError(
                f'process {text} of {path} is not the QEMU of domain {uuid}'
            )
        return process

    def arguments(self) -> list[str]:
        """The command line."""
        return self._read('cmdline').split('\0')

    def label(self) -> str:
        """The label in attr/current.

        :raises OSError: it cannot be read; so it is where the kernel has no
            security module
        """
        return self._read('attr/current').rstrip('\0\n')

    def seccomp(self) -> int:
        """The seccomp mode: 0 none, 1 strict, 2 filter (proc(5)).

        :raises ValueError: the kernel does not say
        """
        match = re.search(r'^Seccomp:\s*([0-9]+)$', self._read('status'), re.M)
        if match is None:
            raise ValueError(f'no Seccomp in /proc/{self.pid}/status')
        return int(match[1])

    def executable(self) -> program.Identity:
        """Which file it runs."""
        return privileged.executable(self.pid)

    def _read(self, name: str) -> str:
        return privileged.read(f'/proc/{self.pid}/{name}')
