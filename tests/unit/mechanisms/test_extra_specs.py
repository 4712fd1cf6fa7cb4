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

"""Tests of the extra specs of the mechanisms in the tree."""

import re

import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary
from tests.unit import base

#: key -> values that are taken, values that are not
VALUES = {
    'isolation:hypervisor': (
        ('kvm', 'qemu', 'xen', 'kvm,qemu', 'xen,kvm,qemu', 'kvm,kvm'),
        ('', ',', 'kvm,', ',kvm', 'kvm,,xen', 'kvm, xen', 'KVM', 'vmware',
         'kvm;xen', 'kvm xen', ' kvm', 'kvm ', 'kvm\n', '<in> kvm', 'any'),
    ),
    'isolation:certification': (
        ('LSPP', 'EAL4', 'A', '_', '9', 'LSPP,CAPP', 'FIPS_140_2,EAL4'),
        ('', 'lspp', 'EAL4+', 'LSPP,', 'LSPP, CAPP', 'COMMON CRITERIA', '-',
         'LSPP\n', '\u00c9AL', '\u0661', 'A' * 256),
    ),
    'isolation:svirt': (
        ('selinux', 'apparmor', 'any'),
        ('', 'selinux,apparmor', 'SELinux', 'none', 'dac', 'true', 'any ',
         'selinux\n', 'selinuxx', 'xselinux'),
    ),
    'isolation:svirt_type': (
        ('svirt_t', 'svirt_tcg_t', '_t', 'A9', 'a' * 255),
        ('', '9t', 'svirt_t,own_t', 'svirt-t', 'system_u:object_r:svirt_t',
         'svirt_t:s0', 'svirt_t ', 'a b', '<x/>', 'sv\u0131rt_t', 'a' * 256),
    ),
    'isolation:qemu_hardening': (
        ('pie', 'nx', 'relro', 'bindnow', 'canary', 'fortify', 'cet',
         'pie,nx,relro', 'cet,canary,fortify,bindnow,relro,nx,pie'),
        ('', 'PIE', 'pie nx', 'aslr', 'pie,aslr', 'pie,', 'all', 'true'),
    ),
    'isolation:qemu_sandbox': (
        ('true', 'True', 'TRUE', 'tRUE'),
        ('', 'yes', '1', 'on', 'false', 'true,true', 'true ', 'T', 'Truex',
         '0', 'no', 'False', 'FALSE', 'tr\u00fce', '\uff34rue', 'True,true'),
    ),
    'isolation:qemu_absent': (
        ('floppy', 'cirrus', 'usb-redir', 'floppy,cirrus,usb-redir', 'usb',
         'all', 'usb,usb-redir', 'all,sound,floppy'),
        ('', 'Floppy', 'ALL', 'usb-2', 'all-1', 'legacy-', 'isa-fdc',
         'floppy;cirrus', 'usb_redir', 'usb.redir',
         'floppy,nonsense', '*', 'usb-'),
    ),
    'isolation:attested': (
        ('true', 'True', 'TRUE'),
        ('', 'false', '1', 'yes', 'true,true', 'true\n', 'False', ' True'),
    ),
    'isolation:attested_pcrs': (
        ('0', '9', '10', '17', '17,18', '23,0', '17,17'),
        ('', '24', '-1', '017', '17, 18', '17;18', '17,', 'PCR17', '1e1',
         '\u0661', '17\n', '17-22'),
    ),
    'isolation:attested_max_age': (
        ('1', '60', '99999999'),
        ('', '0', '-1', '060', '60s', '1.5', '100000000', '60,30', ' 60',
         '\u0661'),
    ),
    'isolation:attested_boot': (('true', 'True'), ('', 'False', '1', 'on')),
    'isolation:attested_runtime': (('true', 'True'), ('', 'False', '1', 'on')),
    'isolation:xsm_label': (
        ('isolated_domU_t', 'domU_t', 'system_u:system_r:domU_t',
         'user_1:vm_r:domU_t', 'object_r:x:y', '_'),
        ('', 'system_r:domU_t', 'a:b:c:d', 'a:b:', ':a:b', 'domU-t', 'domU_t ',
         'domU_t,isolated_domU_t', '9t', 'domU_t\n', 'd\u043emU_t', '<x/>'),
    ),
    'isolation:xsm_isolated': (('true', 'True'), ('', 'false', '1', 'yes')),
    'isolation:xsm_device_model': (
        ('none', 'dm_dom_t', 'system_u:system_r:dm_dom_t'),
        ('', 'no ne', 'none,qemu', 'none\n', 'none '),
    ),
    'isolation:xsm_backend': (
        ('dom0', 'drvdom_t', 'system_u:system_r:drvdom_t'),
        ('', 'dom0,drvdom_t', '0', 'dom-0', 'dom0 '),
    ),
    'isolation:xsm_dom0': (
        ('selinux',),
        ('', 'SELinux', 'apparmor', 'true', 'selinux,selinux', 'any'),
    ),
}  # fmt: skip


