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


class Component:
    """One row of the catalogue.

    :ivar types: the QOM types that reveal the component; ``*`` stands for any
        characters. Where QEMU has a core or an abstract type, it is named
        first.
    :ivar kconfig: the symbols of QEMU's Kconfig that build it for x86-64, of
        QEMU 7.2 and of 10.0; a QEMU whose device configuration sets them to
        ``n`` lacks it
    :ivar feature: the feature of QEMU's ``configure`` that builds it
        (``--disable-FEATURE`` leaves it out), '' where there is none
    """

    __slots__ = ('feature', 'kconfig', 'types')

    def __init__(
        self, *types: str, kconfig: str = '', feature: str = ''
    ) -> None:
        """See the class; ``kconfig`` has the symbols with blanks between."""
        self.types = types
        self.kconfig = tuple(kconfig.split())
        self.feature = feature


#: Name of a component -> its row.
CATALOGUE = types.MappingProxyType(
    {
        'floppy': Component(
            'floppy', 'floppy-bus', '*-fdc', 'sun-fdtwo', kconfig='FDC_ISA',
        ),
        'cirrus': Component(
            'cirrus-vga', 'isa-cirrus-vga', '*cirrus*', kconfig='VGA_CIRRUS',
        ),
        'usb-redir': Component('usb-redir', feature='usb-redir'),
        'qxl': Component('pci-qxl', 'qxl', 'qxl-*', kconfig='QXL'),
        'vmware-vga': Component('vmware-svga', kconfig='VMWARE_VGA'),
        'bochs-display': Component('bochs-display', kconfig='BOCHS_DISPLAY'),
        'ati-vga': Component('ati-vga', kconfig='ATI_VGA'),
        # The front ends of the next component are among them: a package can
        # have them without the device that they are made of, and then they
        # have no 3D acceleration (they cannot be used at all).
        'virtio-gpu': Component(
            'virtio-gpu-base', 'virtio-gpu-device', 'virtio-gpu-pci*',
            'virtio-gpu-ccw', 'virtio-gpu-rutabaga-*', 'virtio-gpu-gl-pci*',
            'virtio-vga', 'virtio-vga-base*', 'virtio-vga-rutabaga*',
            'virtio-vga-gl*', 'vhost-user-gpu*', 'vhost-user-vga*',
            kconfig='VIRTIO_GPU VIRTIO_VGA',
        ),
        'virtio-gpu-gl': Component(
            'virtio-gpu-gl-device', 'virtio-gpu-virgl-*',
            feature='virglrenderer',
        ),
        'ne2000': Component(
            'ne2k_pci', 'ne2k_isa', 'ne2k*', kconfig='NE2000_PCI NE2000_ISA',
        ),
        'pcnet': Component('pcnet', 'pcnet-*', 'lance', kconfig='PCNET_PCI'),
        'rtl8139': Component('rtl8139', kconfig='RTL8139_PCI'),
        'e1000': Component(
            'e1000-base', 'e1000', 'e1000-*', kconfig='E1000_PCI',
        ),
        'e1000e': Component('e1000e', kconfig='E1000E_PCI_EXPRESS'),
        'eepro100': Component(
            'i8255?*', 'i82562', 'i82801', kconfig='EEPRO100_PCI',
        ),
        'tulip': Component('tulip', kconfig='TULIP'),
        'vmxnet3': Component('vmxnet3', kconfig='VMXNET3_PCI'),
        'sdhci': Component(
            'generic-sdhci', 'sdhci-bus', '*sdhci*', '*usdhc',
            kconfig='SDHCI_PCI',
        ),
        'ac97': Component('AC97', '*ac97', 'via-mc97', kconfig='AC97'),
        'es1370': Component('ES1370', kconfig='ES1370'),
        'intel-hda': Component(
            'intel-hda-generic', '*intel-hda', 'HDA', 'hda-*', kconfig='HDA',
        ),
        'sb16': Component('sb16', kconfig='SB16'),
        'adlib': Component('adlib', kconfig='ADLIB'),
        'gus': Component('gus', kconfig='GUS'),
        'lsi-scsi': Component('lsi53c895a', 'lsi53c*', kconfig='LSI_SCSI_PCI'),
        'megasas': Component(
            'megasas-base', 'megasas', 'megasas-*', kconfig='MEGASAS_SCSI_PCI',
        ),
        'mptsas': Component(
            'mptsas1068', 'mptsas*', kconfig='MPTSAS_SCSI_PCI',
        ),
        'am53c974': Component(
            'esp', '*-esp', 'am53c974', 'dc390', kconfig='ESP_PCI',
        ),
        'pvscsi': Component('pvscsi', kconfig='VMW_PVSCSI_SCSI_PCI'),
        'virtio-9p': Component(
            'virtio-9p-device', 'virtio-9p-*', feature='virtfs',
        ),
        'nvme': Component('nvme', 'nvme-*', kconfig='NVME_PCI'),
        'usb-uhci': Component('pci-uhci-usb', '*uhci*', kconfig='USB_UHCI'),
        'usb-ohci': Component(
            'sysbus-ohci', 'pci-ohci', '*ohci*', kconfig='USB_OHCI_PCI',
        ),
        'usb-ehci': Component(
            'pci-ehci-usb', 'sysbus-ehci-usb', '*ehci*', 'usb-chipidea',
            kconfig='USB_EHCI_PCI',
        ),
        'usb-xhci': Component(
            'base-xhci', 'pci-xhci', 'sysbus-xhci', '*xhci*', 'usb_dwc3',
            kconfig='USB_XHCI_PCI USB_XHCI_NEC',
        ),
        'usb-smartcard': Component(
            'usb-ccid', 'ccid-card', 'ccid-*', kconfig='USB_SMARTCARD',
        ),
        'usb-mtp': Component('usb-mtp', kconfig='USB_STORAGE_MTP'),
        'usb-storage': Component(
            'usb-storage-dev', 'usb-storage', 'usb-bot', 'usb-uas',
            kconfig='USB_STORAGE_CLASSIC USB_STORAGE_BOT '
            'USB_STORAGE_UAS',
        ),
        'usb-serial': Component(
            'usb-serial-dev', 'usb-serial', 'usb-braille',
            kconfig='USB_SERIAL',
        ),
        'usb-host': Component('usb-host', feature='libusb'),
        'usb-u2f': Component('u2f-key', 'u2f-*', kconfig='USB_U2F'),
        'parallel': Component('isa-parallel', kconfig='PARALLEL'),
        'ipmi': Component(
            'ipmi-bmc', 'ipmi-interface', '*ipmi*',
            kconfig='ISA_IPMI_KCS ISA_IPMI_BT PCI_IPMI_KCS PCI_IPMI_BT '
            'IPMI_SSIF IPMI_LOCAL IPMI_EXTERN',
        ),
        'can': Component(
            'can-bus', 'can-host', 'can-host-*', 'kvaser_pci', 'ctucan_pci',
            'mioe3680_pci', 'pcm3680_pci', 'xlnx.*can*',
            kconfig='CAN_PCI CAN_SJA1000 CAN_CTUCANFD_PCI CAN_CTUCANFD',
        ),
        'ivshmem': Component(
            'ivshmem-common', 'ivshmem', 'ivshmem-*',
            kconfig='IVSHMEM_DEVICE IVSHMEM_FLAT_DEVICE',
        ),
        'edu': Component('edu', kconfig='EDU'),
        'pc-testdev': Component(
            'pc-testdev', 'pci-testdev', 'hyperv-testdev',
            kconfig='ISA_TESTDEV PCI_TESTDEV HYPERV_TESTDEV',
        ),
        'spice': Component('chardev-spice', 'chardev-spice*', feature='spice'),
        'vmport': Component('vmport', 'vmmouse', kconfig='VMPORT VMMOUSE'),
        # QEMU dropped it in release 8.0.
        'sga': Component('sga', kconfig='SGA'),
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
        for component, row in CATALOGUE.items()
        if any(
            map(
                re.compile('|'.join(map(fnmatch.translate, row.types))).match,
                known,
            )
        )
    )
