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

"""Tests of nova_isolation.probes.elf, on programs that are compiled here."""

import itertools
import os
import re
import struct
import subprocess
import tempfile

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms import registry
from nova_isolation.probes import elf
from tests.unit import base
from tests.unit.probes import programs

QEMU = '/usr/bin/qemu-system-x86_64'
ALL = frozenset(programs.ON)

#: Offsets in the header of a 64-bit file (gABI, chapter 4).
E_TYPE, E_PHOFF, E_SHOFF, E_PHENTSIZE, E_PHNUM = 16, 32, 40, 54, 56
E_SHNUM = 60


def contents(path):
    """The bytes of a file."""
    with open(path, 'rb') as stream:
        return bytearray(stream.read())


def readelf(*arguments):
    """What binutils says."""
    return subprocess.run(
        ['readelf', '-W', *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'LC_ALL': 'C'},
        timeout=60,
    ).stdout


def by_readelf(path):
    """The hardening words, by another reader and from its text."""
    headers = readelf('-l', path)
    tags = readelf('-d', path)
    symbols = readelf('--dyn-syms', path)
    notes = readelf('-n', path)
    undefined = set(re.findall(r' UND ([^@\s]+)', symbols))
    stack = re.search(r'GNU_STACK( +0x\w+){5} ([R ][W ][E ]) ', headers)
    found = {
        'pie': 'Elf file type is DYN' in headers and 'INTERP' in headers,
        'nx': bool(stack and 'E' not in stack[2]),
        'relro': 'GNU_RELRO' in headers,
        'bindnow': bool(re.search(r'BIND_NOW|\bNOW\b', tags)),
        'canary': '__stack_chk_fail' in undefined,
        'fortify': bool(
            [n for n in undefined if re.fullmatch(r'__\w+_chk', n)]
        ),
        'cet': bool(re.search(r'x86 feature: .*IBT, SHSTK', notes)),
    }
    return {word for word, holds in found.items() if holds}


