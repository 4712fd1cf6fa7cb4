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

import re

from nova_isolation.mechanisms.qemu import catalogue
from tests.unit import base

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
        types = [t for ts in catalogue.CATALOGUE.values() for t in ts]
        self.assertEqual(len(types), len(set(types)))
        self.assertNotIn((), catalogue.CATALOGUE.values())
