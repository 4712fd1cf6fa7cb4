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


"""A guest's own QEMU, doing what one would that the guest has broken into.

The process has the label that the guest's QEMU has because it is that
process: no test tool could enter a guest's label, the policy forbids it.
"""

import json
from pathlib import Path
from typing import Any

from lab.cloud import cloud as clouds
from lab.run import errors

_AUDIT_LOG = Path('/var/log/audit/audit.log')
#: What both modules write there of what they did not allow.
_DENIED = ('avc:  denied', 'apparmor="DENIED"')
#: How long the audit daemon may take to write.
_AUDIT_SECONDS = 60


class Intruder:
    """The QEMU of one running guest, on a host that is a machine."""

    def __init__(self, cloud: clouds.Cloud, server: Any) -> None:
        self._supervisor = cloud.supervisor
        self._host = cloud.hosts[server.compute_host]
        self._domain = str(server.instance_name)
        self._seen = self._audit_size()

    def open_file(self, path: Path, read_only: bool = False) -> str:
        """Open a file as a disk.

        :param path: any user of the host may read and write it: it is made
            so first
        :returns: QEMU's error; empty when it could
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
                # Else QEMU's own lock is in the way of a second opener.
                'locking': 'off',
            },
        )

    def listen(self, port: int) -> str:
        """Listen on a TCP port of the host.

        :returns: QEMU's error; empty when it could
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
        """What the kernel has denied since this object was made.

        :param words: all of these are in each of the lines
        :raises LabError: when there is none after a while
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
