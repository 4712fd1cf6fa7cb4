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

"""The identity of a program's file, and the properties of an emulator."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Identity:
    """The identity of a file, as the kernel distinguishes files.

    A file that is replaced or written to gets another identity. All fields
    are those of stat(2). Times are in nanoseconds, the size is in bytes.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def fields(self) -> tuple[int, ...]:
        """All fields, as the class takes them."""
        return dataclasses.astuple(self)

    @property
    def node(self) -> tuple[int, int]:
        """Which file or folder it is, whatever it contains by now."""
        return self.device, self.inode


#: Paths, and the identity of what each leads to; None: there is nothing.
Fingerprint = tuple[tuple[str, Identity | None], ...]


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator that was examined.

    :ivar path: the path of what libvirt starts
    :ivar executable: the path of the file that runs, which is another than
        ``path`` where libvirt starts a wrapper
    :ivar identity: the identity of that file
    :ivar hardening: the words of ``isolation:qemu_hardening`` that the
        emulator meets
    :ivar types: all QOM types that the emulator knows
    :ivar sandbox: whether the emulator was built with ``-sandbox`` (seccomp)
    :ivar modules: the folders in which it looks for its modules, as they were
        found when it was examined
    """

    path: str
    executable: str
    identity: Identity
    hardening: frozenset[str]
    types: frozenset[str]
    sandbox: bool
    modules: Fingerprint = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders in which it looks for its modules."""
        return tuple(path for path, _ in self.modules)

    @property
    def others(self) -> tuple[str, ...]:
        """What the result depends on beside ``path``: files and folders."""
        return (self.executable, *self.folders)


def identity(path: str) -> Identity:
    """Return the identity of the file at a path; links are followed.

    :raises OSError: the file cannot be examined
    """
    stat = os.stat(path)
    return Identity(
        stat.st_dev,
        stat.st_ino,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )
