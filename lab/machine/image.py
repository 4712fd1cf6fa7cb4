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


"""Builds the machine's disk image, kernel and keys from Debian packages."""

import dataclasses
import os
from pathlib import Path
import shutil

from lab.machine import nova_account
from lab.machine import policy
from lab.machine import recipe
from lab.machine import sources
from lab.machine import tree as trees
from lab.run import layout as layouts
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors

_SECONDS = 3600
_DISK = '4G'
#: The folder of the lists for pip on the machine, during the build.
_PIP = '/var/tmp/nova'  # noqa: S108  # nosec B108
#: The run-time dependencies of this project and of Nova's compute service.
#: libvirt-python is Debian's: it has to fit the machine's libvirt.
_NOVA = """
set -eu
python3 -m venv --system-site-packages "$1"
"$1/bin/pip" install --quiet --no-compile --constraint "$2/constraints.txt" \
    --requirement "$2/requirements.txt" nova
"$1/bin/pip" check
# Files that do not compile (templates, old syntax) are never imported.
"$1/bin/python" -m compileall -q -j 0 "$1/lib" || true
"""
#: /proc and /sys are mount points; they need labels to be mounted on.
_LABEL = """
setfiles -F -e /proc -e /sys \
    /etc/selinux/default/contexts/files/file_contexts /
"""
_MOUNT_POINTS = ('proc', 'sys')
_MOUNT_POINT_LABEL = b'system_u:object_r:root_t:s0\0'


@dataclasses.dataclass(frozen=True)
class Image:
    """The files of a machine, in one folder."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, raw; nothing writes to it after the build."""
        return self.folder / 'disk.raw'

    @property
    def kernel(self) -> Path:
        """The kernel of the machine."""
        return self.folder / 'vmlinuz'

    @property
    def initramfs(self) -> Path:
        """The initramfs of the machine."""
        return self.folder / 'initramfs'

    @property
    def key(self) -> Path:
        """The private key with which root logs in."""
        return self.folder / 'id_ed25519'

    @property
    def known_hosts(self) -> Path:
        """The known_hosts file with the machine's own key."""
        return self.folder / 'known_hosts'

    def snapshot(self, module: recipe.Module) -> Path:
        """A qcow2 file over :attr:`disk` with the booted machine."""
        return self.folder / f'{module}.qcow2'


#: The name under which ssh finds the machine's key in known_hosts.
HOST_ALIAS = 'lab-machine'


