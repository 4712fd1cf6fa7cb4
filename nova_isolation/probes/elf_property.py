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


"""What a program claims in its GNU property note.

The rules are those of the dynamic linker (sysdeps/x86/dl-prop.h and
elf/dl-load.c of glibc). Its releases differ in the header by which they find
the note, so all of the headers must agree.
"""

from collections.abc import Iterator
import struct

from nova_isolation.probes import elf_image

_IBT_AND_SHSTK = 0x3
_X86 = ('EM_X86_64', 'EM_386')
_NT_GNU_PROPERTY_TYPE_0 = 5
_GNU_PROPERTY_X86_FEATURE_1_AND = 0xC0000002

#: The largest note segment that is read, bytes. That of a QEMU has 32.
_MAX_NOTES = 65536


def has_cet(image: elf_image.ElfImage) -> bool:
    """Return whether a program claims both IBT and SHSTK.

    :raises ValueError: a note segment cannot be read
    """
    if image.machine not in _X86 or image.last('PT_GNU_PROPERTY') is None:
        return False
    claims = [
        claim
        for kind in ('PT_NOTE', 'PT_GNU_PROPERTY')
        for segment in image.segments.get(kind, [])
        # The dynamic linker skips a segment with another alignment.
        if segment.align == image.word
        for claim in _claims(image, segment)
    ]
    return bool(claims) and all(
        claim & _IBT_AND_SHSTK == _IBT_AND_SHSTK for claim in claims
    )


def _claims(
    image: elf_image.ElfImage, segment: elf_image.Segment
) -> Iterator[int]:
    """Return the features that each property note of a segment claims."""
    start, end = segment.memory.start, segment.memory.end
    if end - start > _MAX_NOTES:
        raise ValueError('its notes are too long')
    data = image.read(start, end - start)
    place = 0
    while place + 12 < len(data):
        name_size, size, kind = struct.unpack_from(
            image.order + '3I', data, place
        )
        content = place + 12 + _up(name_size, image.word)
        # The name of the note is 4 bytes long, which ends at a multiple of 8.
        if name_size == 4:
            content = place + 16
            name = data[place + 12 : content]
            if name == b'GNU\0' and kind == _NT_GNU_PROPERTY_TYPE_0:
                yield _features(image, data[content : content + size])
        place = content + _up(size, image.word)


def _features(image: elf_image.ElfImage, data: bytes) -> int:
    """Return the features of x86 that an array of properties claims; or 0."""
    place = last = 0
    while len(data) - place >= 8:
        kind, size = struct.unpack_from(image.order + '2I', data, place)
        place += 8
        # The properties are sorted by their types.
        if kind < last or place + size > len(data):
            return 0
        if kind == _GNU_PROPERTY_X86_FEATURE_1_AND:
            if size != 4:
                return 0
            (claim,) = struct.unpack_from(image.order + 'I', data, place)
            return int(claim)
        last = kind
        place += _up(size, image.word)
    return 0


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
