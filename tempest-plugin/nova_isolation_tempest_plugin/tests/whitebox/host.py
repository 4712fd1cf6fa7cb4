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

"""What a compute host says of a guest, over ssh."""

import dataclasses
import re
import shlex
from typing import Any
from xml.etree import ElementTree

from tempest import config
from tempest.lib.common import ssh

CONF = config.CONF


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest as libvirt and the kernel of its host see it.

    :ivar wanted: the security label that libvirt's XML has for the process
    :ivar image: the label that libvirt's XML has for the disks
    :ivar label: the label of the process, of /proc/PID/attr/current
    :ivar seccomp: "Seccomp" of /proc/PID/status; 2 is a filter
    :ivar state: libvirt's state of the domain
    """

    wanted: str
    image: str
    label: str
    seccomp: int
    state: str

    @property
    def categories(self) -> frozenset[str]:
        """The MCS categories of the process's SELinux label, as cN.

        Empty where the label is none of SELinux. A range cN.cM is the set of
        all between.
        """
        _, _, level = self.label.partition(':s0:')
        found: set[str] = set()
        for part in filter(None, level.split(',')):
            first, _, last = part.partition('.')
            numbers = (
                int(n.removeprefix('c')) for n in (first, last or first)
            )
            start, end = numbers
            found.update(f'c{n}' for n in range(start, end + 1))
        return frozenset(found)


class Host:
    """A compute host, over ssh."""

    def __init__(self, name: str) -> None:
        """:param name: the name of its compute service, one of the option"""
        options = CONF.isolation_whitebox
        self._ssh = ssh.Client(
            options.hosts[name],
            options.user,
            key_filename=options.key,
            port=options.port,
            timeout=options.command_timeout,
            channel_timeout=options.command_timeout,
        )

    def guest(self, server: dict[str, Any]) -> Guest:
        """Look at a running guest.

        :param server: as an admin sees it
        :raises tempest.lib.exceptions.SSHExecCommandFailed: there is no such
            guest
        :raises ValueError: its process is not what it should be
        """
        name = server['OS-EXT-SRV-ATTR:instance_name']
        xml = ElementTree.fromstring(self._virsh('dumpxml', name))
        pid = self._pid(name, server['id'])
        status = self._read(f'/proc/{pid}/status')
        found = re.search(r'^Seccomp:\s*(\d+)$', status, re.MULTILINE)
        if found is None:
            raise ValueError(f'the kernel says no Seccomp of {pid}: {status}')
        return Guest(
            xml.findtext('./seclabel/label', ''),
            xml.findtext('./seclabel/imagelabel', ''),
            self._read(f'/proc/{pid}/attr/current').rstrip('\0\n'),
            int(found[1]),
            self._virsh('domstate', name).strip(),
        )

    def enforces(self) -> bool:
        """Return whether the kernel of the host enforces SELinux."""
        return self._read('/sys/fs/selinux/enforce').strip() == '1'

    def _pid(self, name: str, server: str) -> int:
        text = self._read(f'{CONF.isolation_whitebox.pid_folder}/{name}.pid')
        pid = int(text)
        if server not in self._read(f'/proc/{pid}/cmdline'):
            raise ValueError(f'process {pid} is not the QEMU of {server}')
        return pid

    def _virsh(self, *words: str) -> str:
        return self._run(
            f'{CONF.isolation_whitebox.virsh} {shlex.join(words)}'
        )

    def _read(self, path: str) -> str:
        return self._run(f'cat {shlex.quote(path)}')

    def _run(self, command: str) -> str:
        become = CONF.isolation_whitebox.become
        return str(self._ssh.exec_command(f'{become} {command}'.strip()))