class ExtraSpecsTest(base.TestCase):
    """The one table."""

    def setUp(self):
        super().setUp()
        self.rows = registry.get().vocabulary.rows

    def test_table_is_complete(self):
        self.assertEqual(set(VALUES), set(self.rows))

    def test_taken(self):
        for key, (taken, _) in VALUES.items():
            for text in taken:
                words = self.rows[key].parse(text)
                plain = text.lower() if self.rows[key].is_boolean else text
                self.assertEqual(tuple(sorted(set(plain.split(',')))), words)
                self.assertTrue(re.fullmatch(self.rows[key].expression, text))

    def test_refused_with_what_would_be_allowed(self):
        for key, (_, refused) in VALUES.items():
            for text in refused:
                error = self.assertRaises(
                    ValueError, self.rows[key].parse, text
                )
                self.assertEqual(self.rows[key].allowed, str(error))

    def test_not_text(self):
        for spec in self.rows.values():
            for value in (None, True, 1, 1.0, [], ['true'], {}, b'true'):
                self.assertRaises(ValueError, spec.parse, value)

    def test_examples(self):
        for spec in self.rows.values():
            self.assertTrue(spec.parse(spec.example))

    def test_every_word_alone_and_all_together(self):
        for spec in self.rows.values():
            for word in spec.values:
                self.assertEqual((word,), spec.parse(word))

    def test_too_long(self):
        spec = self.rows['isolation:hypervisor']
        self.assertEqual(('kvm',), spec.parse(','.join(['kvm'] * 64)))
        self.assertRaises(ValueError, spec.parse, ','.join(['kvm'] * 65))

    def test_allowed_in_words(self):
        for key, text in (
            (
                'isolation:hypervisor',
                'a comma-separated list of: kvm, qemu, xen',
            ),
            ('isolation:svirt', 'one of: selinux, apparmor, any'),
            ('isolation:qemu_sandbox', 'true'),
            (
                'isolation:certification',
                'a comma-separated list of: /[A-Z0-9_]+/',
            ),
        ):
            self.assertEqual(text, self.rows[key].allowed)

    def test_owners(self):
        known = registry.get().vocabulary
        for key, spec in self.rows.items():
            self.assertIn(spec, known.of(known.owner(key)))
        self.assertEqual((), known.of('other'))

    def test_what_a_row_requires_exists(self):
        for spec in self.rows.values():
            for key, value in spec.requires:
                self.rows[key].parse(value)
            for key, words in spec.compatible:
                self.assertTrue(words)
                self.assertLessEqual(set(words), set(self.rows[key].values))

    @hypothesis.given(st.sampled_from(sorted(VALUES)), st.text())
    def test_the_pattern_of_the_api_agrees_with_the_parser(self, key, text):
        self._agree(key, text)

    @hypothesis.given(st.data(), st.sampled_from(sorted(VALUES)))
    def test_the_pattern_of_the_api_agrees_near_by(self, data, key):
        expression = self.rows[key].expression
        text = data.draw(st.from_regex(expression, fullmatch=True))
        hypothesis.assume(len(text) <= vocabulary.MAX_VALUE)
        self.assertTrue(self._agree(key, text))
        place = data.draw(st.integers(0, len(text)))
        other = data.draw(st.sampled_from(', \n\0aA0_-;|'))
        self._agree(key, text[:place] + other + text[place:])
        self._agree(key, text[:place] + text[place + 1 :])

    def _agree(self, key, text):
        hypothesis.assume(len(text) <= vocabulary.MAX_VALUE)
        matches = bool(re.fullmatch(self.rows[key].expression, text))
        try:
            words = self.rows[key].parse(text)
        except ValueError:
            self.assertFalse(matches, text)
            return False
        self.assertTrue(matches, text)
        # Parse and format, round and round.
        self.assertEqual(words, self.rows[key].parse(','.join(words)))
        return True
