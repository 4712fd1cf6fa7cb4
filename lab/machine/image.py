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


"""The files of a machine, and the options with which QEMU boots them."""

import abc
from collections.abc import Sequence
import dataclasses
from pathlib import Path
from typing import ClassVar

#: The name under which ssh finds the machine's key in known_hosts.
HOST_ALIAS = 'lab-machine'


@dataclasses.dataclass(frozen=True)
class Image(abc.ABC):
    """The files of a machine, in one folder."""

    folder: Path

    #: MiB of memory of the machine.
    MEMORY_MIB: ClassVar[int] = 2048

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

    @property
    def needed(self) -> Sequence[Path]:
        """What a machine needs to run, beside a snapshot and its disk."""
        return (self.kernel, self.initramfs, self.key, self.known_hosts)

    def snapshot(self, boot: str) -> Path:
        """A qcow2 file over :attr:`disk` with the booted machine.

        :param boot: one of the boots of lab.machine.kind.Kind
        """
        return self.folder / f'{boot}.qcow2'

    @abc.abstractmethod
    def options(self, boot: str) -> list[str | Path]:
        """QEMU's options for the processor and for what it boots.

        :param boot: see snapshot()
        """
