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


"""Guests on a host that enforces AppArmor, and on one that stops enforcing."""

from pathlib import Path
from typing import Any
from typing import ClassVar

from lab.guests import intruder
from tests.e2e import base
from tests.e2e import machines

_APPARMOR = {'isolation:svirt': 'apparmor'}
_MODE = Path('/sys/module/apparmor/parameters/mode')


class AppArmorTestCase(machines.TestCase):
    """A test on the host with AppArmor."""

    HOST = machines.APPARMOR

    def assertOwnProfile(self, server: Any) -> None:
        """The kernel confines a guest's QEMU by the profile of that guest."""
        self.assertEqual(
            f'libvirt-{server.id} (enforce)', self.guests.label(server)
        )


class ConfinedTest(AppArmorTestCase):
    """Two guests at once; one of them accepts any security module."""

    SHARED: ClassVar = (_APPARMOR, _APPARMOR)

    def test_verified_and_running(self) -> None:
        for server in self.shared:
            self.assertRuns(server)
            self.assertOwnProfile(server)

    def test_nova_compute_is_not_root(self) -> None:
        # The host would not be accepted if it could not read this.
        mode = self.on_host('stat', '-c', '%a %U', _MODE)
        self.assertIn(mode, ('400 root', '600 root'))
        self.assertNotRoot()

    def test_disk_of_another_guest(self) -> None:
        server, other = self.shared
        qemu = intruder.Intruder(self.cloud, server)
        self.assertIn('Permission denied', qemu.open_file(self.disk(other)))
        (line, *_) = qemu.denials(f'libvirt-{server.id}', str(other.id))
        self.assertIn('apparmor="DENIED"', line)

    def test_own_disk(self) -> None:
        for server in self.shared:
            qemu = intruder.Intruder(self.cloud, server)
            self.assertEqual('', qemu.open_file(self.disk(server), True))


class AnyTest(AppArmorTestCase):
    """isolation:svirt=any, on a host with AppArmor."""

    def test_any(self) -> None:
        server = self.boot({'isolation:svirt': 'any'}, host=self.HOST)
        self.assertRuns(server)
        self.assertOwnProfile(server)


class RefusedTest(AppArmorTestCase):
    """Requirements that the host does not meet."""

    def test_selinux(self) -> None:
        flavor = self.flavor({'isolation:svirt': 'selinux'})
        self.assertNoValidHost(self.boot_flavor(flavor, host=self.HOST))
        self.assertExplained(flavor, self.HOST, 'isolation.svirt.no_model')

    def test_selinux_type(self) -> None:
        flavor = self.flavor(
            {'isolation:svirt': 'selinux', 'isolation:svirt_type': 'svirt_t'}
        )
        self.assertNoValidHost(self.boot_flavor(flavor, host=self.HOST))

    def test_complain(self) -> None:
        flavor = self.flavor(_APPARMOR)
        self.addCleanup(self.on_host, 'sh', '-c', f'printf enforce >{_MODE}')
        self.on_host('sh', '-c', f'printf complain >{_MODE}')
        server = self.boot_flavor(flavor, host=self.HOST)
        fault = self.refused_to_start(server)
        if base.NO_VALID_HOST not in fault['message']:
            self.guests.wait_fault(server, 'isolation.svirt.not_enforcing')
        self.assertNoAllocations(server)
        self.wait_explained(flavor, 'isolation.svirt.not_enforcing')
        self.on_host('sh', '-c', f'printf enforce >{_MODE}')
        self.wait_explained(flavor, f'{self.HOST}: accepted')
