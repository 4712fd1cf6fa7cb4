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

"""What a compute host says of its guests, over ssh."""

import re
import shlex
from typing import Any
from xml.etree import ElementTree

from tempest import config
from tempest.lib.common import ssh

from nova_isolation_tempest_plugin.tests.whitebox import guest

CONF = config.CONF
#: A line that no part of an answer has.
_END = '--- end of a part ---'
#: Everything in one command, because each is a login of its own.
_QUESTIONS = """
set -eu
pid=$(cat {folder}/{name}.pid)
{virsh} dumpxml {name}
echo '{end}'
{virsh} domstate {name}
echo '{end}'
cat /proc/$pid/status
echo '{end}'
tr '\\0' ' ' </proc/$pid/cmdline
echo '{end}'
cat /proc/$pid/attr/current
"""


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

    def guest(self, server: dict[str, Any]) -> guest.Guest:
        """Look at a running guest.

        :param server: as an admin sees it
        :raises tempest.lib.exceptions.SSHExecCommandFailed: there is no such
            guest
        :raises ValueError: its process is not what it should be
        """
        options = CONF.isolation_whitebox
        answer = self._run(
            _QUESTIONS.format(
                folder=shlex.quote(options.pid_folder),
                name=shlex.quote(server['OS-EXT-SRV-ATTR:instance_name']),
                virsh=options.virsh,
                end=_END,
            )
        )
        xml, state, status, arguments, label = answer.split(f'{_END}\n')
        if server['id'] not in arguments:
            raise ValueError(f'no QEMU of {server["id"]}: {arguments}')
        seccomp = re.search(r'^Seccomp:\s*(\d+)$', status, re.MULTILINE)
        if seccomp is None:
            raise ValueError(f'the kernel says nothing of Seccomp: {status}')
        domain = ElementTree.fromstring(xml.strip())
        return guest.Guest(
            domain.findtext('./seclabel/label', ''),
            domain.findtext('./seclabel/imagelabel', ''),
            label.rstrip('\0\n'),
            int(seccomp[1]),
            state.strip(),
        )

    def enforces(self) -> bool:
        """Return whether the kernel of the host enforces SELinux."""
        return self._run('cat /sys/fs/selinux/enforce').strip() == '1'

    def domains(self) -> frozenset[str]:
        """Return the UUIDs of all guests that libvirt of the host knows."""
        virsh = CONF.isolation_whitebox.virsh
        return frozenset(self._run(f'{virsh} list --all --uuid').split())

    def _run(self, script: str) -> str:
        command = f'sh -c {shlex.quote(script)}'
        become = CONF.isolation_whitebox.become
        return str(self._ssh.exec_command(f'{become} {command}'.strip()))
