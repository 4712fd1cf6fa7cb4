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

"""Every road of a guest on a host with Xen: it runs verified, or not at all.

One guest walks most of them: each start takes an emulated machine a minute.
"""

from collections.abc import Iterator
import contextlib
from typing import Any
from typing import ClassVar

from openstack import exceptions

from lab.daemons import nova
from lab.guests import xen_domain
from lab.xen import recipe
from tests.e2e import base
from tests.e2e import test_xen

_HOST = 'cpu-xen'
_LABEL = f'system_u:system_r:{recipe.GUEST_TYPE}'
#: What ends the lab's guest when it is asked to shut down: its init does not.
_OBEY = 'echo "/bin/busybox poweroff -f" >/proc/sys/kernel/poweroff_cmd'


class RoadTestCase(test_xen.XenTestCase):
    """Tests that share one guest, which is ACTIVE before each of them."""

    #: The extra specs of its flavor.
    specs: ClassVar[dict[str, str]] = test_xen.ALL
    _shared: ClassVar[Any] = None
    _flavor: ClassVar[Any] = None

    def setUp(self) -> None:
        super().setUp()
        cls = type(self)
        if cls._shared is not None:
            self.server = self.api.compute.get_server(cls._shared.id)
            if self.server.status == 'ACTIVE':
                return
            # The test before has failed.
            self.guests.delete(self.server, self.delete_seconds)
        else:
            cls._flavor = self.guests.flavor(f'e2e-{cls.__name__}', self.specs)
            cls.addClassCleanup(self.api.compute.delete_flavor, cls._flavor)
        self.server = self.guests.create(cls.__name__, cls._flavor.id)
        cls.addClassCleanup(
            self.guests.delete, self.server, self.delete_seconds
        )
        cls._shared = self.server
        self.server = self.wait('ACTIVE')
        self.assertUp(1)

    def wait(self, *statuses: str) -> Any:
        """Wait until the guest has a status, and no task.

        :returns: the server
        """
        return self.guests.wait_status(
            self.server, (*statuses, 'ERROR'), self.boot_seconds
        )

    @property
    def guest(self) -> xen_domain.Domain:
        """The domain of the guest."""
        return self.domain(self.server)

    def verified(self) -> int:
        """How often a start of the guest was verified, and accepted."""
        return [
            event['result']
            for event in self.guests.events(self.server)
            if event['event'] == 'isolation_verify'
        ].count('Success')

    def assertUp(self, starts: int) -> None:
        """The guest has written on its console after so many starts."""
        self.cloud.supervisor.wait(
            f'start {starts} of {self.server.name}',
            lambda: self.guest.starts >= starts,
            self.boot_seconds,
            every=1,
        )

    def assertRuns(self) -> None:
        """The guest runs, with its label."""
        self.assertEqual('ACTIVE', self.server.status, self.server.fault)
        self.assertEqual(_LABEL, self.guest.label)
        self.assertNotIn('p', self.guest.state)
        self.assertTrue(self.guest.connected())

    @contextlib.contextmanager
    def started(self, times: int = 1) -> Iterator[None]:
        """What is done here starts the guest anew, verified each time."""
        before = self.verified(), self.guest.number, self.guest.starts
        yield
        self.assertEqual(before[0] + times, self.verified())
        self.assertNotEqual(before[1], self.guest.number)
        self.assertUp(before[2] + times)
        self.assertRuns()

    def assertWatched(self) -> None:
        """The guest is verified while it runs: a violation is reported."""
        before = len(self.reverified(self.server))
        enforce = ['xl', 'setenforce', '1']
        self.addCleanup(self.ssh.check, enforce)
        self.ssh.check(['xl', 'setenforce', '0'])
        self.wait_reverified('Error', before)
        self.ssh.check(enforce)
        self.wait_reverified('Success', before)
        # The scheduler knows it, too.
        self.wait_explained(self._flavor, f'{_HOST}: accepted')

    def wait_reverified(self, result: str, before: int) -> None:
        """Wait for another verification of the guest with this result.

        :param before: how many there were
        """
        self.cloud.supervisor.wait(
            f'a verification of {self.server.name}: {result}',
            lambda: result in self.reverified(self.server)[before:],
            self.explain_seconds,
            every=2,
        )


