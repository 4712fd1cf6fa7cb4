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


"""Tests of nova_isolation.decision.guest_image."""

from nova_isolation.decision import decision
from nova_isolation.decision import guest_image
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from tests.unit import base

EMULATED = {'hw_emulation_architecture': 'aarch64'}
CODES = ['qemu.emulated_architecture', 'hypervisor.emulated_architecture']


class GuestImageTest(base.TestCase):
    """The judgement of an image."""

    def judge(self, properties, **specs):
        mechanisms = registry.get()
        wanted = requirements.parse(
            {f'isolation:{k}': v for k, v in specs.items()},
            mechanisms.vocabulary,
        )
        self.assertEqual((), wanted.problems)
        return guest_image.decide(wanted, properties, mechanisms)

    def test_untagged(self):
        self.assertEqual(decision.ACCEPTED, self.judge(EMULATED))

    def test_plain_image(self):
        for properties in (
            {},
            {'hw_architecture': 'aarch64', 'hw_emulation_architecture': None},
        ):
            answer = self.judge(
                properties, hypervisor='kvm', qemu_hardening='pie'
            )
            self.assertTrue(answer.accepted)

    def test_what_only_the_own_emulator_can_meet(self):
        for specs in (
            {'qemu_hardening': 'pie'},
            {'qemu_absent': 'floppy'},
            {'qemu_hardening': 'pie', 'svirt': 'any'},
        ):
            self.assertCodes(CODES[:1], self.judge(EMULATED, **specs).unmet)

    def test_another_architecture_runs_without_kvm(self):
        for value in ('kvm', 'xen', 'kvm,xen'):
            answer = self.judge(EMULATED, hypervisor=value)
            self.assertCodes(CODES[1:], answer.unmet)
        for value in ('qemu', 'kvm,qemu'):
            self.assertTrue(self.judge(EMULATED, hypervisor=value).accepted)

    def test_what_is_verified_on_each_guest(self):
        answer = self.judge(EMULATED, svirt='any', qemu_sandbox='true')
        self.assertTrue(answer.accepted)

    def test_all_reasons(self):
        answer = self.judge(
            EMULATED, hypervisor='kvm', qemu_hardening='pie', svirt='any'
        )
        self.assertCodes(
            ['hypervisor.emulated_architecture', 'qemu.emulated_architecture'],
            answer.unmet,
        )
        self.assertIn('hw_emulation_architecture=aarch64', str(answer.unmet))

    def test_device_of_a_component_that_must_be_absent(self):
        for properties, word in (
            ({'hw_input_bus': 'usb'}, 'usb'),
            ({'hw_video_model': 'virtio'}, 'all'),
            ({'hw_sound_model': 'ac97'}, 'floppy,ac97'),
        ):
            answer = self.judge(properties, qemu_absent=word)
            self.assertCodes(['qemu.device_absent'], answer.unmet)
            self.assertTrue(self.judge({}, qemu_absent=word).accepted)
            self.assertTrue(
                self.judge(properties, qemu_absent='floppy').accepted
            )
            self.assertTrue(
                self.judge(properties, qemu_hardening='pie').accepted
            )
        answer = self.judge(
            {'hw_disk_bus': 'usb'}, qemu_absent='usb-storage,floppy'
        )
        (unmet,) = answer.unmet
        self.assertEqual('no usb-storage', unmet.wanted)
        self.assertEqual(
            'hw_disk_bus=usb of the image or the flavor, which needs '
            'usb-storage',
            unmet.found,
        )
