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

from collections.abc import Sequence
import shutil
from typing import cast
from typing import ClassVar

from lab.machine import builder as base
from lab.machine import image as base_images
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


class Builder(base.Builder):
    """Builds an image in an empty folder."""

    SUITE: ClassVar = recipe.SUITE
    PACKAGES: ClassVar = recipe.PACKAGES
    DISK: ClassVar = '5G'

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        progress: progresses.Progress,
        image: base_images.Image,
    ) -> None:
        super().__init__(supervisor, progress, image)
        self._files = cast(images.Image, image)
        #: Of what is needed only for the build.
        self._tools = trees.Tree(supervisor, image.folder / 'tools')

    def _more(self, plan: plans.Plan) -> Sequence[str]:
        plan.add(
            'hypervisor',
            lambda: hypervisor.build(
                self._supervisor, self._tools, self._files
            ),
        )
        plan.add('guests', self._guests, ['packages', 'hypervisor'])
        return ('guests',)

    def _trees(self) -> Sequence[trees.Tree]:
        return (self._tree, self._tools)

    def _settings(self) -> None:
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

    def _policy(self) -> None:
        policy.install(self._tree)

    def _guests(self) -> None:
        tree, image = self._tree, self._files
        guest.make(self._supervisor, tree, self._tools, image)
        folder = tree.path(recipe.GUESTS)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(image.guest_kernel, folder / 'vmlinux')
        shutil.copy(image.guest_initramfs, folder / 'initramfs')
        driver_domain.make(self._supervisor, tree)
