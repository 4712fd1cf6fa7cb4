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


"""Builds the image of the Xen machine."""

import shutil

from lab.machine import disk
from lab.machine import nova_venv
from lab.machine import packages
from lab.machine import settings
from lab.machine import tree as trees
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors
from lab.xen import driver_domain
from lab.xen import guest
from lab.xen import hypervisor
from lab.xen import image as images
from lab.xen import policy
from lab.xen import recipe

_SECONDS = 3600
_DISK = '5G'


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
        #: Of dom0, and of what is needed only for the build.
        self._tree = trees.Tree(supervisor, image.folder / 'root')
        self._tools = trees.Tree(supervisor, image.folder / 'tools')

    def build(self) -> None:
        """Build the image, and remove the root folders at the end.

        :raises LabError: when a step failed
        """
        supervisor, tree = self._supervisor, self._tree
        plan = plans.Plan(supervisor, self._progress)
        # First, because a mirror may not have it.
        plan.add(
            'hypervisor',
            lambda: hypervisor.build(supervisor, self._tools, self._image),
        )
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
        plan.add('guests', self._guests, ['packages', 'hypervisor'])
        plan.add(
            'disk',
            lambda: disk.make(supervisor, tree, self._image.disk, _DISK),
            ['nova', 'initramfs', 'policy', 'guests'],
        )
        plan.run()
        for root in (tree.root, self._tools.root):
            shutil.rmtree(root)

    def _configure(self) -> None:
        tree = self._tree
        settings.apply(
            tree, recipe.FILES, recipe.MASKED_UNITS, recipe.ENABLED_UNITS
        )
        with tree.path('/etc/default/xen').open('a') as file:
            file.write(recipe.DEFAULTS)
        cpu = tree.path(recipe.CPU_MAP)
        cpu.write_text(
            ''.join(
                line
                for line in cpu.read_text('utf-8').splitlines(keepends=True)
                if recipe.CPU_FEATURE not in line
            ),
            'utf-8',
        )
        for folder in (recipe.CONSOLES, recipe.GUESTS):
            tree.path(folder).mkdir(parents=True, exist_ok=True)
        settings.add_account(tree)
        settings.add_key(self._supervisor, tree, self._image)

    def _initramfs(self) -> None:
        self._tree.run('initramfs', ['update-initramfs', '-u'], _SECONDS)
        # Debian links the newest ones there.
        shutil.copy(self._tree.path('/vmlinuz'), self._image.kernel)
        shutil.copy(self._tree.path('/initrd.img'), self._image.initramfs)

    def _guests(self) -> None:
        tree, image = self._tree, self._image
        guest.make(self._supervisor, tree, self._tools, image)
        folder = tree.path(recipe.GUESTS)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(image.guest_kernel, folder / 'vmlinux')
        shutil.copy(image.guest_initramfs, folder / 'initramfs')
        driver_domain.make(self._supervisor, tree)
