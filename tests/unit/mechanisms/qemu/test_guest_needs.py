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

"""Tests of what guests use of QEMU: guest_needs and image_devices."""

import fnmatch

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import guest_needs
from nova_isolation.mechanisms.qemu import image_devices
from tests.unit import base
from tests.unit.mechanisms.qemu import test_catalogue

#: The record of types has no machines.
MACHINES = {'pc-i440fx-7.2-machine', 'pc-q35-7.2-machine'}

#: What QEMU has without any component of the catalogue.
STRIPPED = frozenset(
    name
    for name in test_catalogue.KNOWN['debian12-x86_64']
    if not catalogue.present(frozenset({name}))
)

KNOWN = {
    name: test_catalogue.KNOWN[name] | MACHINES
    for name in ('debian12-x86_64', 'debian13-x86_64')
}


class GuestNeedsTest(base.TestCase):
    """What guests of Nova lose."""

    def lost(self, known):
        return [need.use for need in guest_needs.missing(known)]

    def test_debian_has_all(self):
        for types in KNOWN.values():
            self.assertEqual([], self.lost(types))

    def test_without_components(self):
        self.assertEqual(
            [
                'the video model virtio, the default where VNC or SPICE is on',
                'the USB tablet, the default where VNC is on',
                'the floppy controller of the machine type pc',
            ],
            self.lost(STRIPPED | MACHINES),
        )

    def test_each_is_lost_with_its_types(self):
        types = KNOWN['debian13-x86_64']
        for need in guest_needs.NEEDS:
            for names in need.types:
                gone = {
                    n for name in names for n in fnmatch.filter(types, name)
                }
                self.assertNotEqual(set(), gone, need.use)
                self.assertIn(need.use, self.lost(types - gone))

    def test_every_type_is_one_of_qemu(self):
        for need in guest_needs.NEEDS:
            for names in need.types:
                for name in names:
                    known = test_catalogue.PARENTS.keys() | MACHINES
                    one = guest_needs.Need('', ((name,),), '')
                    self.assertTrue(one.is_met(known), name)

    def test_no_guest_starts_on_nothing(self):
        always = [need for need in guest_needs.NEEDS if need.always]
        self.assertEqual(5, len(always))
        self.assertEqual(len(guest_needs.NEEDS), len(self.lost(frozenset())))


class ImageDevicesTest(base.TestCase):
    """The devices that images and flavors ask for."""

    def missing(self, properties, *words):
        absent = frozenset(groups.components(words))
        return [d for d, _ in image_devices.missing(properties, absent)]

    def test_one_device_of_each_property(self):
        for properties, word in (
            ({'hw_cdrom_bus': 'fdc'}, 'floppy'),
            ({'hw_disk_bus': 'usb'}, 'usb-storage'),
            ({'hw_floppy_bus': 'fdc'}, 'legacy-storage'),
            ({'hw_input_bus': 'usb'}, 'usb'),
            ({'hw_pointer_model': 'usbtablet'}, 'usb'),
            ({'hw_redirected_usb_ports': 2}, 'usb-redir'),
            ({'hw_redirected_usb_ports': '2'}, 'usb-redir'),
            ({'hw_rescue_bus': 'usb'}, 'usb'),
            ({'hw_scsi_model': 'lsilogic'}, 'lsi-scsi'),
            ({'hw_scsi_model': 'vmpvscsi'}, 'all'),
            ({'hw_sound_model': 'ich9'}, 'sound'),
            ({'hw_sound_model': 'usb'}, 'usb'),
            ({'hw_usb_model': 'qemu-xhci'}, 'usb-xhci'),
            ({'hw_video_model': 'virtio'}, 'virtio-gpu'),
            ({'hw_video_model': 'qxl'}, 'display'),
            ({'hw_vif_model': 'e1000'}, 'legacy-nic'),
        ):
            self.assertNotEqual([], self.missing(properties, word), properties)
            # A USB device needs two components, each of which may be missing.
            others = {n for n in catalogue.CATALOGUE if 'usb' not in n}
            others -= set(groups.components((word,)))
            self.assertEqual([], self.missing(properties, *others), properties)

    def test_what_no_component_is_for(self):
        for properties in (
            {},
            {'hw_video_model': 'vga'},
            {'hw_video_model': 'none'},
            {'hw_video_model': None},
            {'hw_input_bus': 'virtio'},
            {'hw_disk_bus': 'virtio', 'hw_cdrom_bus': 'sata'},
            {'hw_scsi_model': 'virtio-scsi'},
            {'hw_vif_model': 'virtio'},
            {'hw_sound_model': 'virtio'},
            {'hw_redirected_usb_ports': 0},
            {'hw_redirected_usb_ports': '0'},
            {'hw_usb_model': 'none'},
            {'hw_tpm_model': 'tpm-crb'},
        ):
            self.assertEqual([], self.missing(properties, 'all'))

    def test_one_usb_controller_is_enough(self):
        # Which one libvirt takes depends on the machine type.
        for left in image_devices._USB:
            others = set(image_devices._USB) - {left}
            self.assertEqual(
                [], self.missing({'hw_input_bus': 'usb'}, *others)
            )

    def test_components_are_of_the_catalogue(self):
        for values in image_devices._DEVICES.values():
            for needs in values.values():
                for alternatives in needs:
                    for name in alternatives:
                        self.assertIn(name, catalogue.CATALOGUE)
