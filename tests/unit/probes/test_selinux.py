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

"""Tests of nova_isolation.probes.selinux."""

import hypothesis
from hypothesis import strategies as st

from nova_isolation.probes import selinux
from tests.unit import base
from tests.unit import fakes


def reader(files):
    """Reads of a tree of files."""
    return fakes.Host(files).read


class ModeTest(base.TestCase):
    """/sys/fs/selinux/enforce."""

    def test_modes(self):
        for files, mode in (
            ({}, 'disabled'),
            ({fakes.ENFORCE: '0'}, 'permissive'),
            ({fakes.ENFORCE: '1'}, 'enforcing'),
            ({fakes.ENFORCE: '1\n'}, 'enforcing'),
        ):
            self.assertEqual(mode, selinux.mode(reader(files)))

    def test_no_answer(self):
        for text in ('', ' ', '2', '-1', 'enforcing', '1 1', '\0', '01'):
            self.assertRaises(
                ValueError, selinux.mode, reader({fakes.ENFORCE: text})
            )

    def test_unreadable_is_not_disabled(self):
        for error in (PermissionError('no'), OSError('no')):
            self.assertRaises(
                OSError, selinux.mode, reader({fakes.ENFORCE: error})
            )

    def test_what_is_configured_does_not_count(self):
        files = {'/etc/selinux/config': 'SELINUX=enforcing'}
        self.assertEqual('disabled', selinux.mode(reader(files)))


class PolicyTest(base.TestCase):
    """What the levels are for."""

    def policy(self, mls, context=None):
        return selinux.policy(reader({fakes.MLS: mls, fakes.KERNEL: context}))

    def test_policies(self):
        for context, expected in (
            ('system_u:system_r:kernel_t:s0', 'mcs'),
            ('system_u:system_r:kernel_t:s0:c0.c1023', 'mcs'),
            ('system_u:system_r:kernel_t:s0-s0:c0.c1023', 'mcs'),
            ('system_u:system_r:kernel_t:s0\0', 'mcs'),
            ('system_u:system_r:kernel_t:s15:c0.c1023\0', 'mls'),
            ('system_u:system_r:kernel_t:s0-s15:c0.c1023', 'mls'),
            ('system_u:system_r:kernel_t:s15\n', 'mls'),
        ):
            self.assertEqual(expected, self.policy('1', context))

    def test_plain(self):
        self.assertEqual('plain', self.policy('0'))
        self.assertEqual('plain', self.policy('0\n', 'a:b:c:s15'))

    def test_no_answer(self):
        for text in ('', '2', 'mls', '\0'):
            self.assertRaises(
                ValueError, self.policy, text, 'a:b:kernel_t:s15'
            )
        for context in (
            '', 'kernel', 'a:b:c', 'a:b:c:', 'a:b:c:x', 'a:b:c:s', 'a:b:c:-',
            'a:b:c:SystemHigh', 'a:b:c:s15x', 'a:b:c:s0-', 'a:b:c: s15',
        ):  # fmt: skip
            self.assertRaises(ValueError, self.policy, '1', context)

    def test_no_files(self):
        self.assertRaises(OSError, self.policy, None)
        self.assertRaises(OSError, self.policy, '1', None)
        self.assertRaises(OSError, self.policy, '1', PermissionError('no'))

    @hypothesis.given(st.text(), st.text() | st.just('1'), st.text())
    def test_any_text(self, enforce, mls, context):
        read = reader(
            {
                fakes.ENFORCE: enforce,
                fakes.MLS: mls,
                fakes.KERNEL: f'a:b:c:{context}',
            }
        )
        for probe in (selinux.mode, selinux.policy):
            try:
                word = probe(read)
            except ValueError:
                continue
            self.assertIn(
                word, ('enforcing', 'permissive', 'plain', 'mcs', 'mls')
            )