class CompiledTest(base.TestCase):
    """Each flag, alone, with all others, and left out."""

    def test_the_words_are_those_of_the_vocabulary(self):
        row = registry.get().vocabulary.rows['isolation:qemu_hardening']
        self.assertEqual(set(row.values), ALL)

    def test_none(self):
        self.assertEqual(frozenset(), elf.hardening(programs.with_words()))

    def test_all(self):
        self.assertEqual(ALL, elf.hardening(programs.with_words(*ALL)))

    def test_each_alone(self):
        for word in ALL:
            path = programs.with_words(word)
            self.assertEqual({word}, elf.hardening(path), word)
            self.assertEqual({word}, by_readelf(path), word)

    def test_each_left_out(self):
        for word in ALL:
            path = programs.with_words(*ALL - {word})
            self.assertEqual(ALL - {word}, elf.hardening(path), word)
            self.assertEqual(ALL - {word}, by_readelf(path), word)

    def test_all_with_section_headers_stripped(self):
        self._stripped(ALL)

    def test_none_with_section_headers_stripped(self):
        self._stripped(frozenset())

    def _stripped(self, words):
        data = contents(programs.with_words(*words))
        struct.pack_into('<Q', data, E_SHOFF, 0)
        struct.pack_into('<HH', data, E_SHNUM, 0, 0)
        self.assertEqual(words, elf.hardening(self.file(data)))

    def test_stripped(self):
        path = programs.compiled('-s', *itertools.chain(*programs.ON.values()))
        self.assertEqual(ALL, elf.hardening(path))

    def test_fortify_needs_the_optimiser(self):
        path = programs.compiled('-O0', '-D_FORTIFY_SOURCE=2')
        self.assertEqual(frozenset(), elf.hardening(path))

    def test_fortify_3(self):
        path = programs.compiled('-O2', '-D_FORTIFY_SOURCE=3')
        self.assertEqual({'fortify'}, elf.hardening(path))

    def test_both_hash_styles(self):
        for style in ('sysv', 'gnu', 'both'):
            for words in (('canary',), ('canary', 'fortify', 'pie')):
                path = programs.compiled(
                    f'-Wl,--hash-style={style}',
                    *itertools.chain(*(programs.ON[w] for w in words)),
                )
                self.assertEqual(set(words), elf.hardening(path))

    def test_program_that_exports_nothing(self):
        # Its DT_GNU_HASH has no symbols at all.
        path = programs.compiled(
            '-fstack-protector-all',
            source='int main(int c, char **v) {'
            ' volatile char t[9]; t[0] = c; return t[0]; }',
        )
        self.assertEqual({'canary'}, elf.hardening(path))

    def test_names_that_only_look_alike(self):
        path = programs.compiled(
            '-rdynamic',
            source='void __stack_chk_fail(void) {} void __my_chk(void) {}'
            ' void __stack_smash_chk(void) {} int main(void) { return 0; }',
        )
        self.assertEqual(frozenset(), elf.hardening(path))

    def test_half_of_cet(self):
        for flag in ('-Wl,-z,ibt', '-Wl,-z,shstk'):
            path = programs.compiled('-fcf-protection=none', flag)
            self.assertEqual(frozenset(), elf.hardening(path))

    def test_cet_of_the_compiler_alone_does_not_reach_the_program(self):
        path = programs.compiled('-fcf-protection=full')
        self.assertEqual(by_readelf(path), elf.hardening(path))

    def test_now_in_each_of_its_forms(self):
        path = programs.compiled('-z', 'now')
        tags = readelf('-d', path)
        self.assertTrue('BIND_NOW' in tags or 'NOW' in tags)
        for flag in ('-Wl,--enable-new-dtags', '-Wl,--disable-new-dtags'):
            path = programs.compiled('-z', 'now', flag)
            self.assertEqual({'bindnow'}, elf.hardening(path))

    def test_static(self):
        # The C library within is built with a stack protector on Debian. It
        # says nothing of the program.
        path = programs.compiled('-static')
        self.assertIn('__stack_chk_fail', readelf('-s', path))
        self.assertLessEqual(elf.hardening(path), {'nx', 'relro'})

    def test_static_pie(self):
        path = programs.compiled('-fPIE', '-static-pie')
        self.assertIn('pie', elf.hardening(path))
        self.assertNotIn('canary', elf.hardening(path))

    def test_shared_library_is_no_pie(self):
        path = programs.compiled(
            '-shared', '-fPIC', '-z', 'now', source='int f(void) {return 1;}'
        )
        self.assertEqual({'bindnow'}, elf.hardening(path))

    def test_object_file_is_no_program(self):
        path = programs.compiled('-c')
        self.assertRaises(ValueError, elf.hardening, path)

    def test_no_stack_header_means_executable(self):
        data = contents(programs.with_words('nx', 'relro'))
        (offset,) = struct.unpack_from('<Q', data, E_PHOFF)
        (number,) = struct.unpack_from('<H', data, E_PHNUM)
        for index in range(number):
            place = offset + 56 * index
            if struct.unpack_from('<I', data, place) == (0x6474E551,):
                struct.pack_into('<I', data, place, 0)
        self.assertEqual({'relro'}, elf.hardening(self.file(data)))

    def file(self, data):
        handle, path = tempfile.mkstemp(dir=programs.FOLDER)
        with open(handle, 'wb') as stream:
            stream.write(data)
        return path


class RealTest(base.TestCase):
    """What Debian built, beside binutils' readelf."""

    def test_qemu(self):
        self.assertEqual(by_readelf(QEMU), elf.hardening(QEMU))
        self.assertLessEqual(
            {'pie', 'nx', 'relro', 'canary', 'fortify'}, elf.hardening(QEMU)
        )

    def test_other_programs(self):
        for path in ('/bin/bash', '/usr/bin/gcc', '/usr/bin/readelf'):
            self.assertEqual(by_readelf(path), elf.hardening(path), path)


