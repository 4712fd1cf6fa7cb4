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

"""How to build a QEMU without components, and with all hardening.

The recipe is for Debian's sources of the QEMU releases that were built so,
for x86-64 guests. It consists of options for QEMU's ``configure``, a device
configuration (``--with-devices-x86_64``), and the few changes of the sources
without which a component cannot be left out.

A configuration that names a symbol which its QEMU does not have is refused by
QEMU (``scripts/minikconf.py``), so a recipe is for one release.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import shlex
import types

from nova_isolation.mechanisms.qemu import catalogue

#: The name of the device configuration among those of QEMU.
DEVICES = 'nova-isolation'

#: What guests of Nova use, for a QEMU that has nothing else: the machine
#: types and slots, what every guest has, the guest agent, hw_scsi_model=
#: virtio-scsi, and hw_video_model=vga with VNC.
_NEEDED = (
    'I440FX', 'Q35', 'PCIE_PORT', 'VIRTIO_PCI', 'VIRTIO_BLK', 'VIRTIO_NET',
    'VIRTIO_BALLOON', 'VIRTIO_RNG', 'VIRTIO_SERIAL', 'VIRTIO_SCSI', 'VGA_PCI',
)  # fmt: skip

#: The features of configure that every recipe asks for.
_FEATURES = (
    'system', 'kvm', 'tcg', 'seccomp', 'vhost-kernel', 'vhost-net',
    'linux-aio', 'numa', 'vnc', 'pie', 'stack-protector',
)  # fmt: skip

#: Where Debian has the firmware, and QEMU its modules.
_PLACES = (
    '--prefix=/usr',
    '--libdir=lib/x86_64-linux-gnu',
    '--sysconfdir=/etc',
    '--localstatedir=/var',
    '--firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu',
    '--disable-install-blobs',
    '--disable-debug-info',
    '--target-list=x86_64-softmmu',
)

#: Flags of the compiler for the words canary, fortify and cet of
#: ``isolation:qemu_hardening``, and more that the file cannot tell.
COMPILER = (
    '-O2', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=3',
    '-fstack-protector-strong', '-fstack-clash-protection',
    '-fcf-protection=full', '-ftrivial-auto-var-init=zero',
    '-fzero-call-used-regs=used-gpr',
)  # fmt: skip

#: Flags of the linker for relro, bindnow, nx and cet. The start of the program
#: is start.S in place of the C library's, which is not marked for cet where
#: the C library was not built for it, as Debian's; one such file is enough for
#: the program to lose the mark. The linker fails where a file lacks it.
LINKER = (
    '-nostartfiles', '$PWD/start.o', '-Wl,-z,cet-report=error',
    '-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of QEMU's sources.

    :ivar file: the file, in QEMU's sources
    :ivar command: a command of sed(1)
    :ivar after: a text that the changed file has, and the original has not
    """

    file: str
    command: str
    after: str


@dataclasses.dataclass(frozen=True)
class Release:
    """What is particular to a release of QEMU.

    :ivar unknown: symbols of the catalogue that its Kconfig does not have
    :ivar boards: machine types that are built by default and that no guest of
        Nova has; some of them need a component
    :ivar borrowers: components, and a symbol that does not link where none of
        these is built, as it has code from them
    :ivar options: options of its configure
    :ivar changes: a component, and a change without which it cannot be left
        out
    """

    unknown: frozenset[str] = frozenset()
    boards: tuple[str, ...] = ()
    borrowers: tuple[tuple[tuple[str, ...], str], ...] = ()
    options: tuple[str, ...] = ()
    changes: tuple[tuple[str, Change], ...] = ()


