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


"""The dynamic segment of a program: what the dynamic linker does with it."""

from collections.abc import Iterator
import dataclasses
import functools

from elftools.elf import enums

from nova_isolation.probes import elf_image

#: Machine -> the types of its relocations that fill an entry of the global
#: offset table with the address of a symbol: at the start, or when a function
#: is first called. The psABI of each machine defines them. Some of the other
#: machines use one type for the table and for data, so that the table cannot
#: be told from data.
_TABLE_TYPES = {
    'EM_X86_64': (
        enums.ENUM_RELOC_TYPE_x64['R_X86_64_GLOB_DAT'],
        enums.ENUM_RELOC_TYPE_x64['R_X86_64_JUMP_SLOT'],
    ),
    'EM_386': (
        enums.ENUM_RELOC_TYPE_i386['R_386_GLOB_DAT'],
        enums.ENUM_RELOC_TYPE_i386['R_386_JUMP_SLOT'],
    ),
    'EM_AARCH64': (
        enums.ENUM_RELOC_TYPE_AARCH64['R_AARCH64_GLOB_DAT'],
        enums.ENUM_RELOC_TYPE_AARCH64['R_AARCH64_JUMP_SLOT'],
    ),
    'EM_ARM': (
        enums.ENUM_RELOC_TYPE_ARM['R_ARM_GLOB_DAT'],
        enums.ENUM_RELOC_TYPE_ARM['R_ARM_JUMP_SLOT'],
    ),
    # R_390_GLOB_DAT and R_390_JMP_SLOT.
    'EM_S390': (10, 11),
}

_DF_BIND_NOW = 0x8
_DF_1_NOW = 0x1
_DF_1_PIE = 0x08000000
_SHN_UNDEF = 0

#: The longest dynamic segment that is read, bytes. That of a QEMU has some
#: 1000.
_MAX_DYNAMIC = 65536


@dataclasses.dataclass(frozen=True)
class _Relocation:
    """A relocation of the global offset table.

    :ivar place: the entry of the table
    :ivar symbol: the index of the symbol whose address the entry gets
    """

    place: elf_image.Range
    symbol: int


