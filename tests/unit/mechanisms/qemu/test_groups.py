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

"""Tests of nova_isolation.mechanisms.qemu.groups."""

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.model import vocabulary
from tests.unit import base

#: What each group meant when a release first had it. A group that is new is
#: added here; no line is ever changed.
FOREVER = {
    'display': 'cirrus qxl vmware-vga bochs-display ati-vga virtio-gpu '
    'virtio-gpu-gl spice',
    'legacy-nic': 'ne2000 pcnet rtl8139 e1000 e1000e eepro100 tulip vmxnet3',
    'legacy-storage': 'floppy sdhci lsi-scsi megasas mptsas am53c974 pvscsi '
    'nvme',
    'ports': 'parallel ipmi can vmport sga',
    'sharing': 'virtio-9p ivshmem',
    'sound': 'ac97 es1370 intel-hda sb16 adlib gus',
    'test-devices': 'edu pc-testdev',
    'usb': 'usb-redir usb-uhci usb-ohci usb-ehci usb-xhci usb-smartcard '
    'usb-mtp usb-storage usb-serial usb-host usb-u2f',
}


class GroupsTest(base.TestCase):
    """The meaning of a word never changes."""

    def test_members_are_never_changed(self):
        self.assertEqual(
            {name: tuple(words.split()) for name, words in FOREVER.items()},
            dict(groups.GROUPS),
        )

    def test_no_word_means_two_things(self):
        self.assertEqual(len(groups.WORDS), len(set(groups.WORDS)))

    def test_all_is_the_whole_catalogue(self):
        every = tuple(catalogue.CATALOGUE)
        self.assertEqual(every, groups.components(('all',)))
        self.assertEqual(every, groups.components(('floppy', 'all')))

    def test_the_groups_are_the_first_50_rows(self):
        names = [n for names in groups.GROUPS.values() for n in names]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(tuple(catalogue.CATALOGUE)[:50]), set(names))
        self.assertEqual(
            tuple(catalogue.CATALOGUE)[:50],
            groups.components(groups.GROUPS),
        )

    def test_they_fit_into_one_value(self):
        value = ','.join(groups.GROUPS)
        self.assertLess(len(value), vocabulary.MAX_VALUE // 2)

    def test_more_words_never_stand_for_less(self):
        for one in groups.WORDS:
            for two in groups.WORDS:
                both = set(groups.components((one, two)))
                self.assertLessEqual(set(groups.components((one,))), both)
                self.assertLessEqual(set(groups.components((two,))), both)

    def test_unknown_word(self):
        self.assertRaises(KeyError, groups.components, ('usb-2',))