class BrokenTest(base.TestCase):
    """Whatever is no program: OSError or ValueError, nothing else."""

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'file'
        )
        self.good = bytes(contents(programs.with_words(*ALL)))

    def examine(self, data):
        with open(self.path, 'wb') as stream:
            stream.write(data)
        return elf.hardening(self.path)

    def refused(self, data):
        error = self.assertRaises(ValueError, self.examine, data)
        self.assertIn(self.path, str(error))

    def maybe(self, data):
        """Read or refused, and in the former case nothing is made up."""
        try:
            return self.examine(data)
        except (OSError, ValueError):
            return None

    def test_no_file(self):
        self.assertRaises(OSError, elf.hardening, self.path)
        self.assertRaises(OSError, elf.hardening, os.path.dirname(self.path))

    def test_no_program(self):
        for data in (
            b'', b'\x7f', b'\x7fELF', b'#!/bin/sh\nexit 0\n', b'text\n' * 99,
            b'MZ' + bytes(999), bytes(9999), b'\x7fELF' + bytes(999),
            b'\x7fELF' + b'\xff' * 999,
        ):  # fmt: skip
            self.refused(data)

    def test_header_alone(self):
        self.refused(self.good[:64])

    def test_32_bit_header(self):
        data = bytearray(self.good)
        data[4] = 1
        self.refused(data)

    def test_32_bit_program(self):
        headers = (
            # p_type p_offset p_vaddr p_paddr p_filesz p_memsz p_flags p_align
            struct.pack('<8I', 1, 0, 0x8000, 0, 4, 4, 5, 4),
            struct.pack('<8I', 0x6474E551, 0, 0, 0, 0, 0, 6, 16),
        )
        for machine in (3, 40):
            data = (
                b'\x7fELF\x01\x01\x01' + bytes(9)
                + struct.pack('<2H5I6H', 2, machine, 1, 0x8000, 52, 0, 0, 52,
                              32, len(headers), 0, 0, 0)
                + b''.join(headers)
            )  # fmt: skip
            self.assertEqual({'nx'}, self.examine(data))

    def test_other_byte_order(self):
        data = bytearray(self.good)
        data[5] = 2
        self.refused(data)

    def test_not_to_be_started(self):
        for kind in (0, 1, 4, 0xFE00):
            data = bytearray(self.good)
            struct.pack_into('<H', data, E_TYPE, kind)
            self.refused(data)

    def test_no_segments_or_too_many(self):
        for number in (0, 0xFFFF, 0xFFFE, 2000):
            data = bytearray(self.good)
            struct.pack_into('<H', data, E_PHNUM, number)
            self.refused(data)

    def test_entry_size_of_segments(self):
        for size in (0, 1, 32, 55, 57, 0xFFFF):
            data = bytearray(self.good)
            struct.pack_into('<H', data, E_PHENTSIZE, size)
            self.refused(data)

    def test_sizes_that_are_too_large(self):
        tags = readelf('-d', programs.with_words(*ALL))
        self.assertIn('STRSZ', tags)
        for tag in (5, 6, 10):  # DT_STRTAB, DT_SYMTAB, DT_STRSZ
            for value in (
                0,
                1,
                1 << 31,
                1 << 40,
                (1 << 63) - 1,
                (1 << 64) - 1,
            ):
                data = bytearray(self.good)
                place = self._tag(data, tag)
                struct.pack_into('<Q', data, place + 8, value)
                words = self.maybe(data)
                self.assertIn(words, (None, ALL, ALL - {'canary', 'fortify'}))

    def _tag(self, data, tag):
        """Where an entry of the dynamic segment lies."""
        (offset,) = struct.unpack_from('<Q', data, E_PHOFF)
        (number,) = struct.unpack_from('<H', data, E_PHNUM)
        for index in range(number):
            header = struct.unpack_from('<IIQ', data, offset + 56 * index)
            if header[0] == 2:
                place = header[2]
                while struct.unpack_from('<Q', data, place)[0] != tag:
                    place += 16
                return place
        raise AssertionError('no dynamic segment')

    def test_truncated(self):
        for size in range(0, len(self.good), 97):
            words = self.maybe(self.good[:size])
            self.assertLessEqual(words or set(), ALL)

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(st.binary(max_size=200))
    def test_random(self, data):
        self.maybe(data)
        self.maybe(self.good[:16] + data)

    @hypothesis.settings(max_examples=250)
    @hypothesis.given(
        st.lists(
            st.tuples(
                st.integers(0, 64 + 56 * 14) | st.integers(0, 1 << 14),
                st.binary(min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_random_changes(self, changes):
        data = bytearray(self.good)
        for place, other in changes:
            data[place : place + len(other)] = other
        self.maybe(data)
