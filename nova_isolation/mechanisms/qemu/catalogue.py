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
types of the component. The binary itself lists its types
(:mod:`nova_isolation.probes.emulator`) and also loads the modules that are
packaged separately. The names of the types are those of QEMU's own sources
(``hw/``, ``chardev/``), unchanged from QEMU 7.2 to 10.0 except where two are
listed.

The order is part of the schema of the facts, because a host sends one bit for
each component. Only append components; never insert or remove one.
"""

import types

#: Component -> the QOM types that reveal the component.
CATALOGUE = types.MappingProxyType(
    {
        'floppy': ('isa-fdc', 'floppy'),
        'cirrus': ('cirrus-vga', 'isa-cirrus-vga'),
        'usb-redir': ('usb-redir',),
        'qxl': ('qxl', 'qxl-vga'),
        'vmware-vga': ('vmware-svga',),
        'bochs-display': ('bochs-display',),
        'ati-vga': ('ati-vga',),
        'virtio-gpu': ('virtio-gpu-device',),
        'virtio-gpu-gl': ('virtio-gpu-gl-device',),
        'ne2000': ('ne2k_pci', 'ne2k_isa'),
        'pcnet': ('pcnet',),
        'rtl8139': ('rtl8139',),
        'e1000': ('e1000',),
        'e1000e': ('e1000e',),
        'eepro100': ('i82551', 'i82557b', 'i82559er'),
        'tulip': ('tulip',),
        'vmxnet3': ('vmxnet3',),
        'sdhci': ('sdhci-pci',),
        'ac97': ('AC97',),
        'es1370': ('ES1370',),
        'intel-hda': ('intel-hda', 'ich9-intel-hda'),
        'sb16': ('sb16',),
        'adlib': ('adlib',),
        'gus': ('gus',),
        'lsi-scsi': ('lsi53c895a', 'lsi53c810'),
        'megasas': ('megasas', 'megasas-gen2'),
        'mptsas': ('mptsas1068',),
        'am53c974': ('am53c974', 'dc390'),
        'pvscsi': ('pvscsi',),
        'virtio-9p': ('virtio-9p-device',),
        'nvme': ('nvme',),
        'usb-uhci': ('piix3-usb-uhci',),
        'usb-ohci': ('pci-ohci',),
        'usb-ehci': ('usb-ehci',),
        'usb-xhci': ('nec-usb-xhci', 'qemu-xhci'),
        'usb-smartcard': ('usb-ccid',),
        'usb-mtp': ('usb-mtp',),
        'usb-storage': ('usb-storage', 'usb-bot', 'usb-uas'),
        'usb-serial': ('usb-serial',),
        'usb-host': ('usb-host',),
        'usb-u2f': ('u2f-passthru', 'u2f-emulated'),
        'parallel': ('isa-parallel',),
        'ipmi': ('ipmi-bmc-sim', 'ipmi-bmc-extern'),
        'can': ('kvaser_pci', 'ctucan_pci'),
        'ivshmem': ('ivshmem-plain', 'ivshmem-doorbell'),
        'edu': ('edu',),
        'pc-testdev': ('pc-testdev', 'pci-testdev'),
        'spice': ('chardev-spicevmc',),
        'vmport': ('vmport', 'vmmouse'),
        'sga': ('sga',),
    }
)