class StartTest(RoadTestCase):
    """Roads on which the guest becomes another domain."""

    def test_stop_and_start(self) -> None:
        with self.started():
            self.api.compute.stop_server(self.server)
            self.wait('SHUTOFF')
            self.assertNotIn(self.guest.name, self.ssh.check(['xl', 'list']))
            self.api.compute.start_server(self.server)
            self.server = self.wait('ACTIVE')

    def test_soft_reboot(self) -> None:
        with self.started():
            self.guest.write(_OBEY)
            self.api.compute.reboot_server(self.server, 'SOFT')
            self.server = self.wait('ACTIVE')
        # Nova falls back to a hard one where the guest does not obey.
        self.assertIn(
            f'[instance: {self.server.id}] Instance soft rebooted',
            self.cloud.supervisor.log(nova.compute_name(_HOST)).read_text(
                'utf-8'
            ),
        )

    def test_hard_reboot(self) -> None:
        with self.started():
            self.api.compute.reboot_server(self.server, 'HARD')
            self.server = self.wait('ACTIVE')

    def test_suspend_and_resume(self) -> None:
        before, starts = self.verified(), self.guest.starts
        self.api.compute.suspend_server(self.server)
        self.wait('SUSPENDED')
        self.assertNotIn(self.guest.name, self.ssh.check(['xl', 'list']))
        self.api.compute.resume_server(self.server)
        self.server = self.wait('ACTIVE')
        self.assertEqual(before + 1, self.verified())
        self.assertRuns()
        # It goes on where it was.
        self.guest.run('echo ALIVE', 'ALIVE')
        self.assertEqual(starts, self.guest.starts)

    def test_rescue_and_unrescue(self) -> None:
        with self.started(2):
            self.api.compute.rescue_server(self.server)
            self.server = self.wait('RESCUE')
            self.assertEqual('RESCUE', self.server.status, self.server.fault)
            self.assertEqual(_LABEL, self.guest.label)
            self.assertTrue(self.guest.has('vbd/51728'))
            self.assertUp(1)
            self.api.compute.unrescue_server(self.server)
            self.server = self.wait('ACTIVE')
        self.assertFalse(self.guest.has('vbd/51728'))

    def test_rebuild(self) -> None:
        before, number = self.verified(), self.guest.number
        self.api.compute.rebuild_server(self.server, self.server.image.id)
        self.server = self.wait('ACTIVE')
        self.assertEqual(before + 1, self.verified())
        self.assertNotEqual(number, self.guest.number)
        # The console of a new guest begins anew.
        self.assertUp(1)
        self.assertEqual(1, self.guest.starts)
        self.assertRuns()

    def test_snapshot(self) -> None:
        before = self.verified()
        image = self.api.compute.create_server_image(
            self.server, 'e2e-xen-snapshot'
        )
        self.addCleanup(self.api.image.delete_image, image.id)
        self.server = self.wait('ACTIVE')
        found = self.api.image.get_image(image.id)
        self.assertEqual(('active', 'raw'), (found.status, found.disk_format))
        # The guest was saved, and went on where it was.
        self.assertEqual(before + 1, self.verified())
        self.guest.run('echo ALIVE', 'ALIVE')
        self.assertRuns()

    def test_resize_on_its_host(self) -> None:
        self.cloud.restart(
            nova.API, {'DEFAULT': {'allow_resize_to_same_host': True}}
        )
        self.addCleanup(self.cloud.restart, nova.API)
        larger = self.api.compute.create_flavor(
            name='e2e-xen-larger', ram=160, vcpus=1, disk=1
        )
        self.addCleanup(self.api.compute.delete_flavor, larger)
        self.api.compute.create_flavor_extra_specs(larger, self.specs)
        for end in ('revert', 'confirm'):
            with self.subTest(end), self.started(1 + (end == 'revert')):
                self.api.compute.resize_server(self.server, larger)
                self.server = self.wait('VERIFY_RESIZE')
                self.assertEqual(
                    'VERIFY_RESIZE', self.server.status, self.server.fault
                )
                self.assertEqual(_LABEL, self.guest.label)
                self.assertEqual('160', self.guest.listed[2])
                getattr(self.api.compute, f'{end}_server_resize')(self.server)
                self.server = self.wait('ACTIVE')

    def test_resize_to_another_host(self) -> None:
        """There is none, so it is refused, and the guest stays as it was."""
        number = self.guest.number
        larger = self.flavor(self.specs)
        with self.assertRaisesRegex(
            exceptions.BadRequestException, base.NO_VALID_HOST
        ):
            self.api.compute.resize_server(self.server, larger)
        self.server = self.wait('ACTIVE')
        self.assertEqual(number, self.guest.number)
        self.assertRuns()


class StayTest(RoadTestCase):
    """What leaves the guest the same domain."""

    def setUp(self) -> None:
        super().setUp()
        number, starts = self.guest.number, self.verified()
        self.addCleanup(
            lambda: self.assertEqual(
                (number, starts), (self.guest.number, self.verified())
            )
        )

    def test_pause_and_unpause(self) -> None:
        self.api.compute.pause_server(self.server)
        self.wait('PAUSED')
        self.assertIn('p', self.guest.state)
        self.api.compute.unpause_server(self.server)
        self.server = self.wait('ACTIVE')
        self.assertRuns()
        self.guest.run('echo ALIVE', 'ALIVE')

    def test_restart_of_nova_compute(self) -> None:
        self.cloud.restart(nova.compute_name(_HOST))
        self.assertWatched()
        self.assertRuns()

    def test_restart_of_libvirt(self) -> None:
        self.ssh.check(['systemctl', 'restart', 'libvirtd'], self.boot_seconds)
        self.assertWatched()
        self.assertRuns()