class Builder:
    """Builds an image in an empty folder."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        progress: progresses.Progress,
        image: Image,
    ) -> None:
        self._supervisor = supervisor
        self._progress = progress
        self._image = image
        self._tree = trees.Tree(supervisor, image.folder / 'root')

    def build(self) -> None:
        """Build the image, and remove the root folder at the end.

        :raises LabError: when a step failed
        """
        plan = plans.Plan(self._supervisor, self._progress)
        plan.add('packages', self._packages)
        plan.add('nova', self._nova, ['packages'])
        plan.add('configuration', self._configure, ['packages'])
        plan.add('initramfs', self._initramfs, ['configuration'])
        plan.add(
            'policy',
            lambda: policy.install(self._tree),
            ['configuration'],
        )
        plan.add('disk', self._disk, ['nova', 'initramfs', 'policy'])
        plan.run()
        shutil.rmtree(self._tree.root)

    def _packages(self) -> None:
        options = [
            *sources.apt_options(self._supervisor),
            'APT::Install-Recommends "false";',
            'Acquire::Languages "none";',
        ]
        exclude = [
            f'--dpkgopt=path-exclude=/usr/share/{name}/*'
            for name in ('doc', 'locale', 'man')
        ]
        self._supervisor.run(
            'packages',
            [
                *trees.CONTAINED,
                'mmdebstrap',
                '--mode=root',
                '--variant=minbase',
                f'--include={",".join(recipe.PACKAGES)}',
                *(f'--aptopt={option}' for option in options),
                '--dpkgopt=force-unsafe-io',
                *exclude,
                recipe.SUITE,
                self._tree.root,
                *sources.debian(self._supervisor, recipe.SUITE),
            ],
            _SECONDS,
            sources.environment(self._supervisor),
        )

    def _nova(self) -> None:
        variables = sources.environment(self._supervisor)
        cache = Path(variables.setdefault('PIP_CACHE_DIR', str(_pip_cache())))
        cache.mkdir(parents=True, exist_ok=True)
        for path in (recipe.CONSTRAINTS, recipe.REQUIREMENTS):
            self._tree.write(f'{_PIP}/{path.name}', path.read_text('utf-8'))
        self._tree.run(
            'nova',
            ['sh', '-c', _NOVA, 'sh', recipe.VENV, _PIP],
            _SECONDS,
            {
                **variables,
                'PIP_ROOT_USER_ACTION': 'ignore',
                'PIP_DISABLE_PIP_VERSION_CHECK': '1',
            },
            [*sources.paths(variables), cache],
        )
        shutil.rmtree(self._tree.path(_PIP))
        shutil.copytree(
            self._tree.path(recipe.VENV / 'etc' / 'nova'),
            self._tree.path(recipe.CONFIGURATION),
        )

    def _configure(self) -> None:
        tree, image = self._tree, self._image
        for name, text in recipe.FILES.items():
            tree.write(name, text)
        settings = tree.path('/etc/libvirt/qemu.conf')
        with settings.open('a') as file:
            file.write(recipe.QEMU_CONF)
        settings.chmod(0o600)
        self._account()
        tree.path('/etc/libvirt/qemu/networks/autostart/default.xml').unlink(
            missing_ok=True
        )
        for path in tree.path('/etc/apparmor.d').iterdir():
            if path.is_file() and path.name not in recipe.PROFILES:
                path.unlink()
        units = tree.path('/etc/systemd/system')
        for unit in recipe.MASKED_UNITS:
            (units / unit).unlink(missing_ok=True)
            (units / unit).symlink_to('/dev/null')
        tree.run(
            'units', ['systemctl', 'enable', *recipe.ENABLED_UNITS], _SECONDS
        )
        self._supervisor.run(
            'ssh-key',
            ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', image.key],
            _SECONDS,
        )
        ssh = tree.path('/root/.ssh')
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(image.key.with_suffix('.pub'), ssh / 'authorized_keys')
        host_key = tree.path('/etc/ssh/ssh_host_ed25519_key.pub')
        image.known_hosts.write_text(
            f'{HOST_ALIAS} {host_key.read_text(encoding="ascii")}',
            encoding='ascii',
        )

    def _account(self) -> None:
        """Make nova-compute's user and folders, and its right to sudo."""
        tree = self._tree
        passwd, group = tree.path('/etc/passwd'), tree.path('/etc/group')
        account = nova_account.add(
            passwd.read_text('utf-8'), group.read_text('utf-8')
        )
        passwd.write_text(account.passwd, 'utf-8')
        group.write_text(account.group, 'utf-8')
        sudoers = nova_account.SUDOERS_FILE
        tree.write(sudoers, nova_account.SUDOERS)
        tree.path(sudoers).chmod(nova_account.SUDOERS_MODE)
        for program in nova_account.PROGRAMS:
            link = tree.path(nova_account.LINKS) / program
            link.symlink_to(recipe.VENV / 'bin' / program)
        tree.path(recipe.INSTANCES).mkdir(parents=True)
        for folder in (recipe.STATE, recipe.INSTANCES):
            os.chown(tree.path(folder), account.uid, account.gid)

    def _initramfs(self) -> None:
        self._tree.run('initramfs', ['update-initramfs', '-u'], _SECONDS)
        # Debian links the newest ones there.
        shutil.copy(self._tree.path('/vmlinuz'), self._image.kernel)
        shutil.copy(self._tree.path('/initrd.img'), self._image.initramfs)

    def _disk(self) -> None:
        self._tree.path('/etc/resolv.conf').unlink(missing_ok=True)
        for name in recipe.UPDATED:
            self._tree.write(name, '')
        self._tree.run('labels', ['sh', '-c', _LABEL], _SECONDS)
        for name in _MOUNT_POINTS:
            os.setxattr(
                self._tree.path(name), 'security.selinux', _MOUNT_POINT_LABEL
            )
        self._supervisor.run(
            'disk',
            [
                'mkfs.ext4',
                '-q',
                # Gone with the machine in any case.
                '-O',
                '^has_journal,^metadata_csum',
                '-E',
                'lazy_itable_init=1,nodiscard',
                '-d',
                self._tree.root,
                self._image.disk,
                _DISK,
            ],
            _SECONDS,
        )


def _pip_cache() -> Path:
    return layouts.cache() / 'pip'
