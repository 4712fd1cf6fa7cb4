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


"""Tests of nova_isolation.probes.elf: a word counts by its effect alone.

The programs are compiled here, changed, and where they still run, run.
"""

import os
import stat
import struct
import subprocess
import tempfile
import time

import fixtures

from nova_isolation.probes import elf
from tests.unit import base
from tests.unit.probes import elf_headers as eh
from tests.unit.probes import programs

ALL = frozenset(programs.ON)

DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 5, 6, 7, 8
DT_JMPREL, DT_PLTRELSZ = 23, 2

PAGE = 4096
RELA, SYMBOL = 24, 24
FEATURE = struct.pack('<3I', 0xC0000002, 4, 3)


class ChangedTest(base.TestCase):
    """A program that is changed."""

    def setUp(self):
        super().setUp()
        self.data = eh.contents(programs.with_words(*ALL))

    def words(self, *, runs=True):
        """The words of the changed program, which runs nevertheless."""
        handle, path = tempfile.mkstemp(dir=programs.FOLDER)
        with open(handle, 'wb') as stream:
            stream.write(self.data)
        os.chmod(path, stat.S_IRWXU)
        if runs:
            subprocess.run([path], check=True, timeout=30)
        return elf.hardening(path)

    def change(self, kind, **values):
        """Change the first program header of a type."""
        eh.put(self.data, eh.segment(self.data, kind), **values)

    def test_unchanged(self):
        self.assertEqual(ALL, self.words())


class PieTest(ChangedTest):
    """The kernel chooses the address of a file of type ET_DYN alone."""

    def test_program_with_a_fixed_address(self):
        struct.pack_into('<H', self.data, eh.E_TYPE, 2)
        self.assertEqual(ALL - {'pie'}, self.words(runs=False))

    def test_library(self):
        path = programs.compiled(
            '-shared', '-fPIC', source='int f(void) { return 1; }'
        )
        self.assertNotIn('pie', elf.hardening(path))


class NxTest(ChangedTest):
    """Memory that can be written to cannot be executed."""

    def test_executable_data(self):
        for place in eh.segments(self.data):
            if eh.get(self.data, place, 'flags') == 6:  # PF_R, PF_W
                eh.put(self.data, place, flags=7)
                break
        self.assertEqual(ALL - {'nx'}, self.words())

    def test_writable_code(self):
        for place in eh.segments(self.data):
            if eh.get(self.data, place, 'flags') == 5:  # PF_R, PF_X
                eh.put(self.data, place, flags=7)
                break
        self.assertEqual(ALL - {'nx'}, self.words())

    def test_of_two_headers_the_last_counts(self):
        stack = eh.segment(self.data, eh.PT_GNU_STACK)
        note = eh.segment(self.data, eh.PT_NOTE)
        self.assertLess(note, stack)
        for first, last, holds in ((7, 6, True), (6, 7, False)):
            eh.put(self.data, note, type=eh.PT_GNU_STACK, flags=first)
            eh.put(self.data, stack, flags=last)
            self.assertEqual(holds, 'nx' in self.words())


class ImportTest(ChangedTest):
    """A name that nothing uses has no effect."""

    def unused(self, name):
        """Take away the relocations of an imported name."""
        symbols = eh.offset_of(self.data, eh.value(self.data, DT_SYMTAB))
        strings = eh.offset_of(self.data, eh.value(self.data, DT_STRTAB))
        found = 0
        for table, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
            start = eh.offset_of(self.data, eh.value(self.data, table))
            for place in range(start, start + eh.value(self.data, size), RELA):
                (info,) = struct.unpack_from('<Q', self.data, place + 8)
                (text,) = struct.unpack_from(
                    '<I', self.data, symbols + (info >> 32) * SYMBOL
                )
                if self.data[strings + text :].startswith(name + b'\0'):
                    struct.pack_into('<Q', self.data, place + 8, 0)
                    found += 1
        self.assertEqual(1, found)
        self.assertIn(name, self.data)

    def test_canary(self):
        self.unused(b'__stack_chk_fail')
        self.assertEqual(ALL - {'canary'}, self.words())

    def test_fortify(self):
        self.unused(b'__snprintf_chk')
        self.assertEqual(ALL - {'fortify'}, self.words(runs=False))

    def test_without_a_table_for_functions(self):
        for word in ('canary', 'fortify'):
            path = programs.compiled(
                '-fno-plt', *programs.ON['pie'], *programs.ON[word]
            )
            self.assertEqual({'pie', word}, elf.hardening(path))

    def test_checking_function_of_another_library(self):
        library = programs.compiled(
            '-shared', '-fPIC', source='int __my_chk(void) { return 0; }'
        )
        path = programs.compiled(
            source='int __my_chk(void); int main(void) {return __my_chk();}',
            libraries=(library,),
        )
        self.assertIn(b'__my_chk', eh.contents(path))
        self.assertEqual(frozenset(), elf.hardening(path))


