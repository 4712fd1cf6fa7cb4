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


"""The machine whose kernel has SELinux or AppArmor, by its command line."""

from pathlib import Path
import shutil
from typing import cast
from typing import ClassVar

from lab.machine import disk
from lab.machine import image as images
from lab.machine import kind
from lab.machine import nova_venv
from lab.machine import packages
from lab.machine import policy
from lab.machine import recipe
from lab.machine import security
from lab.machine import settings
from lab.machine import ssh as connections
from lab.machine import tree as trees
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors

_SECONDS = 3600
_DISK = '4G'
_WARM_SECONDS = 2400


class Image(images.Image):
    """Its files."""

    MEMORY_MIB: ClassVar = 2048

    def options(self, boot: str) -> list[str | Path]:
        """See lab.machine.image.Image."""
        return [
            '-cpu',
            'max',
            '-kernel',
            self.kernel,
            '-initrd',
            self.initramfs,
            '-append',
            recipe.kernel_command_line(cast(recipe.Module, boot)),
        ]


class Builder:
    """Builds an image in an empty folder."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        progress: progresses.Progress,
        image: images.Image,
    ) -> None:
        self._supervisor = supervisor
        self._progress = progress
        self._image = image
        self._tree = trees.Tree(supervisor, image.folder / 'root')

    def build(self) -> None:
        """Build the image, and remove the root folder at the end.

        :raises LabError: when a step failed
        """
        supervisor, tree = self._supervisor, self._tree
        plan = plans.Plan(supervisor, self._progress)
        plan.add(
            'packages',
            lambda: packages.install(
                supervisor, tree, recipe.SUITE, recipe.PACKAGES
            ),
        )
        plan.add(
            'nova', lambda: nova_venv.install(supervisor, tree), ['packages']
        )
        plan.add('configuration', self._configure, ['packages'])
        plan.add('initramfs', self._initramfs, ['configuration'])
        plan.add('policy', lambda: policy.install(tree), ['configuration'])
        plan.add(
            'disk',
            lambda: disk.make(supervisor, tree, self._image.disk, _DISK),
            ['nova', 'initramfs', 'policy'],
        )
        plan.run()
        shutil.rmtree(tree.root)

    def _configure(self) -> None:
        tree = self._tree
        settings.apply(
            tree, recipe.FILES, recipe.MASKED_UNITS, recipe.ENABLED_UNITS
        )
        file = tree.path('/etc/libvirt/qemu.conf')
        with file.open('a') as stream:
            stream.write(recipe.QEMU_CONF)
        file.chmod(0o600)
        settings.add_account(tree)
        for path in tree.path('/etc/apparmor.d').iterdir():
            if path.is_file() and path.name not in recipe.PROFILES:
                path.unlink()
        settings.add_key(self._supervisor, tree, self._image)

    def _initramfs(self) -> None:
        self._tree.run('initramfs', ['update-initramfs', '-u'], _SECONDS)
        # Debian links the newest ones there.
        shutil.copy(self._tree.path('/vmlinuz'), self._image.kernel)
        shutil.copy(self._tree.path('/initrd.img'), self._image.initramfs)


def _build(
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
    image: images.Image,
) -> None:
    Builder(supervisor, progress, image).build()


def _check(ssh: connections.Ssh, boot: str) -> None:
    security.check(ssh, cast(recipe.Module, boot))


def _warm(ssh: connections.Ssh) -> None:
    # The exit status is 1 when any unit failed, which does not matter.
    ssh.run(['systemctl', 'is-system-running', '--wait'], _WARM_SECONDS)
    ssh.check(
        ['virsh', '-q', '-c', 'qemu:///system', 'domcapabilities'],
        _WARM_SECONDS,
    )
    ssh.check(
        [recipe.VENV / 'bin/python', '-c', recipe.WARM_IMPORT], _WARM_SECONDS
    )
    ssh.check(['sync'])


KIND = kind.Kind(
    name='machine',
    title="the lab's machine",
    boots=recipe.MODULES,
    image=Image,
    key=recipe.key,
    build=_build,
    check=_check,
    warm=_warm,
)
