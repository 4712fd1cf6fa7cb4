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

"""What is asked for a guest, found from the instance or from the XML."""

import types

from nova_isolation.host import domain_metadata
from nova_isolation.mechanisms import registry
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from tests.unit import base

UUID = '11111111-2222-3333-4444-555555555555'
OTHER = '66666666-2222-3333-4444-555555555555'
TAGS = {'isolation:svirt': 'selinux'}


def xml(uuid, **specs):
    """A domain as Nova writes it."""
    lines = ''.join(
        f'<nova:extraSpec name="isolation:{k}">{v}</nova:extraSpec>'
        for k, v in specs.items()
    )
    return domain_xml.DomainXml(
        f'<domain>{uuid and f"<uuid>{uuid}</uuid>"}<metadata>'
        f'<nova:instance xmlns:nova="{domain_metadata.NAMESPACE}">'
        f'<nova:flavor><nova:extraSpecs>{lines}</nova:extraSpecs>'
        '</nova:flavor></nova:instance></metadata></domain>'
    )


def instance(uuid, extra_specs):
    flavor = types.SimpleNamespace(extra_specs=extra_specs)
    return types.SimpleNamespace(uuid=uuid, flavor=flavor)


class GuestRequestsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.requests = guest_request.GuestRequests(registry.get().vocabulary)

    def test_untagged(self):
        self.assertIs(
            guest_request.NO_REQUEST, self.requests.of_xml(xml(UUID))
        )
        self.assertIs(
            guest_request.NO_REQUEST,
            self.requests.of_xml(domain_xml.DomainXml('no XML at all')),
        )

    def test_of_the_xml(self):
        request = self.requests.of_xml(xml(UUID, svirt='selinux'))
        self.assertEqual(UUID, request.uuid)
        self.assertEqual(TAGS, request.wanted.extra_specs)

    def test_of_a_domain_without_uuid(self):
        request = self.requests.of_xml(xml('', svirt='selinux'))
        self.assertEqual(TAGS, request.wanted.extra_specs)

    def test_of_the_instance_at_work_on(self):
        context = object()
        with self.requests.working_on(instance(UUID, TAGS), context):
            request = self.requests.of_xml(xml(UUID))
            self.assertEqual(TAGS, request.wanted.extra_specs)
            self.assertIs(context, request.context)
        self.assertFalse(self.requests.of_xml(xml(UUID)).wanted)

    def test_of_another_instance(self):
        with self.requests.working_on(instance(UUID, {}), None):
            request = self.requests.of_xml(xml(OTHER, svirt='any'))
        self.assertEqual(
            {'isolation:svirt': 'any'}, request.wanted.extra_specs
        )

    def test_seems_tagged_and_is_no_xml(self):
        self.assertRaises(
            ValueError,
            self.requests.of_xml,
            domain_xml.DomainXml('<domain>isolation:'),
        )
