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

"""Which kind of guest an image is run as."""

from nova import exception
import nova.conf
from oslo_config import fixture

from nova_isolation.decision import guest_image
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.virt.xen import guest_kind
from tests.unit import base
from tests.unit.virt.xen import images


class KindTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(fixture.Config(nova.conf.CONF))

    def kind(self, instance=None, **properties):
        return guest_kind.of(
            instance or images.instance(), images.image(**properties)
        )

    def test_by_machine(self):
        for machine, kind in guest_kind.KINDS.items():
            self.assertEqual(kind, self.kind(hw_machine_type=machine))
        # It has the last word.
        self.assertEqual(
            guest_kind.PVH,
            self.kind(hw_machine_type='xenpvh', hw_vm_mode='hvm'),
        )

    def test_by_mode(self):
        self.assertEqual(guest_kind.PV, self.kind(hw_vm_mode='xen'))
        self.assertEqual(guest_kind.HVM, self.kind(hw_vm_mode='hvm'))
        self.assertEqual(
            guest_kind.PV, self.kind(images.instance(vm_mode='xen'))
        )

    def test_by_configuration(self):
        self.conf.config(hw_machine_type=['x86_64=xenpvh'], group='libvirt')
        self.assertEqual(guest_kind.PVH, self.kind())
        self.assertEqual(guest_kind.HVM, self.kind(hw_vm_mode='hvm'))
        self.conf.config(hw_machine_type=['x86_64=q35'], group='libvirt')
        self.assertEqual(guest_kind.HVM, self.kind())

    def test_by_kernel(self):
        self.assertEqual(guest_kind.HVM, self.kind())
        self.assertEqual(
            guest_kind.PV, self.kind(images.instance(kernel_id='k'))
        )

    def test_machine_of_qemu(self):
        error = self.assertRaises(
            exception.ComputeResourcesUnavailable,
            self.kind,
            hw_machine_type='q35',
        )
        for word in ('q35', 'hw_machine_type', 'xenpv, xenpvh, xenfv'):
            self.assertIn(word, str(error))

    def kinds(self, **properties):
        """What the hosts of a cloud may make of an image."""
        found = set()
        for default in (*guest_kind.KINDS, 'q35'):
            self.conf.config(
                hw_machine_type=[f'x86_64={default}'], group='libvirt'
            )
            for kernel in ('', 'k'):
                instance = images.instance(kernel_id=kernel)
                found.add(self.kind(instance, **properties))
        return found

    def test_images_that_the_scheduler_takes_for_hvm(self):
        """It refuses them to a flavor that lets no device model work."""
        wanted = requirements.parse(
            {
                'isolation:hypervisor': 'xen',
                'isolation:xsm_device_model': 'none',
            },
            registry.get().vocabulary,
        )
        self.assertEqual((), wanted.problems)
        verdicts = set()
        for machine in (None, 'pc', *guest_kind.KINDS):
            for mode in (None, 'hvm', 'xen', 'exe'):
                properties = {
                    name: value
                    for name, value in (
                        ('hw_machine_type', machine),
                        ('hw_vm_mode', mode),
                    )
                    if value
                }
                refused = not guest_image.decide(
                    wanted, properties, registry.get()
                ).accepted
                self.assertEqual(
                    self.kinds(**properties) == {guest_kind.HVM},
                    refused,
                    properties,
                )
                verdicts.add(refused)
        self.assertEqual({True, False}, verdicts)

    def test_only_hvm_has_a_device_model(self):
        self.assertEqual(
            [guest_kind.HVM],
            [kind for kind in guest_kind.KINDS.values() if kind.emulated],
        )
