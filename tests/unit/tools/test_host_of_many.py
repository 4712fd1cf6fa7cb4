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

"""What the benchmark of many guests answers for libvirt and Nova."""

from nova import context as nova_context

from nova_isolation.host import domain_metadata
from nova_isolation.probes import libvirt_xml
from tests.unit import base
from tools import host_of_many
from tools import many_guests

SPECS = {'isolation:hypervisor': 'qemu', 'isolation:svirt': 'selinux'}
GUESTS = tuple(
    many_guests.Guest(number, f'guest{number}', uuid, f'label{number}', 1)
    for number, uuid in enumerate(
        (
            '5ad4bd28-9d0c-4b23-a43c-000000000001',
            '5ad4bd28-9d0c-4b23-a43c-000000000002',
        ),
        start=1,
    )
)


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.host = host_of_many.LibvirtHost()
        self.host.specs = SPECS
        self.host.guests = {guest.uuid: guest for guest in GUESTS}


class HostTest(TestCase):
    def test_the_xml_says_what_is_asked_for(self):
        found = [
            domain_metadata.of(libvirt_xml.parse(domain.XMLDesc()))
            for domain in self.host.list_instance_domains()
        ]
        self.assertEqual([(guest.uuid, SPECS) for guest in GUESTS], found)

    def test_the_handles_are_those_of_nova(self):
        self.assertEqual(
            [guest.uuid for guest in GUESTS],
            [handle.uuid for handle in self.host.list_guests()],
        )


class ConductorTest(TestCase):
    def ask(self, objname='InstanceList', objmethod='get_by_host'):
        return host_of_many.Conductor(self.host).object_class_action_versions(
            nova_context.get_admin_context(), objname, objmethod, {}, (), {}
        )

    def test_instances(self):
        found = self.ask()
        self.assertEqual(
            [(guest.uuid, SPECS) for guest in GUESTS],
            [(one.uuid, one.flavor.extra_specs) for one in found],
        )

    def test_no_guests(self):
        self.host.guests = {}
        self.assertEqual([], list(self.ask()))

    def test_the_flavor_is_that_of_now(self):
        self.ask()
        self.host.specs = {}
        self.assertEqual({}, self.ask()[0].flavor.extra_specs)

    def test_other_questions(self):
        self.assertRaises(RuntimeError, self.ask, 'Instance', 'get_by_uuid')
