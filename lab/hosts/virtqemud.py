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

"""Runs a machine's libvirtd under the names of libvirt's modular daemon.

Debian builds libvirt without modular daemons. libvirtd and virtqemud are made
of one source (src/remote/remote_daemon.c), so libvirtd stands in for it: with
the name of the process, of its file, of its pid file and of its configuration,
with a link of the name of its socket, and in the same SELinux domain.
"""

from lab.machine import ssh as connections

_SECONDS = 900.0
_UNIT = (
    '[Unit]\n'
    'Description=libvirtd under the name of virtqemud\n'
    '[Service]\n'
    'Type=notify\n'
    'ExecStart=/usr/sbin/virtqemud -f /etc/libvirt/virtqemud.conf'
    ' -p /run/virtqemud.pid\n'
    'ExecReload=/bin/kill -HUP $MAINPID\n'
    'KillMode=process\n'
)
_START = """
set -eu
systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
systemctl stop libvirtd.service
systemctl mask --runtime libvirtd.socket libvirtd.service
cp --preserve=context,mode /usr/sbin/libvirtd /usr/sbin/virtqemud
cd /etc/libvirt
cp --preserve=context,mode libvirtd.conf virtqemud.conf
printf %s "$1" >/run/systemd/system/virtqemud.service
systemctl daemon-reload
systemctl start virtqemud.service
ln --symbolic --force libvirt-sock /run/libvirt/virtqemud-sock
"""


def start(ssh: connections.Ssh) -> None:
    """Stop the machine's libvirtd, and start the stand-in.

    :raises LabError: when a command failed
    """
    ssh.check(['sh', '-c', _START, 'sh', _UNIT], _SECONDS)
