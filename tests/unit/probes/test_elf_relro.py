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


"""Tests of the word relro, beside what a program sees of itself.

The program prints the rights of the pages that hold its own dynamic segment
and its own global offset table.
"""

import itertools
import mmap
import os
import stat
import struct
import subprocess
import tempfile

from nova_isolation.probes import elf
from tests.unit import base
from tests.unit.probes import elf_headers as eh
from tests.unit.probes import programs

#: Prints for the dynamic segment, for the entries of the table that are
#: filled at the start, and for those that may be filled later, whether one of
#: them can be written to: w or -.
SOURCE = """
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
static unsigned long base;
static ElfW(Dyn) *dynamic;
static int first(struct dl_phdr_info *info, size_t size, void *data)
{
    int i;
    base = info->dlpi_addr;
    for (i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (void *)(base + info->dlpi_phdr[i].p_vaddr);
    return 1;
}
static unsigned long at(unsigned long value)
{
    return value < base ? value + base : value;
}
static int writable(unsigned long place)
{
    unsigned long start, end;
    char rights[5], line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3
            && start <= place && place < end) {
            fclose(maps);
            return rights[1] == 'w';
        }
    exit(3);
}
int main(void)
{
    unsigned long rela = 0, slots = 0, size = 0, slots_size = 0, i;
    int table = 0, later = 0, protector = 0;
    ElfW(Rela) *r;
    dl_iterate_phdr(first, NULL);
    for (ElfW(Dyn) *d = dynamic; d->d_tag; d++) {
        if (d->d_tag == DT_RELA) rela = at(d->d_un.d_val);
        if (d->d_tag == DT_RELASZ) size = d->d_un.d_val;
        if (d->d_tag == DT_JMPREL) slots = at(d->d_un.d_val);
        if (d->d_tag == DT_PLTRELSZ) slots_size = d->d_un.d_val;
    }
    for (r = (void *)rela, i = 0; i < size / sizeof *r; i++)
        if (ELF64_R_TYPE(r[i].r_info) == R_X86_64_GLOB_DAT)
            table |= writable(base + r[i].r_offset);
    for (r = (void *)slots, i = 0; i < slots_size / sizeof *r; i++)
        later |= writable(base + r[i].r_offset);
    printf("%c%c%c\\n", writable((unsigned long)dynamic) ? 'w' : '-',
           table ? 'w' : '-', later ? 'w' : '-');
    return 0;
}
"""

PAGE = mmap.PAGESIZE
DT_FLAGS, DT_FLAGS_1, DT_BIND_NOW = 30, 0x6FFFFFFB, 24

NO_PIE, PIE = ('-no-pie',), programs.ON['pie']
FULL = ('-z', 'relro', '-z', 'now')
PARTIAL = ('-z', 'relro')

#: The ways to build a program.
BUILDS = [
    (*relro, *pie, *other)
    for relro in (FULL, PARTIAL, ('-z', 'now'), ())
    for pie in (NO_PIE, PIE)
    for other in ((), ('-fno-plt',))
]


def seen(path):
    """What a program sees of itself; an empty string where it fails."""
    return subprocess.run(
        [path], capture_output=True, text=True, timeout=30
    ).stdout.strip()


