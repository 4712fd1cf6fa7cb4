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

"""The user of nova-compute in the files of a host."""

import unittest

from lab.machine import nova_account
from lab.run import errors

_PASSWD = (
    'root:x:0:0:root:/root:/bin/bash\n'
    'libvirt-qemu:x:64055:109:Libvirt Qemu,,,:/var/lib/libvirt:/bin/false\n'
)
_GROUP = 'root:x:0:\nkvm:x:109:\nlibvirt:x:113:\n'


class AddTest(unittest.TestCase):
    def test_a_new_user(self) -> None:
        account = nova_account.add(_PASSWD, _GROUP)
        self.assertTrue(account.passwd.startswith(_PASSWD))
        self.assertIn('\nnova:*:64060:64060:', account.passwd)
        self.assertEqual(
            'root:x:0:\nkvm:x:109:\nlibvirt:x:113:nova\nnova:*:64060:\n',
            account.group,
        )
        self.assertEqual((64060, 64060), (account.uid, account.gid))

    def test_twice(self) -> None:
        once = nova_account.add(_PASSWD, _GROUP)
        self.assertEqual(once, nova_account.add(once.passwd, once.group))

    def test_a_user_that_is_there(self) -> None:
        passwd = _PASSWD + 'nova:x:162:163::/var/lib/nova:/bin/false\n'
        account = nova_account.add(passwd, _GROUP + 'nova:x:163:\n')
        self.assertEqual(passwd, account.passwd)
        self.assertEqual((162, 163), (account.uid, account.gid))
        self.assertIn('libvirt:x:113:nova\n', account.group)

    def test_other_members_of_the_group_stay(self) -> None:
        account = nova_account.add(
            _PASSWD, _GROUP.replace('113:', '113:alice,bob')
        )
        self.assertIn('libvirt:x:113:alice,bob,nova\n', account.group)

    def test_a_number_that_is_taken(self) -> None:
        for passwd, group in (
            (_PASSWD + 'other:x:64060:100::/:/bin/false\n', _GROUP),
            (_PASSWD, _GROUP + 'other:x:64060:\n'),
        ):
            self.assertEqual(64061, nova_account.add(passwd, group).uid)

    def test_without_the_packages_of_libvirt(self) -> None:
        for passwd, group in (
            (_PASSWD.replace('libvirt-qemu', 'qemu'), _GROUP),
            (_PASSWD, _GROUP.replace('libvirt', 'virt')),
        ):
            with self.assertRaisesRegex(errors.LabError, 'install'):
                nova_account.add(passwd, group)
