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


"""The memory image of a program, as the kernel maps it from an ELF file.

Everything is read from the program headers and by address, as the kernel and
the dynamic linker do it. Section headers are not read: nothing that runs a
program uses them, and they may be stripped or damaged.
"""

import collections
from collections.abc import Iterator
import dataclasses
import itertools
import struct
import typing

from elftools.elf import constants
from elftools.elf import structs

#: The kernel accepts at most this many bytes of program headers
#: (fs/binfmt_elf.c, load_elf_phdrs).
_MAX_HEADERS = 65536

#: The largest table that is read, in bytes. The relocations of a QEMU take
#: some 10 MiB.
_MAX_TABLE = 64 << 20


@dataclasses.dataclass(frozen=True)
class Range:
    """The addresses from ``start`` up to, but without, ``end``."""

    start: int
    end: int

    def has(self, other: 'Range') -> bool:
        """Return whether another range is inside of this one."""
        return self.start <= other.start and other.end <= self.end


@dataclasses.dataclass(frozen=True)
class Segment:
    """A program header.

    :ivar offset: the place of the content in the file
    :ivar content: the addresses whose content is in the file
    :ivar memory: all addresses of the segment
    :ivar flags: the rights, PF_*
    :ivar align: the alignment, bytes
    """

    offset: int
    content: Range
    memory: Range
    flags: int
    align: int

    @property
    def writable(self) -> bool:
        """Whether the program may write to the segment."""
        return bool(self.flags & constants.P_FLAGS.PF_W)

    @property
    def executable(self) -> bool:
        """Whether the program may execute the segment."""
        return bool(self.flags & constants.P_FLAGS.PF_X)


class ElfImage:
    """The memory image of one program.

    :ivar type: ``ET_EXEC`` or ``ET_DYN``
    :ivar machine: the name of the machine, ``EM_*``; a number where the name
        is not known
    :ivar order: the byte order, as in a format of :mod:`struct`
    :ivar word: the size of an address, bytes
    :ivar segments: type of a segment -> the segments, in the order of the
        file
    """

    def __init__(self, stream: typing.BinaryIO, page_size: int) -> None:
        """:param stream: the file

        :param page_size: the page size of the machine that runs the program
        :raises OSError: the file cannot be read
        :raises ValueError: the file is not an ELF program that the kernel can
            start, or its segments are not clear
        """
        self._stream = stream
        self._page_size = page_size
        self._length = stream.seek(0, 2)
        ident = self._at(0, 16)
        if not ident.startswith(b'\x7fELF'):
            raise ValueError('it does not begin with 7f 45 4c 46')
        if ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ValueError('it has an unknown class or byte order')
        self.word = 4 * ident[4]
        self.order = '<' if ident[5] == 1 else '>'
        records = structs.ELFStructs(self.order == '<', 8 * self.word)
        records.create_basic_structs()
        header = records.Elf_Ehdr.parse(self._at(0, records.Elf_Ehdr.sizeof()))
        self.type = header['e_type']
        self.machine = header['e_machine']
        records.create_advanced_structs(e_machine=self.machine)
        size = records.Elf_Phdr.sizeof()
        number = header['e_phnum']
        if (
            self.type not in ('ET_EXEC', 'ET_DYN')
            or header['e_phentsize'] != size
            or not 0 < number * size <= _MAX_HEADERS
        ):
            raise ValueError('the kernel cannot start it')
        table = self._at(header['e_phoff'], number * size)
        self.segments: dict[object, list[Segment]] = collections.defaultdict(
            list
        )
        for place in range(0, len(table), size):
            entry = records.Elf_Phdr.parse(table[place : place + size])
            start = entry['p_vaddr']
            self.segments[entry['p_type']].append(
                Segment(
                    entry['p_offset'],
                    Range(start, start + entry['p_filesz']),
                    Range(start, start + entry['p_memsz']),
                    entry['p_flags'],
                    entry['p_align'],
                )
            )
        self.loaded = [
            s
            for s in self.segments['PT_LOAD']
            if s.memory.start != s.memory.end
        ]
        self._check_loaded()

    def _check_loaded(self) -> None:
        """Check that each page belongs to one segment.

        Else what is read here and what is mapped could differ. The gABI
        demands that the segments are sorted.
        """
        for segment in self.loaded:
            if not segment.memory.has(segment.content):
                raise ValueError('a segment is larger in the file')
        pages = [self.pages(s.memory) for s in self.loaded]
        for one, other in itertools.pairwise(pages):
            if one.end > other.start:
                raise ValueError('loaded segments overlap or are not sorted')

    def pages(self, part: Range) -> Range:
        """Return the range of all pages that a range touches."""
        size = self._page_size
        return Range(part.start // size * size, -(-part.end // size) * size)

    def rounded_down(self, part: Range) -> Range:
        """Return a range with both ends rounded down to a page."""
        size = self._page_size
        return Range(part.start // size * size, part.end // size * size)

    def maps(self, part: Range) -> bool:
        """Return whether each page of a range is mapped."""
        place = part.start
        for pages in map(self.pages, (s.memory for s in self.loaded)):
            if pages.start <= place < pages.end:
                place = pages.end
        return place >= part.end

    def is_read_only(self, part: Range) -> bool:
        """Return whether a range is inside a segment that is not writable."""
        return any(s.memory.has(part) and not s.writable for s in self.loaded)

    def last(self, kind: str) -> Segment | None:
        """Return the last segment of a type; None: there is none.

        Of several headers the last one counts, for the kernel as for the
        dynamic linker.
        """
        return next(reversed(self.segments.get(kind, [])), None)

    def read(self, address: int, size: int) -> bytes:
        """Return a part of the memory image.

        The part may lie in several segments that touch: a table that a tool
        has moved begins at the end of one and ends in the next.

        :raises ValueError: the part is not in the file, or is too large
        """
        _check_size(size)
        parts, place, end = [], address, address + size
        for segment in self.loaded:
            content = segment.content
            if content.start <= place < min(end, content.end):
                stop = min(end, content.end)
                parts.append(
                    self._at(
                        segment.offset + place - content.start, stop - place
                    )
                )
                place = stop
        if place != end:
            raise ValueError(f'no segment has {size} bytes at {address:#x}')
        return b''.join(parts)

    def read_from(self, address: int, most: int) -> bytes:
        """Return what the file has from an address on, at most so much.

        :raises ValueError: no segment has the address
        """
        end = address
        for segment in self.loaded:
            if segment.content.start <= end < segment.content.end:
                end = segment.content.end
        if end == address:
            raise ValueError(f'no segment has the address {address:#x}')
        return self.read(address, min(most, end - address))

    def entries(
        self, layout: str, address: int, size: int
    ) -> Iterator[tuple[int, ...]]:
        """Return the entries of a table in memory.

        :param layout: the format of one entry, without the byte order, as
            for :mod:`struct`
        :param address: where the table begins
        :param size: the length of the table, bytes
        :raises ValueError: the table is not in the file
        """
        entry = struct.Struct(self.order + layout)
        data = self.read(address, size // entry.size * entry.size)
        return entry.iter_unpack(data)

    def _at(self, offset: int, size: int) -> bytes:
        """Return a part of the file.

        :raises ValueError: the part is outside the file, or is too large
        """
        if offset + size > self._length:
            raise ValueError(f'it ends before {size} bytes at {offset:#x}')
        _check_size(size)
        self._stream.seek(offset)
        data = self._stream.read(size)
        if len(data) != size:
            raise ValueError('it has become shorter')
        return data


def _check_size(size: int) -> None:
    if size > _MAX_TABLE:
        raise ValueError(f'a table of it has {size} bytes')
