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

"""Tests of nova_isolation.mechanisms.qemu.catalogue."""

import os
import re

from nova_isolation.mechanisms.qemu import catalogue
from tests.unit import base

RECORDED = os.path.join(os.path.dirname(__file__), 'qom_types.txt')

#: Component -> the words by which QEMU's sources name a device of its family
#: (the names of files in hw/ and of options in Kconfig).
FAMILIES = {
    'floppy': 'floppy|fdc$|fdtwo',
    'cirrus': 'cirrus',
    'usb-redir': 'usb-?redir',
    'qxl': 'qxl',
    'vmware-vga': 'vmware|svga',
    'bochs-display': 'bochs',
    'ati-vga': '^ati|ati-vga',
    'virtio-gpu': '(gpu|virtio-vga|user-vga)(?!-gl-device|.*virgl)',
    'virtio-gpu-gl': '-gl-device$|virgl',
    'ne2000': 'ne2k|ne2000',
    'pcnet': 'pcnet|lance',
    'rtl8139': '8139',
    'e1000': 'e1000(?!e)',
    'e1000e': 'e1000e',
    'eepro100': 'eepro100|i825(5.|62)|i82801$',
    'tulip': 'tulip|2114x',
    'vmxnet3': 'vmxnet',
    'sdhci': 'sdhci|sdhc',
    'ac97': '(?i:ac97|mc97)',
    'es1370': '(?i:es137)',
    'intel-hda': '(?i:hda)',
    'sb16': 'sb16',
    'adlib': 'adlib',
    'gus': 'gus',
    'lsi-scsi': 'lsi|53c8',
    'megasas': 'megasas',
    'mptsas': 'mptsas',
    'am53c974': '(^|-)esp$|53c9|dc390',
    'pvscsi': 'pvscsi',
    'virtio-9p': '-9p',
    'nvme': 'nvme',
    'usb-uhci': 'uhci',
    'usb-ohci': 'ohci',
    'usb-ehci': 'ehci|chipidea',
    'usb-xhci': 'xhci|dwc3',
    'usb-smartcard': 'ccid|smartcard',
    'usb-mtp': 'mtp',
    'usb-storage': 'usb-(storage|bot|uas)|usb-msd',
    'usb-serial': 'usb-(serial|braille)',
    'usb-host': 'usb-host',
    'usb-u2f': 'u2f',
    'parallel': 'parallel',
    'ipmi': 'ipmi',
    'can': '(^|[.-])can|can_|can$|sja1000|(kvaser|mioe3680|pcm3680).*pci',
    'ivshmem': 'ivshmem',
    'edu': '^edu$',
    'pc-testdev': 'testdev',
    'spice': 'spice',
    'vmport': 'vmport|vmmouse',
    'sga': 'sga$',
}

#: What only has such a name: back ends of QEMU, which no guest reaches by
#: itself, and what is made of other parts.
NOT_MEMBERS = frozenset({'chardev-parallel', 'chardev-testdev'})

#: Names of QEMU's sources that none of the emulators has.
NOT_RECORDED = frozenset({'i82801', 'via-mc97', 'ivshmem'})

GL = 'virtio-gpu-gl'

#: The types under which there are devices of all kinds.
GENERAL = frozenset(
    {
        '-', 'bus', 'chardev', 'device', 'i2c-slave', 'interface',
        'isa-device', 'object', 'pci-device', 'sd-bus', 'smbus-device',
        'sys-bus-device', 'usb-device', 'virtio-ccw-device', 'virtio-device',
        'virtio-pci',
    }
)  # fmt: skip


def recorded():
    """Name of an emulator -> its types; and type -> its parent."""
    emulators, known, parents = {}, {}, {}
    with open(RECORDED) as stream:
        for line in stream:
            words = line.split()
            if line.startswith('#'):
                if len(words) == 3 and len(words[1]) == 1:
                    emulators[words[1]] = words[2]
                    known[words[2]] = set()
                continue
            name, parents[name], letters = words
            for letter in letters:
                known[emulators[letter]].add(name)
    return known, parents


KNOWN, PARENTS = recorded()

#: The schema of release 1: bit N of the facts is component N. A component
#: is appended here when it is appended there; nothing else may change.
ORDER = [
    'floppy', 'cirrus', 'usb-redir', 'qxl', 'vmware-vga', 'bochs-display',
    'ati-vga', 'virtio-gpu', 'virtio-gpu-gl', 'ne2000', 'pcnet', 'rtl8139',
    'e1000', 'e1000e', 'eepro100', 'tulip', 'vmxnet3', 'sdhci', 'ac97',
    'es1370', 'intel-hda', 'sb16', 'adlib', 'gus', 'lsi-scsi', 'megasas',
    'mptsas', 'am53c974', 'pvscsi', 'virtio-9p', 'nvme', 'usb-uhci',
    'usb-ohci', 'usb-ehci', 'usb-xhci', 'usb-smartcard', 'usb-mtp',
    'usb-storage', 'usb-serial', 'usb-host', 'usb-u2f', 'parallel', 'ipmi',
    'can', 'ivshmem', 'edu', 'pc-testdev', 'spice', 'vmport', 'sga',
]  # fmt: skip


