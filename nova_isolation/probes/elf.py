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

A word counts only where it has its effect when the kernel and the dynamic
linker start the program. The list shows what each word means and the source
of its rule:

``pie``
    The kernel loads the program at a random address: its type is ET_DYN and
    the file is a program, not a library (DF_1_PIE is set, or an interpreter
    is named). System V gABI, chapter 5.
``nx``
    Nothing that can be written can be executed: the file has PT_GNU_STACK
    without PF_X, and no loaded segment has both PF_W and PF_X. Where the file
    has no PT_GNU_STACK, the kernel or the C library makes stacks executable
    (fs/binfmt_elf.c, elf/dl-support.c of glibc).
``relro``
    Nobody can write to what the dynamic linker has prepared at the start. The
    dynamic linker protects the last PT_GNU_RELRO, both of its ends rounded
    down to a page (elf/dl-reloc.c of glibc, _dl_protect_relro). The protected
    pages hold the dynamic segment, the functions that are called at the start
    and the end, and the global offset table. Without ``bindnow`` the word
    says nothing about the entries of the table for functions that are bound
    when they are first called (*partial RELRO*).
``bindnow``
    All symbols are bound at the start: the file has DT_BIND_NOW, DF_BIND_NOW
    or DF_1_NOW.
``canary``
    The program was built with a stack protector: it calls
    ``__stack_chk_fail`` of the C library.
``fortify``
    The program was built with _FORTIFY_SOURCE: it calls a checking function
    of glibc, ``__*_chk``.
``cet``
    The program was built for Intel's control-flow enforcement: the GNU
    property note claims both IBT and SHSTK (System V psABI for x86-64,
    GNU_PROPERTY_X86_FEATURE_1). Whether the processor, the kernel and the
    libraries use it, the file cannot tell.

``canary``, ``fortify`` and ``relro`` are found by the relocations that fill
the global offset table. So a statically linked program counts as having none
of the three; a static PIE may have ``relro``. On other machines than x86, Arm
and s390x the table is not known, and a program counts as not having
``relro``.
"""

from collections.abc import Iterator
import mmap
import os
import re
import stat

from nova_isolation.probes import elf_dynamic
from nova_isolation.probes import elf_image
from nova_isolation.probes import elf_property

# The checking functions of glibc (debug/Versions). Other libraries have
# functions with such names, too. __stack_chk_fail has a similar name and
# belongs to the stack protector.
_FORTIFIED = re.compile(
    '__(?:'
    'asprintf|confstr|dprintf|explicit_bzero|fdelt|fgets|fgets_unlocked|'
    'fgetws|fgetws_unlocked|fprintf|fread|fread_unlocked|fwprintf|getcwd|'
    'getdomainname|getgroups|gethostname|getlogin_r|gets|getwd|longjmp|'
    'mbsnrtowcs|mbsrtowcs|mbstowcs|memcpy|memmove|mempcpy|memset|'
    'obstack_printf|obstack_vprintf|poll|ppoll|pread|pread64|printf|'
    'ptsname_r|read|readlink|readlinkat|realpath|recv|recvfrom|snprintf|'
    'sprintf|stpcpy|stpncpy|strcat|strcpy|strlcat|strlcpy|strncat|'
    'strncpy|swprintf|syslog|ttyname_r|vasprintf|vdprintf|vfprintf|'
    'vfwprintf|vprintf|vsnprintf|vsprintf|vswprintf|vsyslog|vwprintf|'
    'wcpcpy|wcpncpy|wcrtomb|wcscat|wcscpy|wcslcat|wcslcpy|wcsncat|'
    'wcsncpy|wcsnrtombs|wcsrtombs|wcstombs|wctomb|wmemcpy|wmemmove|'
    'wmempcpy|wmemset|wprintf'
    ')_chk'
)


def hardening(path: str) -> frozenset[str]:
    """Return the words of ``isolation:qemu_hardening`` that a program meets.

    :param path: an ELF file
    :raises OSError: the file cannot be read
    :raises ValueError: the file is not an ELF program
    """
    with open(path, 'rb', opener=_open) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError(f'{path} is not a regular file')
        try:
            image = elf_image.ElfImage(stream, mmap.PAGESIZE)
            return frozenset(_words(image))
        except OSError:
            raise
        except Exception as error:
            # The library does not expect broken files: for these it also
            # raises its own errors.
            raise ValueError(
                f'{path} is not an ELF program: {error!r}'
            ) from error


def _open(path: str, flags: int) -> int:
    # A named pipe without a writer would wait for one.
    return os.open(path, flags | os.O_NONBLOCK)


def _words(image: elf_image.ElfImage) -> Iterator[str]:
    segment = image.last('PT_DYNAMIC')
    dynamic = (
        elf_dynamic.ElfDynamic(image, segment) if segment is not None else None
    )
    if image.type == 'ET_DYN' and (
        image.last('PT_INTERP') is not None or (dynamic and dynamic.is_pie)
    ):
        yield 'pie'
    stack = image.last('PT_GNU_STACK')
    if (
        stack is not None
        and not stack.executable
        and not any(s.writable and s.executable for s in image.loaded)
    ):
        yield 'nx'
    if elf_property.has_cet(image):
        yield 'cet'
    if dynamic is None:
        return
    if dynamic.binds_now:
        yield 'bindnow'
    if dynamic.has_known_table and _has_relro(image, dynamic):
        yield 'relro'
    imports = dynamic.imports()
    if '__stack_chk_fail' in imports:
        yield 'canary'
    if any(map(_FORTIFIED.fullmatch, imports)):
        yield 'fortify'


def _has_relro(
    image: elf_image.ElfImage, dynamic: elf_dynamic.ElfDynamic
) -> bool:
    """Return whether the dynamic linker write-protects what it prepared."""
    segment = image.last('PT_GNU_RELRO')
    if segment is None:
        return False
    protected = image.rounded_down(segment.memory)
    # The dynamic linker fails where a page is not mapped.
    if protected.start >= protected.end or not image.maps(protected):
        return False
    return all(
        protected.has(place) or image.is_read_only(place)
        for place in dynamic.fixed_places()
    )
