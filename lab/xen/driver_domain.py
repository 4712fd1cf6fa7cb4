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


"""A driver domain: a guest that serves disks to other guests.

It boots dom0's own root file system, read-only, from the machine's second
disk. Only its init differs.
"""

from pathlib import Path

from lab.machine import ssh as connections
from lab.machine import tree as trees
from lab.run import supervisor as supervisors
from lab.xen import initramfs
from lab.xen import recipe

NAME = 'driver-domain'
LABEL = f'system_u:system_r:{recipe.DRIVER_DOMAIN_TYPE}'
#: The file that it serves by itself; its first bytes are this text.
DISK, DISK_TEXT = Path('/run/served.raw'), 'SERVED-BY-THE-DRIVER-DOMAIN'
_INIT_FILE = '/usr/local/sbin/lab-driver-domain'
_INITRAMFS = recipe.GUESTS / 'driver-domain-initramfs'
_CONFIGURATION = recipe.GUESTS / 'driver-domain.cfg'
_MARK = 'DRIVER-DOMAIN-UP'
_SECONDS = 900
_MODULES = (
    'xen-blkfront',
    'crc16',
    'crc32c_generic',
    'jbd2',
    'mbcache',
    'ext4',
)
_INIT = f"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules); do $b insmod /lib/$module.ko; done
until [ -b /dev/xvda ]; do $b sleep 1; done
$b mount -t ext4 -o ro /dev/xvda /new
$b umount /proc /sys /dev
exec $b switch_root /new {_INIT_FILE}
"""
_MAIN = f"""#!/bin/bash
# The init of a driver domain; see lab/xen/driver_domain.py.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for folder in /run /tmp /root /var/log /var/lib/xen; do
    mount -t tmpfs tmpfs $folder
done
mkdir -p /run/xen /run/lock /run/udev /var/log/xen
# libxl's block script locks by /dev/stdin, and loops without it.
ln -sfn /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
for module in xenfs xen-privcmd xen-evtchn xen-gntdev xen-gntalloc \\
    xen-blkback loop
do
    modprobe $module
done
mount -t xenfs xenfs /proc/xen
hostname {NAME}
truncate -s 8M {DISK}
echo {DISK_TEXT} | dd of={DISK} conv=notrunc status=none
/lib/systemd/systemd-udevd --daemon
xl devd -F &
until [ -e /run/xen/xldevd.pid ] || pgrep -f 'xl devd' >/run/devd; do
    sleep 1
done
echo "{_MARK} $(xenstore-read domid)"
while :; do sleep 100; done
"""
_CFG = f"""name = "{NAME}"
type = "pv"
kernel = "{recipe.GUESTS}/vmlinux"
ramdisk = "{_INITRAMFS}"
cmdline = "console=hvc0 quiet selinux=0 net.ifnames=0"
memory = 256
vcpus = 1
driver_domain = 1
seclabel = "{LABEL}"
disk = ["phy:/dev/vdb,xvda,r"]
"""


def make(supervisor: supervisors.Supervisor, tree: trees.Tree) -> None:
    """Put its files into dom0's tree.

    :raises LabError: when its initramfs cannot be packed
    """
    tree.write(_INIT_FILE, _MAIN)
    tree.path(_INIT_FILE).chmod(0o755)
    tree.write(str(_CONFIGURATION), _CFG)
    initramfs.pack(
        supervisor, tree, tree.path(_INITRAMFS), _INIT, _MODULES, {}
    )


def start(ssh: connections.Ssh) -> None:
    """Start it on the machine, and wait until it serves.

    :raises LabError: when it does not
    """
    ssh.check(['xl', 'create', '-q', _CONFIGURATION], _SECONDS)
    log = recipe.CONSOLES / f'guest-{NAME}.log'
    ssh.check(
        ['sh', '-c', f'until grep -q {_MARK} {log}; do sleep 1; done'],
        _SECONDS,
    )