class CetTest(ChangedTest):
    """Every header by which a dynamic linker finds the note agrees."""

    def note(self):
        """The place of the property of x86 features."""
        return self.data.index(FEATURE)

    def test_half(self):
        struct.pack_into('<I', self.data, self.note() + 8, 1)
        self.assertEqual(ALL - {'cet'}, self.words())

    def test_note_that_no_header_names(self):
        self.change(eh.PT_GNU_PROPERTY, type=eh.PT_NULL)
        self.assertEqual(ALL - {'cet'}, self.words())

    def test_alignment_that_is_skipped(self):
        for place in eh.segments(self.data):
            kind = eh.get(self.data, place, 'type')
            if kind in (eh.PT_GNU_PROPERTY, eh.PT_NOTE):
                eh.put(self.data, place, align=4)
        self.assertEqual(ALL - {'cet'}, self.words())

    def test_header_that_names_other_bytes(self):
        self.change(eh.PT_GNU_PROPERTY, memsz=0, filesz=0)
        self.change(eh.PT_NOTE, memsz=0, filesz=0)
        self.assertEqual(ALL - {'cet'}, self.words())

    def test_other_machine(self):
        # The number of the property means something else there.
        struct.pack_into('<H', self.data, eh.E_MACHINE, 183)
        self.assertNotIn('cet', self.words(runs=False))

    def test_malformed(self):
        good = bytes(self.data)
        for change in (
            lambda place: struct.pack_into('<I', self.data, place + 4, 8),
            lambda place: struct.pack_into('<I', self.data, place + 4, 99),
            lambda place: struct.pack_into('<I', self.data, place - 16, 9),
            lambda place: struct.pack_into('<I', self.data, place - 8, 4),
        ):
            self.data = bytearray(good)
            change(self.note())
            self.assertEqual(ALL - {'cet'}, self.words())


