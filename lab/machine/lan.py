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

"""The network of two machines, by which they send guests to each other.

It has nothing to do with the network in which each of them reaches this
machine. libvirt of a machine in it accepts connections from the other one.
"""

from pathlib import Path
import uuid

from lab.machine import qemu
from lab.machine import ssh as connections
from lab.run import layout as layouts

_SECONDS = 900.0
#: $1 is the number of the machine, $2 its address, $3 a UUID. All machines are
#: copies of one: the addresses of their cards are the same, what they take for
#: random, and the UUID by which libvirt knows a host, which does not send a
#: guest to itself.
_JOIN = r"""
set -eu
ip link set dev eth1 address "52:54:00:00:03:0$1"
ip address add "$2/24" dev eth1
ip link set dev eth1 up
printf 'auth_tcp = "none"\nhost_uuid = "%s"\n' "$3" \
    >>/etc/libvirt/libvirtd.conf
systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
systemctl stop libvirtd.service
systemctl start libvirtd-tcp.socket libvirtd.service
"""


def address(number: int) -> str:
    """The address of a machine.

    :param number: 1 or 2
    """
    return f'10.0.3.{number}'


def join(
    machine: qemu.Machine,
    ssh: connections.Ssh,
    layout: layouts.Layout,
    number: int,
) -> None:
    """Connect a machine with the other one of its cloud.

    :param number: 1 or 2; the other machine has the other number
    :raises LabError: when a command failed
    """
    machine.plug(_socket(layout, number), _socket(layout, 3 - number))
    ssh.check(
        [
            *('sh', '-c', _JOIN, 'sh'),
            *(str(number), address(number), str(uuid.uuid4())),
        ],
        _SECONDS,
    )


def _socket(layout: layouts.Layout, number: int) -> Path:
    return layout.run / f'lan-{number}'
