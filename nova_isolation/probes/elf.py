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

"""How a program was hardened when it was built, read from its ELF file.

What each word means and where the rule is from:

``pie``
    position independent: the type is ET_DYN and the file is a program, not a
    library (DF_1_PIE, or an interpreter is named). System V gABI, chapter 5.
``nx``
    the stack is not executable: PT_GNU_STACK is there without PF_X. Without
    the header the kernel makes it executable (fs/binfmt_elf.c).
``relro``
    relocations are read-only after start: PT_GNU_RELRO is there.
``bindnow``
    all symbols are bound at start: DT_BIND_NOW, DF_BIND_NOW or DF_1_NOW.
``canary``
    built with a stack protector: ``__stack_chk_fail`` is referenced.
``fortify``
    built with _FORTIFY_SOURCE: a checking function of glibc, ``__*_chk``, is
    referenced.
``cet``
    built for Intel's control-flow enforcement: the GNU property note claims
    both IBT and SHSTK (System V psABI for x86-64, GNU_PROPERTY_X86_FEATURE_1).
"""

from collections.abc import Iterator
import re
import struct
import typing

from elftools.common import exceptions
from elftools.elf import constants
from elftools.elf import dynamic
from elftools.elf import elffile
from elftools.elf import sections
from elftools.elf import segments

# glibc's debug/ directory has them all; __stack_chk_fail only looks alike.
_FORTIFIED = re.compile(r'__(?!stack)[a-z0-9_]+_chk')
_DF_BIND_NOW = 0x8
_DF_1_NOW = 0x1
_DF_1_PIE = 0x08000000
_IBT_AND_SHSTK = 0x3


def hardening(path: str) -> frozenset[str]:
    """The words of ``isolation:qemu_hardening`` that hold for a program.

    :param path: an ELF file
    :raises OSError: it cannot be read
    :raises ValueError: it is no ELF program
    """
    with open(path, 'rb') as stream:
        try:
            return frozenset(_words(elffile.ELFFile(stream)))
        except (
            exceptions.ELFError,
            KeyError,
            TypeError,
            ValueError,
            struct.error,
        ) as error:
            raise ValueError(f'{path} is no ELF program: {error!r}') from error


def _words(elf: typing.Any) -> Iterator[str]:
    headers = {s['p_type']: s for s in elf.iter_segments()}
    tags = _dynamic_tags(elf)
    flags_1 = tags.get('DT_FLAGS_1', 0)
    if elf['e_type'] == 'ET_DYN' and (
        flags_1 & _DF_1_PIE or 'PT_INTERP' in headers
    ):
        yield 'pie'
    stack = headers.get('PT_GNU_STACK')
    if stack is not None and not stack['p_flags'] & constants.P_FLAGS.PF_X:
        yield 'nx'
    if 'PT_GNU_RELRO' in headers:
        yield 'relro'
    if (
        'DT_BIND_NOW' in tags
        or tags.get('DT_FLAGS', 0) & _DF_BIND_NOW
        or flags_1 & _DF_1_NOW
    ):
        yield 'bindnow'
    names = frozenset(_symbols(elf))
    if '__stack_chk_fail' in names:
        yield 'canary'
    if any(map(_FORTIFIED.fullmatch, names)):
        yield 'fortify'
    if any(_has_cet(s) for s in elf.iter_segments()):
        yield 'cet'


def _dynamic_tags(elf: typing.Any) -> dict[str, int]:
    return {
        tag.entry.d_tag: tag.entry.d_val
        for segment in elf.iter_segments()
        if isinstance(segment, dynamic.DynamicSegment)
        for tag in segment.iter_tags()
    }


def _symbols(elf: typing.Any) -> Iterator[str]:
    """The names of the symbols that the program refers to.

    From the dynamic symbol table, which is found without section headers:
    those may be stripped. A static program has the names, if at all, in its
    static table.

    The tables are unpacked here because the library parses the dynamic
    segment anew for each symbol: 5 s for a QEMU.
    """
    found = False
    for segment in elf.iter_segments('PT_DYNAMIC'):
        found = True
        _, offset = segment.get_table_offset('DT_SYMTAB')
        _, strings = segment.get_table_offset('DT_STRTAB')
        (size,) = (t.entry.d_val for t in segment.iter_tags('DT_STRSZ'))
        count = segment.num_symbols()
        yield from _names(
            elf,
            _bytes(elf, offset, count * elf.structs.Elf_Sym.sizeof()),
            _bytes(elf, strings, size),
        )
    for section in () if found else elf.iter_sections():
        if isinstance(section, sections.SymbolTableSection):
            yield from _names(elf, section.data(), section.stringtable.data())


def _names(elf: typing.Any, table: bytes, strings: bytes) -> Iterator[str]:
    """The names of a table: st_name is the first word of each entry."""
    word = '<' if elf.little_endian else '>'
    rest = elf.structs.Elf_Sym.sizeof() - 4
    for (start,) in struct.iter_unpack(f'{word}I{rest}x', table):
        end = strings.index(b'\0', start)
        yield strings[start:end].decode()


def _bytes(elf: typing.Any, offset: int, size: int) -> bytes:
    elf.stream.seek(offset)
    data: bytes = elf.stream.read(size)
    return data


def _has_cet(segment: typing.Any) -> bool:
    if not isinstance(segment, segments.NoteSegment):
        return False
    return any(
        prop.pr_type == 'GNU_PROPERTY_X86_FEATURE_1_AND'
        and prop.pr_data & _IBT_AND_SHSTK == _IBT_AND_SHSTK
        for note in segment.iter_notes()
        if note['n_type'] == 'NT_GNU_PROPERTY_TYPE_0'
        for prop in note['n_desc']
    )
