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


"""Builds the image of a machine: what is alike for each kind of machine."""

import abc
from collections.abc import Sequence
import shutil
from typing import ClassVar

from lab.machine import disk
from lab.machine import image as images
from lab.machine import nova_venv
from lab.machine import packages
from lab.machine import settings
from lab.machine import tree as trees
from lab.run import plan as plans
from lab.run import progress as progresses
from lab.run import supervisor as supervisors

_SECONDS = 3600


class Builder(abc.ABC):
    """Builds an image in an empty folder."""

    #: Debian's suite, and its packages beyond mmdebstrap's variant minbase.
    SUITE: ClassVar[str]
    PACKAGES: ClassVar[Sequence[str]]
    #: The size of the root disk.
    DISK: ClassVar[str]

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
        """Build the image, and remove the root folders at the end.

        :raises LabError: when a step failed
        """
        supervisor, tree = self._supervisor, self._tree
        plan = plans.Plan(supervisor, self._progress)
        plan.add(
            'packages',
            lambda: packages.install(
                supervisor, tree, self.SUITE, self.PACKAGES
            ),
        )
        plan.add(
            'nova', lambda: nova_venv.install(supervisor, tree), ['packages']
        )
        plan.add('configuration', self._configure, ['packages'])
        plan.add('initramfs', self._initramfs, ['configuration'])
        plan.add('policy', self._policy, ['configuration'])
        more = self._more(plan)
        plan.add(
            'disk',
            lambda: disk.make(supervisor, tree, self._image.disk, self.DISK),
            ['nova', 'initramfs', 'policy', *more],
        )
        plan.run()
        for root in self._trees():
            shutil.rmtree(root.root)

    def _more(self, plan: plans.Plan) -> Sequence[str]:
        """Add steps that the disk waits for.

        :returns: their names
        """
        return ()

    def _trees(self) -> Sequence[trees.Tree]:
        """The root folders, of which none is left after the build."""
        return (self._tree,)

    def _configure(self) -> None:
        """Write the machine's files, and give it an account and a key."""
        self._settings()
        settings.add_account(self._tree)
        settings.add_key(self._supervisor, self._tree, self._image)

    @abc.abstractmethod
    def _settings(self) -> None:
        """Write the machine's own files."""

    @abc.abstractmethod
    def _policy(self) -> None:
        """Install the SELinux policy modules."""

    def _initramfs(self) -> None:
        self._tree.run('initramfs', ['update-initramfs', '-u'], _SECONDS)
        # Debian links the newest ones there.
        shutil.copy(self._tree.path('/vmlinuz'), self._image.kernel)
        shutil.copy(self._tree.path('/initrd.img'), self._image.initramfs)
