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

"""Programs: which file one is, and what is known of an emulator."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Identity:
    """Which file a program is, as the kernel tells files apart.

    A file that is replaced or written to gets another identity. All fields
    are those of stat(2); times in nanoseconds, the size in bytes.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator that was examined.

    :ivar path: where it lies
    :ivar identity: which file was examined
    :ivar hardening: the words of ``isolation:qemu_hardening`` that hold
    :ivar types: all QOM types that it knows
    :ivar sandbox: whether it was built with ``-sandbox`` (seccomp)
    """

    path: str
    identity: Identity
    hardening: frozenset[str]
    types: frozenset[str]
    sandbox: bool


def identity(path: str) -> Identity:
    """Which file lies at a path, following links.

    :raises OSError: it cannot be examined
    """
    stat = os.stat(path)
    return Identity(
        stat.st_dev,
        stat.st_ino,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
    )
