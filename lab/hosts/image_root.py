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

"""Runs a command in the root folder of an image, as a container does.

The image has this machine's programs without QEMU, without libvirt's files,
and without what is in /run. What else the command sees of its host is mounted.
"""

from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path

from lab.config import volumes
from lab.hosts import namespaces

#: What a machine that runs libvirt and QEMU has, and the image has not.
#: The images of nova-compute have qemu-img, and so has this one.
_NOT_IN_IMAGE = (
    'etc/libvirt',
    'usr/bin/qemu-system-*',
    'usr/lib/*/qemu',
    'usr/sbin/libvirtd',
    'var/lib/libvirt/*',
    'run/*',
)
#: Options of unshare(1) for a process namespace.
_PROCESSES = ('--pid', '--fork', '--kill-child')
#: $1 is the host name, $2 an empty folder. Then there are the patterns of what
#: the image lacks; "--"; the folders that are emptied; "--"; triples of a
#: volume (source, target, "ro" or "rw"); "--"; the command.
_ENTER = """
set -eu
hostname "$1"
scratch=$2
shift 2
mount -t tmpfs -o mode=0755 tmpfs "$scratch"
cd "$scratch"
mkdir upper work root empty
# SELinux has a domain for mount, which may neither write in a tmpfs, as an
# overlay does in the name of who mounted it, nor mount on every folder. A copy
# runs in the domain of its caller.
cp "$(command -v mount)" "$scratch/mount"
mount() { "$scratch/mount" "$@"; }
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
root=$scratch/root
while [ "$1" != -- ]; do
    rm -rf "$root"/$1
    shift
done
shift
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount -t tmpfs -o mode=0755 tmpfs "$root$1"
    shift
done
shift
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then
        mkdir -p "$root$2"
    else
        mkdir -p "$(dirname "$root$2")"
        touch "$root$2"
    fi
    mount --bind "$1" "$root$2"
    if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
    shift 3
done
shift
cd "$root"
mkdir -p .host
pivot_root . .host
umount --lazy /.host
rmdir /.host
exec "$@"
"""


def inside(
    name: str,
    scratch: Path,
    mounts: Iterable[volumes.Volume],
    command: Sequence[str | Path],
    emptied: Iterable[Path] = (),
    processes: bool = True,
) -> list[str | Path]:
    """The command line that runs ``command`` in the root of an image.

    It has a mount namespace and a host name of its own. Whoever ends it
    signals the process group: ``unshare`` itself lets SIGTERM pass.

    :param name: the host name
    :param scratch: an empty folder; below it, ``empty`` is one in the image
    :param mounts: what to mount, in this order
    :param emptied: folders of the machine that the image has, but empty
    :param processes: whether it has a process namespace of its own
    """
    triples: list[str | Path] = []
    for volume in mounts:
        triples += [
            str(volume.source),
            str(volume.target),
            'ro' if volume.read_only else 'rw',
        ]
    return [
        *namespaces.unshared(_ENTER, *(_PROCESSES if processes else ())),
        name,
        scratch,
        *_NOT_IN_IMAGE,
        '--',
        *emptied,
        '--',
        *triples,
        '--',
        *command,
    ]