class TablesTest(ChangedTest):
    """What patchelf, sstrip and others leave behind runs."""

    def append(self, size):
        """Load one more page; return its place and its address."""
        end = max(
            eh.get(self.data, p, 'vaddr') + eh.get(self.data, p, 'memsz')
            for p in eh.segments(self.data)
        )
        address = (end // PAGE + 2) * PAGE
        self.data += bytes(-len(self.data) % PAGE)
        place = len(self.data)
        self.data += bytes(size)
        self.change(
            eh.PT_NOTE,
            type=eh.PT_LOAD,
            flags=4,
            offset=place,
            vaddr=address,
            filesz=size,
            memsz=size,
            align=PAGE,
        )
        return place, address

    def test_symbols_behind_all_other_tables(self):
        start = eh.value(self.data, DT_SYMTAB)
        size = eh.value(self.data, DT_STRTAB) - start
        table = eh.offset_of(self.data, start)
        place, address = self.append(size)
        self.data[place:] = self.data[table : table + size]
        self.data[table : table + size] = bytes(size)
        struct.pack_into(
            '<Q', self.data, eh.tag(self.data, DT_SYMTAB) + 8, address
        )
        self.assertEqual(ALL, self.words())

    def test_table_in_two_segments_that_touch(self):
        # patchelf 0.14 leaves this behind in programs with a fixed address.
        start = eh.value(self.data, DT_SYMTAB)
        size = eh.value(self.data, DT_STRTAB) - start
        table = eh.offset_of(self.data, start)
        place, address = self.append(PAGE + size)
        (added,) = (
            p
            for p in eh.segments(self.data)
            if eh.get(self.data, p, 'vaddr') == address
        )
        eh.put(self.data, added, filesz=PAGE, memsz=PAGE)
        self.change(
            eh.PT_GNU_EH_FRAME,
            type=eh.PT_LOAD,
            flags=4,
            offset=place + PAGE,
            vaddr=address + PAGE,
            filesz=size,
            memsz=size,
            align=PAGE,
        )
        first = PAGE - SYMBOL
        self.data[place + first : place + first + size] = self.data[
            table : table + size
        ]
        self.data[table : table + size] = bytes(size)
        struct.pack_into(
            '<Q', self.data, eh.tag(self.data, DT_SYMTAB) + 8, address + first
        )
        self.assertEqual(ALL, self.words())

    def test_broken_section_headers(self):
        for changes in (
            {eh.E_SHOFF: ('Q', (1 << 64) - 1)},
            {eh.E_SHOFF: ('Q', 1)},
            {eh.E_SHOFF: ('Q', 0)},
            {eh.E_SHOFF: ('Q', len(self.data) - 1)},
            {eh.E_SHNUM: ('H', 0xFFFF)},
            {eh.E_SHNUM: ('H', 0)},
            {eh.E_SHENTSIZE: ('H', 0)},
            {eh.E_SHENTSIZE: ('H', 1)},
            {eh.E_SHSTRNDX: ('H', 0xFFFF)},
            {eh.E_SHSTRNDX: ('H', 0xFF00)},
            {eh.E_SHOFF: ('Q', 64), eh.E_SHNUM: ('H', 0)},
        ):
            self.data = eh.contents(programs.with_words(*ALL))
            for place, (layout, value) in changes.items():
                struct.pack_into('<' + layout, self.data, place, value)
            self.assertEqual(ALL, self.words(), changes)

    def test_cut_off_behind_the_segments(self):
        # As sstrip does it.
        end = max(
            eh.get(self.data, p, 'offset') + eh.get(self.data, p, 'filesz')
            for p in eh.segments(self.data)
        )
        self.assertLess(end, len(self.data))
        del self.data[end:]
        self.assertEqual(ALL, self.words())

    def test_places_in_the_file_do_not_count(self):
        # The dynamic linker finds its segment by the address.
        self.change(eh.PT_DYNAMIC, offset=64, filesz=0)
        self.assertEqual(ALL, self.words())

    def test_segments_that_overlap(self):
        # One address would have two contents.
        loads = [
            p
            for p in eh.segments(self.data)
            if eh.get(self.data, p, 'type') == eh.PT_LOAD
        ]
        eh.put(
            self.data,
            loads[1],
            vaddr=eh.get(self.data, loads[0], 'vaddr'),
        )
        self.assertRaises(ValueError, self.words, runs=False)


class BoundedTest(ChangedTest):
    """No file costs much time or memory."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.start = time.monotonic()
        self.addCleanup(self._in_time)

    def _in_time(self):
        self.assertLess(time.monotonic() - self.start, 10)

    def test_huge_file(self):
        path = os.path.join(self.folder, 'huge')
        with open(path, 'wb') as stream:
            stream.write(self.data)
            stream.truncate(1 << 40)
        self.assertEqual(ALL, elf.hardening(path))

    def test_table_as_large_as_the_file(self):
        path = os.path.join(self.folder, 'huge')
        load = [
            p
            for p in eh.segments(self.data)
            if eh.get(self.data, p, 'type') == eh.PT_LOAD
        ][-1]
        eh.put(self.data, load, filesz=1 << 39, memsz=1 << 39)
        address = eh.get(self.data, load, 'vaddr')
        for table, size in ((DT_RELA, DT_RELASZ), (DT_STRTAB, 10)):
            data = bytearray(self.data)
            struct.pack_into('<Q', data, eh.tag(data, table) + 8, address)
            struct.pack_into('<Q', data, eh.tag(data, size) + 8, 1 << 38)
            with open(path, 'wb') as stream:
                stream.write(data)
                stream.truncate(1 << 40)
            error = self.assertRaises(ValueError, elf.hardening, path)
            self.assertIn('a table of it has', str(error))

    def test_named_pipe(self):
        path = os.path.join(self.folder, 'pipe')
        os.mkfifo(path)
        self.assertRaisesText(
            ValueError, 'not a regular file', elf.hardening, path
        )

    def test_device(self):
        self.assertRaisesText(
            ValueError, 'not a regular file', elf.hardening, '/dev/zero'
        )


class OtherByteOrderTest(base.TestCase):
    """Big-endian programs, and small ones."""

    def test_headers(self):
        for word, order, machine in (
            (8, '>', 22), (8, '>', 21), (8, '<', 183), (4, '>', 8),
            (4, '<', 40), (4, '<', 3), (8, '<', 243), (8, '<', 0xBEEF),
        ):  # fmt: skip
            self.check(word, order, machine)

    def check(self, word, order, machine):
        wide = word == 8
        a = 'Q' if wide else 'I'
        size, entry = (64, 56) if wide else (52, 32)

        def header(kind, flags, length):
            head = (kind, flags) if wide else (kind,)
            tail = () if wide else (flags,)
            return struct.pack(
                f'{order}{"II" if wide else "I"}{a}{a}{a}{a}{a}'
                f'{"" if wide else "I"}{a}',
                *head, 0, 0, 0, length, length, *tail, PAGE,
            )  # fmt: skip

        headers = [header(1, 5, size), header(0x6474E551, 6, 0),
                   header(3, 4, 4)]  # fmt: skip
        for stack in (6, 7):
            headers[1] = header(0x6474E551, stack, 0)
            data = (
                b'\x7fELF'
                + bytes([2 if wide else 1, 1 if order == '<' else 2, 1])
                + bytes(9)
                + struct.pack(
                    f'{order}HHI{a}{a}{a}I6H', 3, machine, 1, 0, size, 0, 0,
                    size, entry, len(headers), 0, 0, 0,
                )
                + b''.join(headers)
            )  # fmt: skip
            path = os.path.join(
                self.useFixture(fixtures.TempDir()).path, 'program'
            )
            with open(path, 'wb') as stream:
                stream.write(data)
            self.assertEqual(
                {'pie', 'nx'} if stack == 6 else {'pie'}, elf.hardening(path)
            )
