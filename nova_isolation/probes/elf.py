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
    These two are of programs that are linked dynamically; of a static one,
    as far as can be told, neither holds.
``cet``
    built for Intel's control-flow enforcement: the GNU property note claims
    both IBT and SHSTK (System V psABI for x86-64, GNU_PROPERTY_X86_FEATURE_1).
"""

from collections.abc import Iterator
import re
import struct
import typing

from elftools.elf import constants
from elftools.elf import elffile
from elftools.elf import segments

# glibc's debug/ directory has them all; __stack_chk_fail only looks alike.
_FORTIFIED = re.compile(r'__(?!stack)[a-z0-9_]+_chk')
_DF_BIND_NOW = 0x8
_DF_1_NOW = 0x1
_DF_1_PIE = 0x08000000
_IBT_AND_SHSTK = 0x3
_SHN_UNDEF = 0

# Bytes of program headers that the kernel takes.
_MAX_HEADERS = 65536

# The tags that point to tables, one of which lies behind the symbols.
_TABLES = frozenset({
    'DT_STRTAB', 'DT_HASH', 'DT_GNU_HASH', 'DT_VERSYM', 'DT_VERNEED',
    'DT_VERDEF', 'DT_REL', 'DT_RELA', 'DT_RELR', 'DT_JMPREL', 'DT_INIT',
    'DT_FINI', 'DT_INIT_ARRAY', 'DT_FINI_ARRAY', 'DT_PLTGOT',
})  # fmt: skip

#: type -> the last segment of it, which is the one that counts
_Segments = dict[object, typing.Any]


def hardening(path: str) -> frozenset[str]:
    """The words of ``isolation:qemu_hardening`` that hold for a program.

    :param path: an ELF file
    :raises OSError: it cannot be read
    :raises ValueError: it is no ELF program
    """
    with open(path, 'rb') as stream:
        try:
            return frozenset(_words(elffile.ELFFile(stream)))
        except OSError:
            raise
        except Exception as error:
            # The library is not made for files that are broken: it also
            # raises AssertionError, OverflowError, AttributeError, ...
            raise ValueError(f'{path} is no ELF program: {error!r}') from error


def _words(elf: typing.Any) -> Iterator[str]:
    parts = _segments(elf)
    headers = {s['p_type']: s for s in parts}
    tags = _dynamic_tags(headers)
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
    names = frozenset(_references(elf, headers, tags))
    if '__stack_chk_fail' in names:
        yield 'canary'
    if any(map(_FORTIFIED.fullmatch, names)):
        yield 'fortify'
    if any(map(_has_cet, parts)):
        yield 'cet'


def _segments(elf: typing.Any) -> list[typing.Any]:
    """The segments of a program that the kernel would start.

    :raises ValueError: it would not (fs/binfmt_elf.c, load_elf_phdrs)
    """
    size = elf.structs.Elf_Phdr.sizeof()
    if (
        elf['e_type'] not in ('ET_EXEC', 'ET_DYN')
        or elf['e_phentsize'] != size
        or not 0 < elf['e_phnum'] * size <= _MAX_HEADERS
    ):
        raise ValueError('it cannot be started')
    return list(elf.iter_segments())


def _dynamic_tags(headers: _Segments) -> dict[object, int]:
    segment = headers.get('PT_DYNAMIC')
    if segment is None:
        return {}
    return {tag.entry.d_tag: tag.entry.d_val for tag in segment.iter_tags()}


def _references(
    elf: typing.Any, headers: _Segments, tags: dict[object, int]
) -> Iterator[str]:
    """The names that the program wants from libraries.

    From the dynamic symbol table, which is found without section headers:
    those may be stripped. A static program wants none. It may well have the
    same names in its static table, but those show how the C library within
    was built, not the program.

    The tables are unpacked here because the library parses the dynamic
    segment anew for each symbol, 5 s for a QEMU, and because it takes their
    number from DT_GNU_HASH, where those that are only wanted need not be.
    """
    segment = headers.get('PT_DYNAMIC')
    if segment is None:
        return
    start, offset = segment.get_table_offset('DT_SYMTAB')
    _, names = segment.get_table_offset('DT_STRTAB')
    strings = _bytes(elf, names, tags['DT_STRSZ'])
    # Nothing says how long the table is; it ends where the next one begins.
    end = min(v for t, v in tags.items() if t in _TABLES and v > start)
    entry = elf.structs.Elf_Sym.sizeof()
    table = _bytes(elf, offset, (end - start) // entry * entry)
    order = '<' if elf.little_endian else '>'
    # st_name and st_shndx of Elf64_Sym and Elf32_Sym (gABI, chapter 4).
    layout = 'I2xH16x' if elf.elfclass == 64 else 'I10xH'
    for name, section in struct.iter_unpack(order + layout, table):
        if section == _SHN_UNDEF:
            stop = strings.index(b'\0', name)
            yield strings[name:stop].decode(errors='replace')


def _bytes(elf: typing.Any, offset: int, size: int) -> bytes:
    """A part of the file.

    :raises ValueError: it is not within the file
    """
    if offset + size > elf.stream_len:
        raise ValueError('a table is outside of the file')
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
