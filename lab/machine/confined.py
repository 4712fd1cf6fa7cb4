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
from typing import cast
from typing import ClassVar

from lab.machine import builder as builders
from lab.machine import image as images
from lab.machine import kind
from lab.machine import policy
from lab.machine import qemu
from lab.machine import recipe
from lab.machine import security
from lab.machine import settings
from lab.machine import ssh as connections
from lab.machine import warm
from lab.run import progress as progresses
from lab.run import supervisor as supervisors


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
            *qemu.UNPLUGGED,
        ]


class Builder(builders.Builder):
    """Builds an image in an empty folder."""

    SUITE: ClassVar = recipe.SUITE
    PACKAGES: ClassVar = recipe.PACKAGES
    DISK: ClassVar = '4G'

    def _settings(self) -> None:
        tree = self._tree
        settings.apply(
            tree, recipe.FILES, recipe.MASKED_UNITS, recipe.ENABLED_UNITS
        )
        file = tree.path('/etc/libvirt/qemu.conf')
        with file.open('a') as stream:
            stream.write(recipe.QEMU_CONF)
        file.chmod(0o600)
        for path in tree.path('/etc/apparmor.d').iterdir():
            if path.is_file() and path.name not in recipe.PROFILES:
                path.unlink()

    def _policy(self) -> None:
        policy.install(self._tree)


def _build(
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
    image: images.Image,
) -> None:
    Builder(supervisor, progress, image).build()


def _check(ssh: connections.Ssh, boot: str) -> None:
    security.check(ssh, cast(recipe.Module, boot))


def _warm(ssh: connections.Ssh) -> None:
    warm.warm(ssh, 'qemu:///system')
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
