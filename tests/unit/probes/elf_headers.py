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


"""Headers of ELF files that the tests read and change."""

import struct

#: Offsets in the header of a 64-bit file (gABI, chapter 4).
E_TYPE, E_MACHINE, E_PHOFF, E_SHOFF = 16, 18, 32, 40
E_PHENTSIZE, E_PHNUM, E_SHENTSIZE, E_SHNUM, E_SHSTRNDX = 54, 56, 58, 60, 62

PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 0, 1, 2, 3, 4, 7
PT_GNU_EH_FRAME, PT_GNU_STACK = 0x6474E550, 0x6474E551
PT_GNU_RELRO, PT_GNU_PROPERTY = 0x6474E552, 0x6474E553

#: The fields of a 64-bit program header: their places and formats.
FIELDS = {
    'type': (0, 'I'), 'flags': (4, 'I'), 'offset': (8, 'Q'),
    'vaddr': (16, 'Q'), 'filesz': (32, 'Q'), 'memsz': (40, 'Q'),
    'align': (48, 'Q'),
}  # fmt: skip

HEADER = 56


def contents(path):
    """The bytes of a file."""
    with open(path, 'rb') as stream:
        return bytearray(stream.read())


def segments(data):
    """The places of all program headers in a 64-bit file."""
    (offset,) = struct.unpack_from('<Q', data, E_PHOFF)
    (number,) = struct.unpack_from('<H', data, E_PHNUM)
    return [offset + HEADER * index for index in range(number)]


def segment(data, kind):
    """The place of the first program header of a type."""
    return next(p for p in segments(data) if get(data, p, 'type') == kind)


def get(data, place, field):
    """A field of the program header at a place."""
    offset, layout = FIELDS[field]
    return struct.unpack_from('<' + layout, data, place + offset)[0]


def put(data, place, **values):
    """Change fields of the program header at a place."""
    for field, value in values.items():
        offset, layout = FIELDS[field]
        struct.pack_into('<' + layout, data, place + offset, value)


def tag(data, number):
    """The place of an entry of the dynamic segment; None: no such entry."""
    place = get(data, segment(data, PT_DYNAMIC), 'offset')
    while True:
        (found,) = struct.unpack_from('<Q', data, place)
        if found in (number, 0):
            return place if found == number else None
        place += 16


def value(data, number):
    """The value of an entry of the dynamic segment."""
    return struct.unpack_from('<Q', data, tag(data, number) + 8)[0]


def offset_of(data, address):
    """The place in the file of an address."""
    for place in segments(data):
        start = get(data, place, 'vaddr')
        if get(
            data, place, 'type'
        ) == PT_LOAD and start <= address < start + get(data, place, 'filesz'):
            return get(data, place, 'offset') + address - start
    raise AssertionError(f'no segment has {address:#x}')