#: Release of QEMU -> what is particular to it.
RELEASES = types.MappingProxyType(
    {
        '7.2': Release(
            unknown=frozenset({'IVSHMEM_FLAT_DEVICE'}),
            # Else it looks for the Meson that Debian takes out of the sources.
            options=('--meson=/usr/bin/meson',),
            # The machine types always have a controller for floppy disks;
            # later releases of QEMU do without.
            changes=(
                (
                    'floppy',
                    Change(
                        'hw/i386/Kconfig',
                        's/select FDC_ISA$/imply FDC_ISA/',
                        'imply FDC_ISA',
                    ),
                ),
                (
                    'floppy',
                    Change(
                        'hw/i386/pc.c',
                        's/isa_new(TYPE_ISA_FDC)/isa_try_new(TYPE_ISA_FDC)/',
                        'isa_try_new(TYPE_ISA_FDC)',
                    ),
                ),
                (
                    'floppy',
                    Change(
                        'hw/i386/pc.c',
                        r'/^#include CONFIG_DEVICES$/a'
                        r'#ifndef CONFIG_FDC_ISA\n'
                        r'#define isa_fdc_get_drive_type(floppy, i) '
                        r'FLOPPY_DRIVE_TYPE_NONE\n'
                        r'#define isa_fdc_init_drives(floppy, drives) '
                        r'((void)(drives))\n'
                        r'#define cmos_get_fd_drive_type(type) 0\n'
                        r'#endif',
                        '#ifndef CONFIG_FDC_ISA',
                    ),
                ),
            ),
        ),
        '10.0': Release(
            unknown=frozenset({'SGA'}),
            boards=('ISAPC', 'MICROVM'),
            borrowers=((('e1000', 'e1000e'), 'IGB_PCI_EXPRESS'),),
            options=('--disable-download', '--enable-pixman'),
            # The south bridge of the machine type pc has it built, and uses
            # it only where the machine has usb=on.
            changes=(
                (
                    'usb-uhci',
                    Change(
                        'hw/isa/Kconfig',
                        '/^config PIIX$/,/^$/'
                        's/select USB_UHCI$/imply USB_UHCI/',
                        'imply USB_UHCI',
                    ),
                ),
            ),
        ),
    }
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to build an emulator.

    :ivar release: of QEMU, one of :data:`RELEASES`
    :ivar absent: the components that are left out, by choice
    :ivar configure: options for configure, one argument each; ``$PWD`` is the
        folder of the build, where start.o is
    :ivar devices: the lines of the device configuration
    :ivar changes: of the sources, in this order
    """

    release: str
    absent: tuple[str, ...]
    configure: tuple[str, ...]
    devices: tuple[str, ...]
    changes: tuple[Change, ...]


def make(
    absent: Iterable[str], release: str, *, needed_only: bool = False
) -> Recipe:
    """Return the recipe for an emulator without components.

    :param absent: names of components
    :param release: of QEMU, one of :data:`RELEASES`
    :param needed_only: True: nothing is built that guests of Nova do not use;
        False: all that QEMU builds by default, except for the components
    """
    own = RELEASES[release]
    absent = tuple(absent)
    rows = [catalogue.CATALOGUE[name] for name in absent]
    off = [*own.boards, *(s for row in rows for s in row.kconfig)]
    off += [
        symbol
        for lenders, symbol in own.borrowers
        if set(lenders) <= set(absent)
    ]
    boards = _NEEDED if needed_only else _NEEDED[:2]
    devices = [f'CONFIG_{symbol}=y' for symbol in boards]
    devices += [
        f'CONFIG_{symbol}=n'
        for symbol in dict.fromkeys(off)
        if symbol not in own.unknown
    ]
    if needed_only:
        features = ['--without-default-features', '--without-default-devices']
    else:
        features = ['--disable-tools', '--disable-docs', '--disable-user']
        features += [f'--disable-{row.feature}' for row in rows if row.feature]
    features += [f'--enable-{name}' for name in _FEATURES]
    return Recipe(
        release,
        absent,
        (
            *own.options,
            *_PLACES,
            f'--with-devices-x86_64={DEVICES}',
            *features,
            f'--extra-cflags={" ".join(COMPILER)}',
            f'--extra-ldflags={" ".join(LINKER)}',
        ),
        tuple(devices),
        tuple(change for name, change in own.changes if name in absent),
    )


def as_text(wanted: Recipe) -> Iterator[str]:
    """Return a recipe as lines for people."""
    yield f"QEMU {wanted.release} for x86-64, in Debian's sources."
    if wanted.changes:
        yield ''
        yield 'Changes of the sources:'
    for one in wanted.changes:
        yield '  ' + shlex.join(('sed', '-i', one.command, one.file))
    yield ''
    yield f'configs/devices/x86_64-softmmu/{DEVICES}.mak:'
    for line in wanted.devices:
        yield f'  {line}'
    yield ''
    yield (
        'configure, in the folder of the build, where start.o is (the option '
        '--output writes its source):'
    )
    for option in wanted.configure:
        yield f'  {option}'
