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

"""The TCP ports of a lab: a block of free ports, found by binding them."""

import dataclasses
from pathlib import Path
import random
import socket

from lab.run import errors

#: The servers of every lab, in the order of their ports in the block.
NAMES = (
    'mariadb',
    'amqp',
    'rabbit-dist',
    'epmd',
    'keystone',
    'placement',
    'glance',
    'neutron',
    'nova',
)
#: The servers that an attested lab has too; their ports follow.
ATTESTATION_NAMES = (
    'registrar',
    'registrar-tls',
    'verifier',
    'attestd',
    'attestd-webhook',
    'attestd-evidence',
)
#: The servers of nova-isolation-api; their ports follow.
OPERATOR_NAMES = ('isolation', 'isolation-metrics')
_ALL = (*NAMES, *ATTESTATION_NAMES, *OPERATOR_NAMES)
_SSH_START = 24
_AGENT_START = 32
_TPM_START = 40
_MIGRATION_START = 56
#: Ports of each host. A migration needs one port for memory and one for disks.
_MIGRATION_PORTS = 8
_BLOCK = 104
_TRIES = 200


@dataclasses.dataclass(frozen=True)
class Ports:
    """A block of ports that starts at ``base``."""

    base: int

    def __getitem__(self, name: str) -> int:
        """The port of a server.

        :param name: one of NAMES, ATTESTATION_NAMES or OPERATOR_NAMES
        :raises ValueError: when there is no such server
        """
        return self.base + _ALL.index(name)

    def ssh(self, index: int) -> int:
        """The port that leads to the ssh server of the ``index``-th host.

        :raises LabError: when the block has no room for so many hosts
        """
        return self._range(index, _SSH_START, _AGENT_START)[0]

    def agent(self, index: int) -> int:
        """The port of the Keylime agent of the ``index``-th host.

        :raises LabError: when the block has no room for so many hosts
        """
        return self._range(index, _AGENT_START, _TPM_START)[0]

    def tpm(self, index: int) -> tuple[int, int]:
        """The data port and the control port of the ``index``-th host's TPM.

        TPM tools expect the control port right after the data port. The
        control port stands for what only the chipset may do.

        :raises LabError: when the block has no room for so many hosts
        """
        return self._range(index, _TPM_START, _MIGRATION_START, 2)

    def migration(self, index: int) -> tuple[int, int]:
        """First and last port for migrations to the ``index``-th host.

        :raises LabError: when the block has no room for so many hosts
        """
        return self._range(index, _MIGRATION_START, _BLOCK, _MIGRATION_PORTS)

    def _range(
        self, index: int, start: int, end: int, count: int = 1
    ) -> tuple[int, int]:
        """First and last port of a host within a part of the block.

        :param start: where the part starts in the block
        :param end: where the part ends in the block
        :param count: ports of each host
        """
        first = start + index * count
        if first + count > end:
            raise errors.LabError(
                f'the lab has no ports for compute host {index + 1}: '
                'use fewer hosts'
            )
        return self.base + first, self.base + first + count - 1


def find() -> Ports:
    """Choose a block of ports that no process uses now.

    The block lies below the range from which the kernel takes the local
    ports of outgoing connections: a port of ours could otherwise be taken by
    a client between this test and the start of its server. It starts at a
    random place, so that two labs which start together do not meet.

    :raises LabError: when no free block was found
    """
    range_file = Path('/proc/sys/net/ipv4/ip_local_port_range')
    limit = int(range_file.read_text(encoding='ascii').split()[0])
    if limit < 4096:
        limit = 65536
    chooser = random.SystemRandom()
    for _ in range(_TRIES):
        base = chooser.randrange(2048, limit - _BLOCK)
        if all(_free(port) for port in range(base, base + _BLOCK)):
            return Ports(base)
    raise errors.LabError(
        f'found no {_BLOCK} free ports in a row below {limit}, in {_TRIES} '
        'tries'
    )


def listening(port: int) -> bool:
    """Whether a server accepts connections on this port of 127.0.0.1."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=1):
            return True
    except OSError:
        return False


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            # This socket never listens. The wildcard address also collides
            # with servers that listen on one address only.
            probe.bind(('', port))  # nosec B104
        except OSError:
            return False
    return True
