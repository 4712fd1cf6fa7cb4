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


"""Uses a guest's own QEMU as if the guest had broken into it.

The process really is the guest's QEMU, with the guest's label. The policy
forbids other programs to get the label of a guest.
"""

import json
from pathlib import Path
from typing import Any

from lab.cloud import cloud as clouds
from lab.run import errors

_AUDIT_LOG = Path('/var/log/audit/audit.log')
#: The marks of a denial in that log, of SELinux and of AppArmor.
_DENIED = ('avc:  denied', 'apparmor="DENIED"')
#: How long the audit daemon may need to write.
_AUDIT_SECONDS = 300


class Intruder:
    """The QEMU of a running guest, on a host that is a virtual machine."""

    def __init__(self, cloud: clouds.Cloud, server: Any) -> None:
        self._supervisor = cloud.supervisor
        self._host = cloud.hosts[server.compute_host]
        self._domain = str(server.instance_name)
        self._seen = self._audit_size()

    def open_file(self, path: Path, read_only: bool = False) -> str:
        """Open a file as a disk.

        :param path: the file; it is made readable and writable for all users
            of the host first
        :returns: QEMU's error; empty when QEMU could open the file
        """
        result = self._host.run(self._supervisor, ['chmod', '666', path])
        if result.returncode:
            raise errors.LabError(f'{path}: {result.stderr}')
        return self._ask(
            'blockdev-add',
            {
                'driver': 'file',
                'node-name': 'intruder',
                'filename': str(path),
                'read-only': read_only,
                # Otherwise QEMU's own lock refuses a second process.
                'locking': 'off',
            },
        )

    def listen(self, port: int) -> str:
        """Listen on a TCP port of the host.

        :returns: QEMU's error; empty when QEMU could listen
        """
        address = {'host': '127.0.0.1', 'port': str(port)}
        data = {
            'addr': {'type': 'inet', 'data': address},
            'server': True,
            'wait': False,
        }
        return self._ask(
            'chardev-add',
            {'id': 'intruder', 'backend': {'type': 'socket', 'data': data}},
        )

    def denials(self, *words: str) -> list[str]:
        """The audit log's denials since this object was made.

        :param words: words that each of the returned lines contains
        :raises LabError: when the log has no such line after some minutes
        """

        def found() -> list[str]:
            text = self._read(
                ['tail', '-c', f'+{self._seen + 1}', str(_AUDIT_LOG)]
            )
            return [
                line
                for line in text.splitlines()
                if any(word in line for word in _DENIED)
                and all(word in line for word in words)
            ]

        return self._supervisor.wait(
            f'a denial about {", ".join(words)}', found, _AUDIT_SECONDS
        )

    def _ask(self, command: str, arguments: dict[str, Any]) -> str:
        answer = json.loads(
            self._host.virsh(
                self._supervisor,
                'qemu-monitor-command',
                self._domain,
                json.dumps({'execute': command, 'arguments': arguments}),
            )
        )
        return str(answer.get('error', {}).get('desc', ''))

    def _audit_size(self) -> int:
        return int(self._read(['stat', '-c', '%s', str(_AUDIT_LOG)]))

    def _read(self, command: list[str]) -> str:
        result = self._host.run(self._supervisor, command)
        if result.returncode:
            raise errors.LabError(f'{" ".join(command)}: {result.stderr}')
        return result.stdout