class RelroTest(base.TestCase):
    """Nothing is read-only because a header says so."""

    def file(self, data):
        handle, path = tempfile.mkstemp(dir=programs.FOLDER)
        with open(handle, 'wb') as stream:
            stream.write(data)
        os.chmod(path, stat.S_IRWXU)
        return path

    def same(self, path, message=None):
        """The judgement about a program is what the program sees.

        :returns: the words of the program; None: it does not start
        """
        rights = seen(path)
        words = elf.hardening(path)
        if not rights:
            return None
        holds = rights[:2] == '--' and (
            'bindnow' not in words or rights[2] == '-'
        )
        self.assertEqual(holds, 'relro' in words, (message, rights, words))
        return words

    def test_each_build(self):
        found = set()
        for flags in BUILDS:
            path = programs.compiled(*flags, source=SOURCE)
            words = self.same(path, flags)
            found.add('relro' in words)
            self.assertEqual('relro' in flags, 'relro' in words, flags)
        self.assertEqual({True, False}, found)

    def test_static_pie(self):
        for flags in (FULL, PARTIAL, ()):
            path = programs.compiled(
                '-fPIE', '-static-pie', *flags, source=SOURCE
            )
            self.assertEqual('relro' in flags, 'relro' in self.same(path))

    def test_static_program_proves_nothing(self):
        path = programs.compiled('-static', *FULL)
        self.assertNotIn('relro', elf.hardening(path))

    def patched(self, change, *flags):
        """A full RELRO program, with a change of its header of RELRO."""
        path = programs.compiled(*PIE, *(flags or FULL), source=SOURCE)
        data = eh.contents(path)
        change(data, eh.segment(data, eh.PT_GNU_RELRO))
        return self.file(data)

    def refused(self, change, *flags):
        path = self.patched(change, *flags)
        self.assertNotIn('relro', self.same(path) or elf.hardening(path))

    def test_unchanged(self):
        self.assertIn('relro', self.same(self.patched(lambda d, p: None)))

    def test_no_header(self):
        self.refused(lambda d, p: eh.put(d, p, type=eh.PT_NULL))

    def test_no_size(self):
        self.refused(lambda d, p: eh.put(d, p, memsz=0))

    def test_the_end_is_rounded_down(self):
        def change(data, place):
            eh.put(data, place, memsz=eh.get(data, place, 'memsz') - 1)

        self.refused(change)

    def test_the_start_is_rounded_down(self):
        # The file's size is of no effect, and so is a start in the page.
        def change(data, place):
            start = eh.get(data, place, 'vaddr')
            size = eh.get(data, place, 'memsz')
            eh.put(
                data,
                place,
                vaddr=start // PAGE * PAGE,
                memsz=size + start % PAGE,
                filesz=0,
            )

        self.assertIn('relro', self.same(self.patched(change)))

    def test_starts_behind_the_table(self):
        def change(data, place):
            end = eh.get(data, place, 'vaddr') + eh.get(data, place, 'memsz')
            eh.put(data, place, vaddr=end, memsz=PAGE)

        self.refused(change)

    def test_segment_of_the_code(self):
        def change(data, place):
            load = eh.segment(data, eh.PT_LOAD)
            eh.put(
                data,
                place,
                vaddr=eh.get(data, load, 'vaddr'),
                memsz=PAGE,
            )

        self.refused(change)

    def test_segment_of_thread_local_storage(self):
        source = SOURCE + '__thread int x = 1; int *y(void) { return &x; }'
        path = programs.compiled(*PIE, *FULL, source=source)
        self.assertIn('relro', self.same(path))
        data = eh.contents(path)
        tls = eh.segment(data, eh.PT_TLS)
        eh.put(
            data,
            eh.segment(data, eh.PT_GNU_RELRO),
            **{f: eh.get(data, tls, f) for f in ('vaddr', 'filesz', 'memsz')},
        )
        self.assertNotIn('relro', self.same(self.file(data)))

    def test_outside_of_each_segment(self):
        # The dynamic linker does not start such a program.
        def change(data, place):
            eh.put(data, place, vaddr=1 << 40, memsz=PAGE)

        self.refused(change)

    def test_beyond_its_segment(self):
        for size in (1 << 20, 1 << 40, (1 << 64) - PAGE, (1 << 64) - 1):

            def change(data, place, size=size):
                eh.put(data, place, memsz=size)

            self.refused(change)

    def test_of_two_headers_the_last_counts(self):
        for good_is_last in (True, False):

            def change(data, place, good_is_last=good_is_last):
                other = eh.segment(data, eh.PT_GNU_STACK)
                self.assertLess(other, place)
                data[other : other + eh.HEADER] = data[
                    place : place + eh.HEADER
                ]
                eh.put(data, other if good_is_last else place, memsz=0)

            words = self.same(self.patched(change))
            self.assertEqual(good_is_last, 'relro' in words)

    def test_bound_now_by_the_flags_alone(self):
        # The linker left entries of the table writable, to fill them later.
        def change(data, place):
            entry = eh.tag(data, DT_FLAGS_1)
            flags = eh.value(data, DT_FLAGS_1)
            struct.pack_into('<Q', data, entry + 8, flags | 1)

        path = self.patched(change, *PARTIAL)
        words = self.same(path)
        self.assertIn('bindnow', words)
        self.assertNotIn('relro', words)

    def test_any_range(self):
        path = programs.compiled(*PIE, *FULL, source=SOURCE)
        data = eh.contents(path)
        place = eh.segment(data, eh.PT_GNU_RELRO)
        start = eh.get(data, place, 'vaddr') // PAGE * PAGE
        found = set()
        for before, after in itertools.product(range(-2, 3), repeat=2):
            for odd in (0, 1, PAGE - 1):
                eh.put(
                    data,
                    place,
                    vaddr=start + before * PAGE + odd,
                    memsz=max(0, after * PAGE),
                )
                words = self.same(self.file(data), (before, after, odd))
                found.add(words and 'relro' in words)
        self.assertEqual({None, True, False}, found)
