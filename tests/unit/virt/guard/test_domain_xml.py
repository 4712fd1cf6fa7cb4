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

"""The XML of a domain is parsed once, and only if that is needed."""

from unittest import mock

from nova_isolation.mechanisms import registry
from nova_isolation.probes import libvirt_xml
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from tests.unit import base


class DomainXmlTest(base.TestCase):
    def test_parsed_once(self):
        with mock.patch.object(
            libvirt_xml, 'parse', wraps=libvirt_xml.parse
        ) as parse:
            domain = domain_xml.DomainXml('<domain><name>a</name></domain>')
            parse.assert_not_called()
            self.assertEqual('a', domain.element.findtext('name'))
            self.assertIs(domain.element, domain.element)
            parse.assert_called_once()

    def test_untagged_is_never_parsed(self):
        with mock.patch.object(libvirt_xml, 'parse') as parse:
            guest_request.GuestRequests(registry.get().vocabulary).of_xml(
                domain_xml.DomainXml('<domain><name>a</name></domain>')
            )
            parse.assert_not_called()

    def test_malformed(self):
        domain = domain_xml.DomainXml('<domain>')
        self.assertRaises(ValueError, getattr, domain, 'element')
