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

"""The roads of a PV guest on a host with Xen.

At the end of each the guest runs, verified, with its label.
"""

from typing import Any
import uuid

from lab.daemons import nova
from lab.guests import xen_specs
from lab.machine import recipe
from tests.e2e import xen
from tests.e2e import xen_roads

#: The guest of the lab passes over what the kernel asks of its init. This one
#: powers itself off at once.
_POWER_OFF = (
    'busybox rm /sbin/poweroff; '
    r"""printf '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n' """
    '>/sbin/poweroff; busybox chmod 755 /sbin/poweroff; echo done'
)
#: How much more memory a larger flavor has.
_MORE_MIB = 64


class PowerTest(xen_roads.RoadsTestCase):
    """Stops, starts, reboots, pauses."""

    def test_stop_and_start(self) -> None:
        with self.road():
            self.compute.stop_server(self.server)
            self.reach('SHUTOFF')
            self.assertOff()
            self.compute.start_server(self.server)

    def test_hard_reboot(self) -> None:
        with self.road():
            self.compute.reboot_server(self.server, 'HARD')

    def test_soft_reboot(self) -> None:
        self.assertEqual('done', self.running.run(_POWER_OFF))
        log = self.cloud.supervisor.log(xen_roads.COMPUTE)
        start = log.stat().st_size
        with self.road():
            self.compute.reboot_server(self.server, 'SOFT')
        said = log.read_bytes()[start:].decode(errors='replace')
        self.assertIn('Instance soft rebooted successfully', said)
        self.assertNotIn('Trying hard reboot', said)

    def test_pause_and_unpause(self) -> None:
        with self.road(anew=False, kept=True):
            self.compute.pause_server(self.server)
            self.reach('PAUSED')
            self.assertIn('p', self.running.state)
            self.compute.unpause_server(self.server)

    def test_suspend_and_resume(self) -> None:
        with self.road(kept=True):
            self.compute.suspend_server(self.server)
            self.reach('SUSPENDED')
            self.assertOff()
            self.assertTrue(self.saved())
            self.compute.resume_server(self.server)
        self.assertFalse(self.saved())

    def saved(self) -> bool:
        """Whether libvirt has the memory of the guest in a file."""
        found = self.ssh.check(['ls', '/var/lib/libvirt/libxl/save'])
        return f'{self.server.instance_name}.save' in found.split()

    def test_rescue_and_unrescue(self) -> None:
        with self.road('RESCUE'):
            self.compute.rescue_server(self.server)
        with self.road():
            self.compute.unrescue_server(self.server)


class OwnWayTest(xen_roads.RoadsTestCase):
    """What the guest does by itself."""

    def test_reboot(self) -> None:
        before = self.reboots()
        with self.road():
            self.running.type('reboot -f')
        self.assertEqual(before + 1, self.reboots())

    def test_power_off(self) -> None:
        with self.road():
            self.running.type('poweroff -f')
            self.reach('SHUTOFF')
            self.assertOff()
            self.compute.start_server(self.server)

    def test_console_log(self) -> None:
        mark = uuid.uuid4().hex
        self.assertEqual(mark, self.running.run(f'echo {mark}'))
        output = self.compute.get_server_console_output(self.server)['output']
        self.assertIn(mark, output)

    def reboots(self) -> int:
        """How often Nova has rebooted the guest."""
        return [
            one.action for one in self.compute.server_actions(self.server)
        ].count('reboot')


class DiskTest(xen_roads.RoadsTestCase):
    """What makes the disk of the guest anew, or copies it."""

    def test_rebuild(self) -> None:
        with self.road():
            self.compute.rebuild_server(self.server, self.server.image.id)

    def test_cold_snapshot(self) -> None:
        name = f'snapshot-{uuid.uuid4().hex[:8]}'
        with self.road(kept=True):
            image = self.compute.create_server_image(self.server, name)
            self.addCleanup(self.api.image.delete_image, image.id)
        found = self.wait(name, lambda: self._active(image.id))
        self.assertGreater(found.size, 0)

    def _active(self, image: str) -> Any:
        found = self.api.image.get_image(image)
        self.assertIn(found.status, ('queued', 'saving', 'active'))
        return found if found.status == 'active' else None