class ElfDynamic:
    """The dynamic segment of one program.

    :ivar place: the addresses of the segment, with its last entry
    """

    def __init__(
        self, image: elf_image.ElfImage, segment: elf_image.Segment
    ) -> None:
        """:param image: the program

        :param segment: its dynamic segment
        :raises ValueError: the segment cannot be read
        """
        self._image = image
        layout = 'QQ' if image.word == 8 else 'II'
        start = segment.memory.start
        data = image.read_from(start, _MAX_DYNAMIC)
        self._tags: dict[int, int] = {}
        # The dynamic linker reads up to the last entry, whatever the header
        # says, and of two equal tags takes the last (elf/get-dynamic-info.h
        # of glibc).
        for index, (tag, value) in enumerate(
            image.entries(layout, start, len(data))
        ):
            if tag == 0:
                self.place = elf_image.Range(
                    start, start + (index + 1) * 2 * image.word
                )
                break
            self._tags[tag] = value
        else:
            raise ValueError('the dynamic segment has no end')

    def tag(self, name: str) -> int | None:
        """Return the value of a tag; None: the segment has no such tag.

        :param name: ``DT_*``
        """
        return self._tags.get(enums.ENUM_D_TAG_COMMON[name])

    @property
    def has_known_table(self) -> bool:
        """Whether the global offset table can be told from other data."""
        return self._image.machine in _TABLE_TYPES

    @property
    def is_pie(self) -> bool:
        """Whether the linker marked the program as position independent."""
        return bool((self.tag('DT_FLAGS_1') or 0) & _DF_1_PIE)

    @property
    def binds_now(self) -> bool:
        """Whether all symbols are bound at the start.

        Each of three tags is enough (elf/get-dynamic-info.h of glibc).
        """
        return (
            self.tag('DT_BIND_NOW') is not None
            or bool((self.tag('DT_FLAGS') or 0) & _DF_BIND_NOW)
            or bool((self.tag('DT_FLAGS_1') or 0) & _DF_1_NOW)
        )

    def fixed_places(self) -> Iterator[elf_image.Range]:
        """Return what the dynamic linker writes only at the start.

        That is the dynamic segment itself, the functions to call at the start
        and the end, and the global offset table: the part of it that is
        filled at the start, or all of it where all symbols are bound then.

        :raises ValueError: the relocations cannot be read
        """
        yield self.place
        for name in ('DT_PREINIT_ARRAY', 'DT_INIT_ARRAY', 'DT_FINI_ARRAY'):
            start = self.tag(name)
            if start is not None:
                yield elf_image.Range(
                    start, start + (self.tag(f'{name}SZ') or 0)
                )
        for relocation in self._at_start:
            yield relocation.place
        if not self.binds_now:
            return
        for relocation in self._slots:
            yield relocation.place
        start = self.tag('DT_PLTGOT')
        if start is not None:
            yield elf_image.Range(start, start + self._image.word)

    def imports(self) -> frozenset[str]:
        """Return the names of the library functions that the program uses.

        A name counts where the global offset table has an entry for it; on a
        machine whose table is not known, where any relocation refers to it. A
        name that is only in the symbol table is used by nothing.

        :raises ValueError: the tables cannot be read
        """
        used = {r.symbol for r in (*self._at_start, *self._slots)} - {0}
        if not used:
            return frozenset()
        image = self._image
        # These are st_name and st_shndx of Elf64_Sym and Elf32_Sym (gABI,
        # chapter 4).
        layout = 'I2xH16x' if image.word == 8 else 'I10xH'
        entry = 24 if image.word == 8 else 16
        symbols = list(
            image.entries(
                layout, self._wanted('DT_SYMTAB'), (max(used) + 1) * entry
            )
        )
        strings = image.read(
            self._wanted('DT_STRTAB'), self._wanted('DT_STRSZ')
        )
        names = (symbols[index] for index in used)
        return frozenset(
            strings[name : strings.index(b'\0', name)].decode(errors='replace')
            for name, section in names
            if section == _SHN_UNDEF
        )

    @functools.cached_property
    def _slots(self) -> tuple[_Relocation, ...]:
        """The relocations that may be done when a function is first called."""
        start, size = self._slot_table
        kind = (
            'RELA'
            if self.tag('DT_PLTREL') == enums.ENUM_D_TAG_COMMON['DT_RELA']
            else 'REL'
        )
        # An entry of another type, for an indirect function, is in the table
        # as well.
        return tuple(self._relocations(kind, start, size, None))

    @functools.cached_property
    def _at_start(self) -> tuple[_Relocation, ...]:
        """The relocations of the table that are done at the start."""
        result: list[_Relocation] = []
        slots, slots_size = self._slot_table
        for kind in ('REL', 'RELA'):
            start = self.tag(f'DT_{kind}')
            size = self.tag(f'DT_{kind}SZ') or 0
            if start is None:
                continue
            if slots_size and start + size == slots + slots_size:
                # One length for both tables (elf/dynamic-link.h of glibc).
                size -= slots_size
            result.extend(
                self._relocations(
                    kind, start, size, _TABLE_TYPES.get(self._image.machine)
                )
            )
        return tuple(result)

    @property
    def _slot_table(self) -> tuple[int, int]:
        return self.tag('DT_JMPREL') or 0, self.tag('DT_PLTRELSZ') or 0

    def _relocations(
        self,
        kind: str,
        start: int,
        size: int,
        types: tuple[int, ...] | None,
    ) -> Iterator[_Relocation]:
        """Return the relocations of a table that have one of the types.

        :param types: the types; None: all
        """
        if size <= 0:
            return
        word = self._image.word
        layout = 'QQ' if word == 8 else 'II'
        if kind == 'RELA':
            layout += f'{word}x'
        bits = 32 if word == 8 else 8
        mask = (1 << bits) - 1
        for place, info in self._image.entries(layout, start, size):
            if types is None or info & mask in types:
                yield _Relocation(
                    elf_image.Range(place, place + word), info >> bits
                )

    def _wanted(self, name: str) -> int:
        value = self.tag(name)
        if value is None:
            raise ValueError(f'the dynamic segment has no {name}')
        return value
