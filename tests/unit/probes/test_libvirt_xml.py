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

"""Tests of nova_isolation.probes.libvirt_xml."""

import hypothesis
from hypothesis import strategies as st
from lxml import etree

from nova_isolation.probes import libvirt_xml
from tests.unit import base
from tests.unit import fakes

NO_XML = (
    '', ' ', 'x', '<a', '<a></b>', '<!-- -->', '\0', '\ud800',
    '<a>&e;</a>', '<a/><b/>',
)  # fmt: skip


class LibvirtXmlTest(base.TestCase):
    """libvirt's own word."""

    def test_security_models(self):
        for models in ((), ('dac',), ('selinux', 'dac'), ('b', 'a', 'dac')):
            self.assertEqual(
                models,
                libvirt_xml.security_models(fakes.capabilities(*models)),
            )

    def test_models_elsewhere_do_not_count(self):
        text = (
            '<capabilities><secmodel><model>selinux</model></secmodel>'
            '<guest><secmodel><model>selinux</model></secmodel></guest>'
            '<host><model>selinux</model><cpu><model>apparmor</model></cpu>'
            '<secmodel/><secmodel><model/></secmodel></host></capabilities>'
        )
        self.assertEqual(('',), libvirt_xml.security_models(text))

    def test_base_label(self):
        text = fakes.capabilities('selinux', 'dac')
        for domain, type_ in fakes.TYPES.items():
            self.assertEqual(
                f'system_u:system_r:{type_}:s0',
                libvirt_xml.base_label(text, 'selinux', domain),
            )
        for other, model, domain in (
            (text, 'selinux', 'xen'),
            (text, 'dac', 'kvm'),
            (text, 'apparmor', 'kvm'),
            ('<x/>', 'selinux', 'kvm'),
            ('', 'selinux', 'kvm'),
        ):
            self.assertRaises(
                ValueError, libvirt_xml.base_label, other, model, domain
            )

    def test_domain_capabilities(self):
        text = fakes.domain_capabilities('qemu', '/opt/qemu')
        self.assertEqual('/opt/qemu', libvirt_xml.emulator(text))
        self.assertEqual('qemu', libvirt_xml.domain_type(text))

    def test_other_documents(self):
        for text in (
            '<domain/>', '<domainCapabilities/>', fakes.capabilities('dac'),
            '<domainCapabilities><path/><domain/></domainCapabilities>',
            '<x><path>a</path><domain>kvm</domain></x>', *NO_XML,
        ):  # fmt: skip
            self.assertRaises(ValueError, libvirt_xml.emulator, text)
            self.assertRaises(ValueError, libvirt_xml.domain_type, text)
        for text in ('<x/>', fakes.domain_capabilities(), *NO_XML):
            self.assertRaises(ValueError, libvirt_xml.security_models, text)

    def test_entities_are_not_resolved(self):
        text = (
            '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
            '<domainCapabilities><path>&e;</path></domainCapabilities>'
        )
        self.assertRaises(ValueError, libvirt_xml.emulator, text)

    @hypothesis.given(st.text())
    def test_any_text(self, text):
        for function in (
            libvirt_xml.parse,
            libvirt_xml.security_models,
            libvirt_xml.emulator,
            libvirt_xml.domain_type,
        ):
            self.assertRaises(ValueError, function, text)


class PlainDomainTest(base.TestCase):
    """The domain about which libvirt is asked."""

    def test_it_is_that_of_the_capabilities(self):
        domain = etree.fromstring(
            libvirt_xml.plain_domain(
                fakes.domain_capabilities('kvm', '/opt/my qemu')
            )
        )
        self.assertEqual('kvm', domain.get('type'))
        self.assertEqual('/opt/my qemu', domain.findtext('devices/emulator'))
        (system,) = domain.iterfind('os/type')
        self.assertEqual(
            {'arch': 'x86_64', 'machine': 'pc-i440fx-7.2'},
            dict(system.attrib),
        )

    def test_libvirt_adds_no_device(self):
        """A machine without PCI has no place for one, so libvirt fails."""
        domain = etree.fromstring(
            libvirt_xml.plain_domain(fakes.domain_capabilities())
        )
        self.assertEqual(
            {'controller': 'none', 'memballoon': 'none'},
            {
                device.tag: device.get('model')
                for device in domain.iterfind('devices/*[@model]')
            },
        )

    def test_nothing_is_guessed(self):
        full = fakes.domain_capabilities()
        for name in ('path', 'domain', 'arch', 'machine'):
            root = etree.fromstring(full)
            root.remove(root.find(name))
            self.assertRaises(
                ValueError,
                libvirt_xml.plain_domain,
                etree.tostring(root, encoding='unicode'),
            )
