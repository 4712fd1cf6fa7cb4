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

import pathlib

import fixtures
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

    def test_a_container_without_selinuxfs(self):
        filesystems, current = '/proc/filesystems', '/proc/self/attr/current'
        on = 'nodev\tproc\nnodev\tselinuxfs\n\text4\n'
        off = 'nodev\tproc\n\text4\n'
        context = 'system_u:system_r:container_t:s0:c1,c2\0'
        for files, mode in (
            ({filesystems: on, current: context}, 'unmounted'),
            ({filesystems: on, current: 'a:b:c\0'}, 'unmounted'),
            ({filesystems: on}, 'unmounted'),
            ({current: context}, 'unmounted'),
            # SELINUX=disabled: the kernel runs without a policy.
            ({filesystems: on, current: 'kernel\0'}, 'disabled'),
            ({filesystems: off, current: context}, 'disabled'),
            ({filesystems: off, current: OSError('no')}, 'disabled'),
            ({filesystems: off, current: 'libvirtd (enforce)'}, 'disabled'),
            ({fakes.ENFORCE: '1', filesystems: on}, 'enforcing'),
        ):
            self.assertEqual(mode, selinux.mode(reader(files)), files)
        for files in (
            {filesystems: PermissionError('no')},
            {filesystems: on, current: PermissionError('no')},
        ):
            self.assertRaises(OSError, selinux.mode, reader(files))

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


#: The numbers are of one policy.
_CLASSES = {
    '/sys/fs/selinux/class/file/index': '6',
    '/sys/fs/selinux/class/file/perms/execute': '18',
    '/sys/fs/selinux/class/file/perms/read': '2',
    '/sys/fs/selinux/class/process/index': '2',
}


class QuestionTest(base.TestCase):
    """What the policy says about two contexts."""

    def asked(self, answer):
        self.questions = []

        def ask(path, question):
            self.questions.append((path, question))
            return answer

        return reader(_CLASSES), ask

    def test_allows(self):
        for answer, permission, allowed in (
            ('20000 ffffffff 0 ffffffff 14 0\0', 'execute', True),
            ('dffff ffffffff 0 ffffffff 14 0\0', 'execute', False),
            ('fffdffff ffffffff 0 ffffffff 14 0\0', 'execute', False),
            ('2 ffffffff 0 ffffffff 14 0\0', 'read', True),
            ('0 ffffffff 0 ffffffff 14 1\0', 'read', False),
        ):
            self.assertEqual(
                allowed,
                selinux.allows(
                    'a:b:c:s0', 'd:e:f:s0', 'file', permission,
                    *self.asked(answer),
                ),
            )  # fmt: skip
            self.assertEqual(
                [('/sys/fs/selinux/access', 'a:b:c:s0 d:e:f:s0 6')],
                self.questions,
            )

    def test_allows_no_answer(self):
        for answer in ('', '1 2 3', 'x 0 0 0 0 0'):
            self.assertRaises(
                ValueError, selinux.allows,
                'a:b:c:s0', 'd:e:f:s0', 'file', 'read', *self.asked(answer),
            )  # fmt: skip
        # Not all policies have all permissions.
        self.assertRaises(
            OSError, selinux.allows,
            'a:b:c:s0', 'd:e:f:s0', 'file', 'fly', *self.asked(''),
        )  # fmt: skip

    def test_domain(self):
        self.assertEqual(
            'a:b:new:s0',
            selinux.domain(
                'a:b:c:s0', 'd:e:f_exec_t:s0', *self.asked('a:b:new:s0\0')
            ),
        )
        self.assertEqual(
            [('/sys/fs/selinux/create', 'a:b:c:s0 d:e:f_exec_t:s0 2')],
            self.questions,
        )

    def test_ask(self):
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'access')
        self.assertRaises(OSError, selinux.ask, str(file), 'what')
        # No file of selinuxfs, but it takes the question.
        file.write_text('a b 2: no')
        self.assertEqual(': no', selinux.ask(str(file), 'a b 2'))
