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

"""Tests of nova_isolation.host.domain_metadata."""

import hypothesis
from hypothesis import strategies as st
import libvirt
from lxml import etree

from nova_isolation.host import domain_metadata
from nova_isolation.model import requirements
from nova_isolation.probes import libvirt_xml
from tests.unit import base
from tests.unit import fakes

NOVA = domain_metadata.NAMESPACE


def read(xml):
    """The UUID and the extra specs in the XML of a domain."""
    return domain_metadata.of(libvirt_xml.parse(xml))


def domain(specs, uuid=fakes.UUID):
    """The XML of a domain as Nova makes it."""
    root = etree.Element('domain', type='kvm')
    if uuid is not None:
        etree.SubElement(root, 'uuid').text = uuid
    instance = etree.SubElement(
        etree.SubElement(root, 'metadata'),
        f'{{{NOVA}}}instance',
        nsmap={'nova': NOVA},
    )
    flavor = etree.SubElement(instance, f'{{{NOVA}}}flavor', name='m1')
    parent = etree.SubElement(flavor, f'{{{NOVA}}}extraSpecs')
    for key, value in specs.items():
        spec = etree.SubElement(parent, f'{{{NOVA}}}extraSpec', name=key)
        spec.text = value
    return etree.tostring(root, encoding='unicode')


#: Names of servers and projects that look like extra specs of ours.
HOSTILE = (
    'isolation:svirt',
    'extraSpec name="isolation:svirt"',
    "<nova:extraSpec name='isolation:svirt'>any</nova:extraSpec>",
    '</nova:name><nova:extraSpec name="isolation:svirt">',
    '<!-- <nova:extraSpec name="isolation:svirt"> -->',
    '<![CDATA[<extraSpec name="isolation:svirt">]]>',
    '&lt;nova:extraSpec name=&quot;isolation:svirt&quot;&gt;',
    '&#60;extraSpec name=&#34;isolation:svirt&#34;>',
    '> extraSpec name="isolation:svirt" <',
    'x/extraSpec name="isolation:svirt"',
    ':extraSpec\u00a0isolation:svirt',
    '* ? [a-z] $(isolation:) `extraSpec` \\n',
)


def named(specs, name):
    """The XML of a domain with a name that its tenant has chosen.

    It is written as libvirt writes XML, which it reads and completes.
    """
    root = etree.fromstring(domain(specs))
    etree.SubElement(root, 'name').text = 'instance-00000001'
    etree.SubElement(root, 'memory').text = '1024'
    etree.SubElement(etree.SubElement(root, 'os'), 'type').text = 'hvm'
    (instance,) = root.find('metadata')
    label = etree.Element(f'{{{NOVA}}}name')
    label.text = name
    instance.insert(0, label)
    owner = etree.SubElement(instance, f'{{{NOVA}}}owner')
    etree.SubElement(owner, f'{{{NOVA}}}project', uuid='1').text = name
    root.set('type', 'test')
    connection = libvirt.open('test:///default')
    text = etree.tostring(root, encoding='unicode')
    return connection.defineXML(text).XMLDesc()


class DomainMetadataTest(base.TestCase):
    """The extra specs in the XML of a domain."""

    def test_read(self):
        specs = {'isolation:svirt': 'selinux', 'hw:cpu_policy': 'dedicated'}
        self.assertEqual((fakes.UUID, specs), read(domain(specs)))

    def test_none(self):
        self.assertEqual((fakes.UUID, {}), read(domain({})))
        self.assertEqual(('', {}), read('<domain/>'))
        self.assertEqual(('', {}), read(domain({}, None)))

    def test_specs_elsewhere_do_not_count(self):
        good = domain({'isolation:svirt': 'any'})
        for text in (
            good.replace(NOVA, 'http://example.org'),
            good.replace('metadata', 'devices'),
            good.replace('extraSpecs', 'other'),
        ):
            self.assertEqual({}, read(text)[1])

    def test_no_xml(self):
        for text in ('', 'x', '<domain>', '<a/><b/>'):
            self.assertRaises(ValueError, read, text)

    @hypothesis.given(
        st.dictionaries(
            st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF)),
            st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF)),
            max_size=3,
        ),
        st.sampled_from(
            (
                'isolation:svirt',
                ' Isolation:x',
                'ISOLATION:\u00c9',
                'hw:x',
                'isolation :x',
                'isolation\u00a0:x',
                'isolation\uff1ax',
            )
        ),
    )
    def test_whatever_is_tagged_may_be_tagged(self, specs, key):
        specs = {
            k: v
            for k, v in {**specs, key: 'any'}.items()
            if not any(0x7F <= ord(c) < 0xA0 for c in k + v)
        }
        text = domain(specs)
        self.assertEqual(specs, read(text)[1])
        if requirements.is_tagged(specs):
            self.assertTrue(domain_metadata.may_be_tagged(text))

    def test_names_that_tenants_choose(self):
        for specs in ({}, {'hw:cpu_policy': 'x'}, {'isolation_foo:bar': 'x'}):
            for hostile in HOSTILE:
                text = named(specs, hostile)
                self.assertFalse(domain_metadata.may_be_tagged(text), text)
                text = named({**specs, 'isolation :svirt': 'any'}, hostile)
                self.assertTrue(domain_metadata.may_be_tagged(text), text)

    def test_no_xml_may_be_tagged(self):
        for text in ('<domain><extraSpec', '<!DOCTYPE a><domain/>extraSpec'):
            self.assertTrue(domain_metadata.may_be_tagged(text))
        self.assertFalse(domain_metadata.may_be_tagged(''))