class CatalogueTest(base.TestCase):
    """The catalogue is part of the schema."""

    def test_order_is_never_changed(self):
        self.assertEqual(ORDER, list(catalogue.CATALOGUE))

    def test_names_fit_a_comma_list(self):
        for name in catalogue.CATALOGUE:
            self.assertTrue(re.fullmatch('[a-z0-9-]+', name), name)

    def test_no_type_reveals_two_components(self):
        rows = catalogue.CATALOGUE.values()
        types = [name for row in rows for name in row.types]
        self.assertEqual(len(types), len(set(types)))
        self.assertNotIn((), [row.types for row in rows])
        for name in PARENTS:
            self.assertLessEqual(
                len(catalogue.present(frozenset({name}))), 1, name
            )


class RecordedTest(base.TestCase):
    """The types that QEMU 6.2 to 10.0 have."""

    def test_the_record(self):
        self.assertEqual(22, len(KNOWN))
        for name, types in KNOWN.items():
            self.assertTrue('none-machine' in types, name)
            self.assertGreater(len(types), 100, name)

    def test_each_member_of_a_family_reveals_its_component(self):
        self.assertEqual(set(catalogue.CATALOGUE), set(FAMILIES))
        for component, words in FAMILIES.items():
            members = {n for n in PARENTS if re.search(words, n)} - NOT_MEMBERS
            self.assertNotEqual(set(), members, component)
            missed = {
                n
                for n in members
                if component not in catalogue.present(frozenset({n}))
            }
            self.assertEqual(set(), missed, component)

    def test_nothing_else_reveals_a_component(self):
        for name in PARENTS:
            for component in catalogue.present(frozenset({name})):
                self.assertTrue(
                    re.search(FAMILIES[component], name)
                    or self._made_from(name, FAMILIES[component])
                    or name == 'imx-usdhc',
                    (component, name),
                )

    def _made_from(self, name, words):
        """Whether an ancestor of a type is of a family."""
        while name in PARENTS:
            name = PARENTS[name]
            if re.search(words, name):
                return True
        return False

    def test_children_reveal_what_their_parent_reveals(self):
        # With the child the emulator has the parent, which reveals the
        # component without 3D acceleration.
        for name, parent in PARENTS.items():
            if parent in GENERAL or re.search(FAMILIES[GL], name):
                continue
            self.assertLessEqual(
                catalogue.present(frozenset({parent})),
                catalogue.present(frozenset({name})),
                (name, parent),
            )

    def test_every_name_is_one_of_qemu(self):
        # A name that is not QEMU's would make a component look absent.
        names = {
            name
            for row in catalogue.CATALOGUE.values()
            for name in row.types
            if '*' not in name and '?' not in name
        }
        self.assertLessEqual(names - set(PARENTS), NOT_RECORDED)

    def test_debian(self):
        every = set(catalogue.CATALOGUE)
        # The device of virtio-gpu-gl-pci is in a package of its own there.
        self.assertEqual(
            every - {'virtio-gpu-gl'},
            catalogue.present(KNOWN['debian12-x86_64']),
        )
        self.assertEqual(
            every - {'sga'}, catalogue.present(KNOWN['debian13-x86_64'])
        )

    def test_small_emulator(self):
        # It has USB 3 on the system bus alone.
        types = KNOWN['debian12-x86_64-microvm']
        self.assertFalse({'pci-xhci', 'qemu-xhci', 'nec-usb-xhci'} & types)
        self.assertEqual(
            {'usb-xhci', 'floppy', 'virtio-gpu'}, catalogue.present(types)
        )

    def test_front_ends_of_other_machines(self):
        for name, component in (
            ('sysbus-xhci', 'usb-xhci'),
            ('sysbus-ohci', 'usb-ohci'),
            ('tegra2-ehci-usb', 'usb-ehci'),
            ('usb-chipidea', 'usb-ehci'),
            ('usb_dwc3', 'usb-xhci'),
            ('vt82c686b-usb-uhci', 'usb-uhci'),
            ('lance', 'pcnet'),
            ('sysbus-esp', 'am53c974'),
            ('sysbus-fdc', 'floppy'),
            ('generic-sdhci', 'sdhci'),
            ('aspeed.sdhci-ast2600', 'sdhci'),
            ('ivshmem-flat', 'ivshmem'),
            ('smbus-ipmi', 'ipmi'),
            ('xlnx.versal-canfd', 'can'),
            ('virtio-9p-ccw', 'virtio-9p'),
            ('virtio-gpu-ccw', 'virtio-gpu'),
            ('via-ac97', 'ac97'),
            ('hyperv-testdev', 'pc-testdev'),
        ):
            self.assertTrue(name in PARENTS, name)
            self.assertEqual({component}, catalogue.present(frozenset({name})))
