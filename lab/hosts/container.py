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

"""Runs a compute host's nova-compute as a container of Kolla-Ansible does.

It has namespaces of its own for processes, mounts and the host name, and a
root like that of an image: this machine's files without QEMU, without
libvirt's configuration and state, and without the lab's own files. It sees of
its host what Kolla-Ansible mounts by default, and what contrib/kolla adds.
libvirtd and QEMU run outside, on the host. The network is the host's, as it is
with Kolla-Ansible.
"""

from collections.abc import Sequence
from pathlib import Path
from pathlib import PurePosixPath
import sys

from lab.config import kolla
from lab.config import site as sites
from lab.hosts import namespaces
from lab.run import layout as layouts

#: What Kolla-Ansible mounts by default, as far as the lab has it:
#: nova_compute_default_volumes and run_default_volumes_podman of its role
#: nova-cell. Its files for /etc/nova are in a volume that is copied from. Also
#: mounted are /dev (below) and /lib/modules, which the lab does not need.
_DEFAULT = ('/etc/nova', '/run/libvirt', '/var/lib/libvirt', '/var/lib/nova')
#: Files of the lab's host that an image brings: user nova, its right to sudo,
#: and the programs of Nova on sudo's path.
_OF_THE_IMAGE = (
    '/etc/group',
    '/etc/hosts',
    '/etc/passwd',
    '/etc/sudoers.d',
    '/usr/local/sbin',
)
#: What a machine that runs libvirt and QEMU has, and the image has not.
#: Kolla's nova-compute image has qemu-utils, and so has this one.
_NOT_IN_IMAGE = (
    'etc/libvirt',
    'usr/bin/qemu-system-*',
    'usr/lib/*/qemu',
    'usr/sbin/libvirtd',
    'var/lib/libvirt/*',
    'run/*',
)
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
    site: sites.Site, name: str, command: Sequence[str | Path]
) -> list[str | Path]:
    """The command line that runs ``command`` in the host's container.

    It is to be run in the namespaces of the host. Whoever ends the container
    signals the process group: ``unshare`` itself lets SIGTERM pass.

    :param name: the name of the compute host
    """
    mounts: list[str | Path] = []
    for volume in volumes(site, name):
        mounts += [
            str(volume.source),
            str(volume.target),
            'ro' if volume.read_only else 'rw',
        ]
    state = site.layout.state
    emptied = dict.fromkeys([*namespaces.covers([*_programs(), state]), state])
    return [
        'unshare',
        '--mount',
        '--uts',
        '--pid',
        '--fork',
        '--kill-child',
        '--propagation',
        'private',
        'sh',
        '-c',
        _ENTER,
        'sh',
        name,
        site.layout.host(name).container,
        *_NOT_IN_IMAGE,
        '--',
        *emptied,
        '--',
        *mounts,
        '--',
        *command,
    ]


def take_away(site: sites.Site, name: str, targets: Sequence[str]) -> None:
    """Let the host's container lack these folders when it starts.

    :param name: the name of the compute host
    :param targets: paths in the container, of volumes or below one; none
        gives all of them back
    """
    layouts.write(site.layout.host(name).taken_away, '\n'.join(targets))


def volumes(site: sites.Site, name: str) -> list[kolla.Volume]:
    """What the host's container is to see of its host, in this order."""
    host = site.layout.host(name)
    image = [_same(path, True) for path in _programs()]
    image += [_same(path, True) for path in _OF_THE_IMAGE]
    default = [_same(path, False) for path in _DEFAULT]
    gone = []
    if host.taken_away.exists():
        gone = host.taken_away.read_text(encoding='utf-8').splitlines()
    there = [
        volume
        for volume in image + default + kolla.extra_volumes()
        if str(volume.target) not in gone
    ]
    # What is below a volume is covered by an empty folder.
    return there + [
        kolla.Volume(
            PurePosixPath(host.container / 'empty'),
            PurePosixPath(path),
            read_only=True,
        )
        for path in gone
        if any(
            PurePosixPath(path).is_relative_to(volume.target)
            for volume in there
        )
    ]


def _programs() -> list[Path]:
    """Nova and this project; in an image of Kolla /var/lib/kolla/venv.

    /usr is not among them: QEMU, which the image lacks, is below it.
    """
    python = Path(sys.base_prefix)
    return [
        layouts.VENV,
        *([] if python.is_relative_to('/usr') else [python]),
    ]


def _same(path: str | Path, read_only: bool) -> kolla.Volume:
    """A volume that has the same path on the host and in the container."""
    return kolla.Volume(PurePosixPath(path), PurePosixPath(path), read_only)
