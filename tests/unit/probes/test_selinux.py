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


class EnforcedTest(base.TestCase):
    """/sys/fs/selinux/access, of one type."""

    CONTEXT = 'system_u:system_r:svirt_t:s0'

    def enforced(self, **of_host):
        host = fakes.Host(fakes.SELINUX_MCS, **of_host)
        return selinux.enforced(self.CONTEXT, host.read, host.ask)

    def answered(self, answer):
        host = fakes.Host(fakes.SELINUX_MCS)
        return selinux.enforced(self.CONTEXT, host.read, lambda *_: answer)

    def test_held_to_the_policy(self):
        self.assertTrue(self.enforced())
        self.assertTrue(self.enforced(permissive=('other_t',)))

    def test_permissive_by_itself(self):
        self.assertFalse(self.enforced(permissive=('svirt_t',)))

    def test_no_such_type(self):
        self.assertFalse(self.enforced(unknown=('svirt_t',)))

    def test_answers(self):
        # As a kernel 6.12 gave them, and with a bit of a later one.
        self.assertTrue(self.answered('6000165 ffffffff 0 ffffffff 14 0\0'))
        self.assertFalse(self.answered('6000165 ffffffff 0 ffffffff 14 1'))
        self.assertFalse(self.answered('ffffffff ffffffff 0 0 1 3'))
        self.assertTrue(self.answered('ffffffff ffffffff 0 0 1 2'))

    def test_no_answer(self):
        for answer in ('', '0', '1 2 3 4 5', '1 2 3 4 5 6 7', '1 2 3 4 5 x'):
            self.assertRaises(ValueError, self.answered, answer)
        # No SELinux at all.
        host = fakes.Host()
        self.assertRaises(
            OSError, selinux.enforced, self.CONTEXT, host.read, host.ask
        )

        def refuse(path, question):
            raise PermissionError(path)

        host = fakes.Host(fakes.SELINUX_MCS)
        self.assertRaises(
            PermissionError, selinux.enforced, self.CONTEXT, host.read, refuse
        )
