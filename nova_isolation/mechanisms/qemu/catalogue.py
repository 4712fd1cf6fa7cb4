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


"""The components of QEMU that a distribution can leave out.

Each component is a piece of attack surface that most guests never use. A
component is present in an emulator when the emulator knows one of the QOM
types of the component: its core, or any front end of it, whether it is for
PCI, ISA, the system bus or another bus. The binary itself lists its types,
the abstract ones too (:mod:`nova_isolation.probes.emulator`), and also loads
the modules that are packaged separately. The names are those of QEMU's own
sources (``hw/``, ``net/can/``, ``chardev/``), from QEMU 6.2 to 10.0.

A back end of QEMU that no guest can reach by itself (``chardev-parallel``,
``chardev-testdev``) is not part of a component.

The order is part of the schema of the facts, because a host sends one bit for
each component. Only append components; never insert or remove one.
"""

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set

#: Component -> the QOM types that reveal the component; ``*`` stands for any
#: characters. Where QEMU has a core or an abstract type, it is named first.
CATALOGUE = types.MappingProxyType(
    {
        'floppy': ('floppy', 'floppy-bus', '*-fdc', 'sun-fdtwo'),
        'cirrus': ('cirrus-vga', 'isa-cirrus-vga', '*cirrus*'),
        'usb-redir': ('usb-redir',),
        'qxl': ('pci-qxl', 'qxl', 'qxl-*'),
        'vmware-vga': ('vmware-svga',),
        'bochs-display': ('bochs-display',),
        'ati-vga': ('ati-vga',),
        # The front ends of the next component are among them: a package can
        # have them without the device that they are made of, and then they
        # have no 3D acceleration (they cannot be used at all).
        'virtio-gpu': (
            'virtio-gpu-base', 'virtio-gpu-device', 'virtio-gpu-pci*',
            'virtio-gpu-ccw', 'virtio-gpu-rutabaga-*', 'virtio-gpu-gl-pci*',
            'virtio-vga', 'virtio-vga-base*', 'virtio-vga-rutabaga*',
            'virtio-vga-gl*', 'vhost-user-gpu*', 'vhost-user-vga*',
        ),
        'virtio-gpu-gl': ('virtio-gpu-gl-device', 'virtio-gpu-virgl-*'),
        'ne2000': ('ne2k_pci', 'ne2k_isa', 'ne2k*'),
        'pcnet': ('pcnet', 'pcnet-*', 'lance'),
        'rtl8139': ('rtl8139',),
        'e1000': ('e1000-base', 'e1000', 'e1000-*'),
        'e1000e': ('e1000e',),
        'eepro100': ('i8255?*', 'i82562', 'i82801'),
        'tulip': ('tulip',),
        'vmxnet3': ('vmxnet3',),
        'sdhci': ('generic-sdhci', 'sdhci-bus', '*sdhci*', '*usdhc'),
        'ac97': ('AC97', '*ac97', 'via-mc97'),
        'es1370': ('ES1370',),
        'intel-hda': ('intel-hda-generic', '*intel-hda', 'HDA', 'hda-*'),
        'sb16': ('sb16',),
        'adlib': ('adlib',),
        'gus': ('gus',),
        'lsi-scsi': ('lsi53c895a', 'lsi53c*'),
        'megasas': ('megasas-base', 'megasas', 'megasas-*'),
        'mptsas': ('mptsas1068', 'mptsas*'),
        'am53c974': ('esp', '*-esp', 'am53c974', 'dc390'),
        'pvscsi': ('pvscsi',),
        'virtio-9p': ('virtio-9p-device', 'virtio-9p-*'),
        'nvme': ('nvme', 'nvme-*'),
        'usb-uhci': ('pci-uhci-usb', '*uhci*'),
        'usb-ohci': ('sysbus-ohci', 'pci-ohci', '*ohci*'),
        'usb-ehci': (
            'pci-ehci-usb', 'sysbus-ehci-usb', '*ehci*', 'usb-chipidea',
        ),
        'usb-xhci': (
            'base-xhci', 'pci-xhci', 'sysbus-xhci', '*xhci*', 'usb_dwc3',
        ),
        'usb-smartcard': ('usb-ccid', 'ccid-card', 'ccid-*'),
        'usb-mtp': ('usb-mtp',),
        'usb-storage': (
            'usb-storage-dev', 'usb-storage', 'usb-bot', 'usb-uas',
        ),
        'usb-serial': ('usb-serial-dev', 'usb-serial', 'usb-braille'),
        'usb-host': ('usb-host',),
        'usb-u2f': ('u2f-key', 'u2f-*'),
        'parallel': ('isa-parallel',),
        'ipmi': ('ipmi-bmc', 'ipmi-interface', '*ipmi*'),
        'can': (
            'can-bus', 'can-host', 'can-host-*', 'kvaser_pci', 'ctucan_pci',
            'mioe3680_pci', 'pcm3680_pci', 'xlnx.*can*',
        ),
        'ivshmem': ('ivshmem-common', 'ivshmem', 'ivshmem-*'),
        'edu': ('edu',),
        'pc-testdev': ('pc-testdev', 'pci-testdev', 'hyperv-testdev'),
        'spice': ('chardev-spice', 'chardev-spice*'),
        'vmport': ('vmport', 'vmmouse'),
        # QEMU dropped it in release 8.0.
        'sga': ('sga',),
    }
)  # fmt: skip


def present(known: 'Set[str]') -> frozenset[str]:
    """Return the components that an emulator has.

    :param known: all QOM types that the emulator knows
    """
    # The libvirt hook reads the names of the components, and no patterns.
    import fnmatch
    import re

    return frozenset(
        component
        for component, names in CATALOGUE.items()
        if any(
            map(
                re.compile('|'.join(map(fnmatch.translate, names))).match,
                known,
            )
        )
    )
