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


import subprocess
import unittest
from unittest import mock

from lab.machine import ssh
from lab.run import errors
from lab.xen import check
from lab.xen import recipe

_SOUND = {
    'xl dmesg': '(XEN)   Support for PV VMs: EAGER_FPU\n',
    'xl getenforce': 'Enforcing\n',
    'getenforce': 'Enforcing\n',
    'virsh -q -c xen:///system capabilities': '<capabilities/>',
    'ps -o label= -C libvirtd': 'system_u:system_r:virtd_t:s0\n',
    'ps -o label= -C xenstored': 'system_u:system_r:xenstored_t:s0\n',
    'ps -o label= -C xenconsoled': 'system_u:system_r:xenconsoled_t:s0\n',
    'ps -o label= -C xen-qemu-system': 'system_u:system_r:xendm_t:s0\n',
}


class CheckTest(unittest.TestCase):
    def check(self, **changes: str) -> None:
        """Check a machine that says this."""
        said = {**_SOUND, **changes}
        connection = mock.create_autospec(ssh.Ssh, instance=True)
        connection.check.side_effect = lambda argv, *_: said[
            ' '.join(map(str, argv))
        ]
        # The exit status is 1 when it says Enforcing.
        connection.run.side_effect = lambda argv, *_: (
            subprocess.CompletedProcess(argv, 1, said[' '.join(argv)], '')
        )
        check.check(connection, recipe.BOOT)

    def test_a_sound_machine(self) -> None:
        self.check()

    def test_what_is_not_sound(self) -> None:
        for command, said, message in (
            ('xl dmesg', 'Support for PV VMs: None', 'EAGER_FPU'),
            ('xl dmesg', 'Support for HVM VMs: EAGER_FPU', 'EAGER_FPU'),
            ('xl getenforce', 'Permissive', 'FLASK'),
            ('xl getenforce', '', 'FLASK'),
            ('getenforce', 'Permissive', 'SELinux'),
            ('ps -o label= -C libvirtd', '', 'libvirtd runs as nothing'),
            (
                'ps -o label= -C xenstored',
                'system_u:system_r:initrc_t:s0',
                'xenstored runs as initrc_t',
            ),
            (
                'ps -o label= -C xen-qemu-system',
                'system_u:system_r:xendm_t:s0\nsystem_u:system_r:virtd_t:s0',
                'virtd_t',
            ),
        ):
            with (
                self.subTest(command, said=said),
                self.assertRaisesRegex(errors.LabError, message),
            ):
                self.check(**{command: said})
