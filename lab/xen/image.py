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


"""The files of the Xen machine, and how QEMU boots them."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from lab.machine import image as images
from lab.xen import recipe


class Image(images.Image):
    """The files of the Xen machine, in one folder."""

    MEMORY_MIB: ClassVar = recipe.MEMORY_MIB

    @property
    def hypervisor(self) -> Path:
        """Xen itself, which boots :attr:`kernel` as dom0's."""
        return self.folder / 'hypervisor'

    @property
    def guest_kernel(self) -> Path:
        """The kernel of guests: dom0's, unpacked."""
        return self.folder / 'guest-vmlinux'

    @property
    def guest_initramfs(self) -> Path:
        """The initramfs of guests."""
        return self.folder / 'guest-initramfs'

    @property
    def needed(self) -> Sequence[Path]:
        """See lab.machine.image.Image."""
        return (
            *super().needed,
            self.hypervisor,
            self.guest_kernel,
            self.guest_initramfs,
        )

    def options(self, boot: str) -> list[str | Path]:
        """See lab.machine.image.Image."""
        return [
            # Xen finds that dom0 breaks the rules of SMAP, as QEMU 7.2
            # emulates it, and then dom0 does not boot.
            '-cpu',
            'max,-smap',
            '-kernel',
            self.hypervisor,
            '-append',
            recipe.HYPERVISOR_COMMAND_LINE,
            # A comma begins another module, and two are a comma.
            '-initrd',
            f'{_module(self.kernel)} '
            f'{recipe.KERNEL_COMMAND_LINE.replace(",", ",,")},'
            f'{_module(self.initramfs)}',
            # The root file system of driver domains: dom0's, read-only.
            '-drive',
            f'file={self.disk},if=virtio,format=raw,readonly=on,cache=unsafe',
        ]


def _module(path: Path) -> str:
    return str(path).replace(',', ',,')
