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

"""Makes a copy of a binary that asks for an executable stack.

The QEMU of a host that is not hardened must really lack the hardening. A flag
in a test double would prove that our code reads the flag, not the binary.
"""

from pathlib import Path
import shutil
import struct
from typing import BinaryIO

from elftools.common import exceptions
from elftools.elf import constants
from elftools.elf import elffile

from lab.run import errors

#: The offset of p_flags in a 64-bit program header, after the 4 bytes of
#: p_type (Elf64_Phdr; a 32-bit header has another order).
_P_FLAGS_OFFSET = 4


def copy(source: Path, target: Path) -> None:
    """Copy an ELF binary and set the copy's executable stack flag.

    The flags of the PT_GNU_STACK program header tell the kernel how to map
    the stack; compilers leave PF_X out unless asked with ``-z execstack``.
    Everything else of the copy is as in the source, so it runs as before.

    :raises LabError: when the source is not a 64-bit little-endian ELF file,
        or has no PT_GNU_STACK
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    with target.open('r+b') as file:
        start, flags = _stack_header(file)
        file.seek(start + _P_FLAGS_OFFSET)
        file.write(struct.pack('<I', flags | constants.P_FLAGS.PF_X))


def is_set(binary: Path) -> bool:
    """Whether a binary asks for an executable stack.

    :raises LabError: as copy() does
    """
    with binary.open('rb') as file:
        return bool(_stack_header(file)[1] & constants.P_FLAGS.PF_X)


def _stack_header(file: BinaryIO) -> tuple[int, int]:
    """The offset of the program header PT_GNU_STACK, and its p_flags."""
    try:
        elf = elffile.ELFFile(file)
    except exceptions.ELFError as error:
        raise errors.LabError(
            f'{file.name} is not an ELF file: {error}'
        ) from error
    if elf.elfclass != 64 or not elf.little_endian:
        raise errors.LabError(f'{file.name} is not a 64-bit x86 binary')
    for index in range(elf.num_segments()):
        header = elf.get_segment(index).header
        if header.p_type == 'PT_GNU_STACK':
            start = elf['e_phoff'] + index * elf['e_phentsize']
            return int(start), int(header.p_flags)
    raise errors.LabError(f'{file.name} has no PT_GNU_STACK')
