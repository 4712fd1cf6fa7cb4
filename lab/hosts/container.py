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

"""Runs a compute host's nova-compute as the container of a deployer.

On a host in namespaces it is that of Kolla-Ansible, with namespaces of its own
for processes, mounts and the host name. On a virtual machine it is that of
EDPM (edpm-ansible), which shares the processes of the host. libvirtd and QEMU
run outside, on the host, as does the network of both.
"""

from collections.abc import Sequence
from pathlib import Path
from pathlib import PurePosixPath
import sys

from lab.config import edpm
from lab.config import kolla
from lab.config import site as sites
from lab.config import volumes
from lab.hosts import image_root
from lab.hosts import namespaces
from lab.machine import recipe
from lab.run import layout as layouts

#: What both deployers mount by default, as far as the lab has it. Sources:
#: nova_compute_default_volumes and run_default_volumes_podman of
#: kolla-ansible's role nova-cell, edpm_nova_compute_common_volumes of
#: edpm-ansible's role edpm_nova. The configuration is in a volume that is
#: copied from. /dev is in every image of lab.hosts.image_root.
_DEFAULT = ('/etc/nova', '/run/libvirt', '/var/lib/libvirt', '/var/lib/nova')
#: Files of a host in namespaces that an image brings: user nova, its right to
#: sudo, and the programs of Nova on sudo's path.
_OF_THE_IMAGE = (
    '/etc/group',
    '/etc/hosts',
    '/etc/passwd',
    '/etc/sudoers.d',
    '/usr/local/sbin',
)
#: The empty folder on a virtual machine.
_SCRATCH = Path('/mnt')


def inside(
    site: sites.Site, name: str, command: Sequence[str | Path]
) -> list[str | Path]:
    """The command line that runs ``command`` in a container of Kolla-Ansible.

    It is to be run in the namespaces of the host.

    :param name: the name of the compute host
    """
    state = site.layout.state
    return image_root.inside(
        name,
        site.layout.host(name).container,
        mounts(site, name),
        command,
        dict.fromkeys([*namespaces.covers([*_programs(), state]), state]),
    )


def inside_machine(
    site: sites.Site, name: str, command: Sequence[str | Path]
) -> list[str | Path]:
    """The command line that runs ``command`` in a container of EDPM.

    It is to be run on the virtual machine.

    :param name: the name of the compute host
    """
    return image_root.inside(
        name,
        _SCRATCH,
        machine_mounts(site, name),
        command,
        processes=False,
    )


def as_user(user: str, command: Sequence[str | Path]) -> list[str | Path]:
    """The command line that runs ``command`` as a user, from root."""
    if user == 'root':
        return list(command)
    return [
        'setpriv',
        f'--reuid={user}',
        f'--regid={user}',
        '--init-groups',
        'env',
        f'HOME={recipe.STATE}',
        *command,
    ]


def take_away(site: sites.Site, name: str, targets: Sequence[str]) -> None:
    """Let the host's container lack these folders when it starts.

    :param name: the name of the compute host
    :param targets: paths in the container, of volumes or below one; none
        gives all of them back
    """
    layouts.write(site.layout.host(name).taken_away, '\n'.join(targets))


def mounts(site: sites.Site, name: str) -> list[volumes.Volume]:
    """What the container of a host in namespaces sees of it, in this order."""
    host = site.layout.host(name)
    return _there(
        host,
        host.container,
        *(_same(path, read_only=True) for path in _programs()),
        *(_same(path, read_only=True) for path in _OF_THE_IMAGE),
        *(_same(path) for path in _DEFAULT),
        *kolla.extra_volumes(),
    )


def machine_mounts(site: sites.Site, name: str) -> list[volumes.Volume]:
    """What the container on a virtual machine sees of it, in this order."""
    return _there(
        site.layout.host(name),
        _SCRATCH,
        *(_same(path) for path in _DEFAULT),
        *edpm.extra_volumes(),
    )


def _there(
    host: layouts.HostLayout, scratch: Path, *wanted: volumes.Volume
) -> list[volumes.Volume]:
    """The volumes without those that take_away() names."""
    gone = []
    if host.taken_away.exists():
        gone = host.taken_away.read_text(encoding='utf-8').splitlines()
    there = [volume for volume in wanted if str(volume.target) not in gone]
    # What is below a volume is covered by an empty folder.
    return there + [
        volumes.Volume(
            PurePosixPath(scratch / 'empty'),
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


def _same(path: str | Path, read_only: bool = False) -> volumes.Volume:
    """A volume that has the same path on the host and in the container."""
    return volumes.Volume(PurePosixPath(path), PurePosixPath(path), read_only)
