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

"""The hardening with which a program was built, read from its ELF file.

The list shows what each word means and the source of its rule:

``pie``
    The program is position independent: its type is ET_DYN and the file is a
    program, not a library (DF_1_PIE is set, or an interpreter is named).
    System V gABI, chapter 5.
``nx``
    The stack is not executable: the file has PT_GNU_STACK without PF_X. Where
    the file has no such header, the kernel makes the stack executable
    (fs/binfmt_elf.c).
``relro``
    Relocations are read-only after the start: the file has PT_GNU_RELRO.
``bindnow``
    All symbols are bound at the start: the file has DT_BIND_NOW, DF_BIND_NOW
    or DF_1_NOW.
``canary``
    The program was built with a stack protector: it refers to
    ``__stack_chk_fail``.
``fortify``
    The program was built with _FORTIFY_SOURCE: it refers to a checking
    function of glibc, ``__*_chk``.
``cet``
    The program was built for Intel's control-flow enforcement: the GNU
    property note claims both IBT and SHSTK (System V psABI for x86-64,
    GNU_PROPERTY_X86_FEATURE_1).

``canary`` and ``fortify`` can only be found in dynamically linked programs. A
statically linked program counts as having neither.
"""

from collections.abc import Iterator
import re
import struct
import typing

from elftools.elf import constants
from elftools.elf import elffile
from elftools.elf import segments

# The checking functions of _FORTIFY_SOURCE are in the folder debug/ of glibc.
# __stack_chk_fail has a similar name and belongs to the stack protector.
_FORTIFIED = re.compile(r'__(?!stack)[a-z0-9_]+_chk')
_DF_BIND_NOW = 0x8
_DF_1_NOW = 0x1
_DF_1_PIE = 0x08000000
_IBT_AND_SHSTK = 0x3
_SHN_UNDEF = 0

# The kernel accepts at most this many bytes of program headers.
_MAX_HEADERS = 65536

# The tags that point to tables. One of these tables follows the symbols.
_TABLES = frozenset({
    'DT_STRTAB', 'DT_HASH', 'DT_GNU_HASH', 'DT_VERSYM', 'DT_VERNEED',
    'DT_VERDEF', 'DT_REL', 'DT_RELA', 'DT_RELR', 'DT_JMPREL', 'DT_INIT',
    'DT_FINI', 'DT_INIT_ARRAY', 'DT_FINI_ARRAY', 'DT_PLTGOT',
})  # fmt: skip

#: Type -> the last segment of this type, because the last segment counts.
_Segments = dict[object, typing.Any]


def hardening(path: str) -> frozenset[str]:
    """Return the words of ``isolation:qemu_hardening`` that a program meets.

    :param path: an ELF file
    :raises OSError: the file cannot be read
    :raises ValueError: the file is not an ELF program
    """
    with open(path, 'rb') as stream:
        try:
            return frozenset(_words(elffile.ELFFile(stream)))
        except OSError:
            raise
        except Exception as error:
            # The library does not expect broken files: for these it also
            # raises AssertionError, OverflowError, AttributeError, ...
            raise ValueError(
                f'{path} is not an ELF program: {error!r}'
            ) from error


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
    """Return the segments of a program that the kernel can start.

    :raises ValueError: the kernel refuses to start the file (fs/binfmt_elf.c,
        load_elf_phdrs)
    """
    size = elf.structs.Elf_Phdr.sizeof()
    if (
        elf['e_type'] not in ('ET_EXEC', 'ET_DYN')
        or elf['e_phentsize'] != size
        or not 0 < elf['e_phnum'] * size <= _MAX_HEADERS
    ):
        raise ValueError('the kernel cannot start the file')
    return list(elf.iter_segments())


def _dynamic_tags(headers: _Segments) -> dict[object, int]:
    segment = headers.get('PT_DYNAMIC')
    if segment is None:
        return {}
    return {tag.entry.d_tag: tag.entry.d_val for tag in segment.iter_tags()}


def _references(
    elf: typing.Any, headers: _Segments, tags: dict[object, int]
) -> Iterator[str]:
    """Return the names that the program imports from libraries.

    The names come from the dynamic symbol table, which can be found without
    section headers, because section headers may be stripped. A statically
    linked program imports no names. Its static symbol table may have the same
    names, but those show how the C library inside was built.

    This function unpacks the tables itself for two reasons. pyelftools parses
    the dynamic segment again for each symbol, which takes 5 s for a QEMU. And
    pyelftools takes the number of symbols from DT_GNU_HASH, which need not
    contain imported symbols.
    """
    segment = headers.get('PT_DYNAMIC')
    if segment is None:
        return
    start, offset = segment.get_table_offset('DT_SYMTAB')
    _, names = segment.get_table_offset('DT_STRTAB')
    strings = _bytes(elf, names, tags['DT_STRSZ'])
    # No tag has the length of the table; it ends where the next table begins.
    end = min(v for t, v in tags.items() if t in _TABLES and v > start)
    entry = elf.structs.Elf_Sym.sizeof()
    table = _bytes(elf, offset, (end - start) // entry * entry)
    order = '<' if elf.little_endian else '>'
    # These are st_name and st_shndx of Elf64_Sym and Elf32_Sym (gABI,
    # chapter 4).
    layout = 'I2xH16x' if elf.elfclass == 64 else 'I10xH'
    for name, section in struct.iter_unpack(order + layout, table):
        if section == _SHN_UNDEF:
            stop = strings.index(b'\0', name)
            yield strings[name:stop].decode(errors='replace')


def _bytes(elf: typing.Any, offset: int, size: int) -> bytes:
    """Return a part of the file.

    :raises ValueError: the part is outside the file
    """
    if offset + size > elf.stream_len:
        raise ValueError('a table is outside the file')
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