class ResizeTest(xen_roads.RoadsTestCase):
    """Other flavors, on the only host that there is."""

    def larger(self) -> Any:
        """A flavor with more memory and the same requirements."""
        flavor = self.guests.flavor(
            f'larger-{uuid.uuid4().hex[:8]}',
            xen_specs.ALL,
            self.running.memory_mib + _MORE_MIB,
        )
        self.addCleanup(self.compute.delete_flavor, flavor)
        return flavor

    def resize(self) -> None:
        """Resize the guest, and wait for the question about it."""
        self.restart(nova.API, 'DEFAULT', allow_resize_to_same_host='true')
        memory = self.running.memory_mib
        with self.road('VERIFY_RESIZE'):
            self.compute.resize_server(self.server, self.larger())
        self.assertEqual(memory + _MORE_MIB, self.running.memory_mib)

    def test_revert(self) -> None:
        memory = self.running.memory_mib
        self.resize()
        with self.road():
            self.compute.revert_server_resize(self.server)
        self.assertEqual(memory, self.running.memory_mib)

    def test_confirm(self) -> None:
        self.resize()
        number = self.running.number
        self.compute.confirm_server_resize(self.server)
        self.reach('ACTIVE')
        self.assertEqual(number, self.assertRuns())

    def test_no_other_host(self) -> None:
        before = self.before()
        for act in (
            lambda: self.compute.migrate_server(self.server),
            lambda: self.compute.resize_server(self.server, self.larger()),
        ):
            refused = len(self.results(self.server, 'cold_migrate'))
            act()
            self.wait(
                'the refusal',
                lambda refused=refused: (
                    self.results(self.server, 'cold_migrate')[refused:]
                    == ['Error']
                ),
            )
            self.reach('ACTIVE')
            self.assertEqual(before, self.before())
            self.assertRuns()


class RestartTest(xen_roads.RoadsTestCase):
    """Services that are restarted while the guest runs."""

    def test_libvirt(self) -> None:
        number = self.running.number
        self.ssh.check(['systemctl', 'restart', 'libvirtd'])
        self.assertWatched(number)

    def test_nova_compute(self) -> None:
        number = self.running.number
        self.cloud.restart(xen_roads.COMPUTE)
        self.assertWatched(number)

    def assertWatched(self, number: int) -> None:
        """The guest is the same domain, runs, and is verified again."""
        before = len(self.reverified(self.server))
        self.addCleanup(self.ssh.check, ['setenforce', '1'])
        self.ssh.check(['setenforce', '0'])
        self.wait_reverified(self.server, 'Error', before)
        self.ssh.check(['setenforce', '1'])
        self.wait_reverified(self.server, 'Success', before)
        self.reach('ACTIVE')
        self.assertEqual(number, self.assertRuns())
        self.wait_explained(self.all, f'{xen.HOST}: accepted')


class WithoutTraceTest(xen_roads.RoadsTestCase):
    """What is left of a deleted guest."""

    def test_nothing(self) -> None:
        mark = uuid.uuid4().hex
        self.assertEqual(mark, self.running.run(f'echo {mark}'))
        self.assertIn(mark, self.written())
        number = self.running.number
        left = self.left(number)
        # This is how it would be found.
        self.assertEqual({'domain', 'disk', 'loop', 'xenstore'}, left)
        self.guests.delete(self.server, self.delete_seconds)
        self.wait('nothing to be left', lambda: not self.left(number))
        self.assertEqual('', self.written())

    def left(self, number: int) -> set[str]:
        """What there is of the guest in dom0."""
        name, disk = self.server.instance_name, str(self.server.id)
        found = {
            'domain': name
            in self.virsh('list', '--all', '--name') + self.listed(),
            'disk': disk in self.ssh.check(['ls', recipe.INSTANCES]).split(),
            'loop': disk in self.ssh.check(['losetup', '--list']),
            'xenstore': str(number)
            in self.ssh.check(['xenstore-list', '/local/domain']).split(),
        }
        return {what for what, is_there in found.items() if is_there}

    def listed(self) -> list[str]:
        """The words that the hypervisor's list has."""
        return self.ssh.check(['xl', 'list']).split()

    def written(self) -> str:
        """What xenconsoled has of the guest."""
        return self.ssh.check(['cat', self.running.console])
