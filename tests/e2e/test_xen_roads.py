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
import json
import subprocess  # nosec B404: only for the type of a result
from typing import Any
from typing import ClassVar
import uuid

from lxml import etree
from openstack import exceptions

from lab.cloud import guest_image
from lab.cloud import xen_guest_image
from lab.daemons import nova
from lab.guests import guests
from lab.guests import xen_domain
from lab.machine import recipe as machine_recipe
from lab.xen import recipe
from tests.e2e import base
from tests.e2e import test_xen

_HOST = 'cpu-xen'
_VIRSH = ('virsh', '-q', '-c', 'xen:///system')
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
        if cls._flavor is None:
            cls._flavor = self.guests.flavor(f'e2e-{cls.__name__}', self.specs)
            cls.addClassCleanup(self.api.compute.delete_flavor, cls._flavor)
        if cls._shared is not None:
            self.server = self.api.compute.get_server(cls._shared.id)
            if self.server.status == 'ACTIVE':
                return
            # The test before has failed.
            self.guests.delete(self.server, self.delete_seconds)
        self.wait_explained(cls._flavor, f'{_HOST}: accepted')
        cls._shared = self.server = self.guests.create(
            cls.__name__, cls._flavor.id
        )
        cls.addClassCleanup(
            self.guests.delete, self.server, self.delete_seconds
        )
        self.server = self.wait('ACTIVE')
        self.assertEqual('ACTIVE', self.server.status, self.server.fault)
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
        self.assertUp(before[2] + times)
        self.server = self.wait('ACTIVE')
        self.assertEqual(before[0] + times, self.verified())
        self.assertNotEqual(before[1], self.guest.number)
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

    def test_reboot_by_the_guest(self) -> None:
        with self.started():
            self.guest.write('/bin/busybox reboot -f')

    def test_power_off_by_the_guest(self) -> None:
        self.guest.write('/bin/busybox poweroff -f')
        self.wait('SHUTOFF')
        self.assertNotIn(self.guest.name, self.ssh.check(['xl', 'list']))
        self.api.compute.start_server(self.server)
        self.server = self.wait('ACTIVE')
        self.assertRuns()

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


class HookTest(RoadTestCase):
    """What virsh starts of a tagged guest, with nobody who verifies it."""

    def create(
        self, changes: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Have virsh start a copy of the guest, paused.

        :param changes: path of an element below ``<domain>`` -> its text
        :returns: the result of virsh
        """
        host = self.cloud.hosts[_HOST]
        xml = etree.fromstring(
            host.virsh(
                self.cloud.supervisor, 'dumpxml', '--inactive', self.server.id
            )
        )
        name = f'copy-{uuid.uuid4().hex[:8]}'
        for path, text in {
            'name': name,
            'uuid': str(uuid.uuid4()),
            **(changes or {}),
        }.items():
            found = xml.find(path)
            assert found is not None, path
            found.text = text
        for disk in xml.findall('devices/disk'):
            disk.getparent().remove(disk)
        self.addCleanup(self.ssh.run, [*_VIRSH, 'destroy', name])
        return self.ssh.run(
            [*_VIRSH, 'create', '--paused', '/dev/stdin'],
            self.boot_seconds,
            etree.tostring(xml, encoding='unicode'),
        )

    def assertVetoed(
        self, result: subprocess.CompletedProcess[str], code: str
    ) -> None:
        """The hook has refused, and Xen has no such guest."""
        self.assertNotEqual(0, result.returncode, result.stdout)
        self.assertIn(code, result.stderr)
        self.assertNotIn('copy-', self.ssh.check(['xl', 'list']))

    def test_it_passes_what_is_right(self) -> None:
        result = self.create()
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn('copy-', self.ssh.check(['xl', 'list']))

    def test_label_of_another_type(self) -> None:
        changes = {'seclabel/label': 'system_u:system_r:domU_t'}
        self.assertVetoed(
            self.create(changes), 'isolation.xsm.wrong_definition'
        )

    def test_guest_that_libvirt_would_start_again(self) -> None:
        self.assertVetoed(
            self.create({'on_reboot': 'restart'}),
            'isolation.verify.self_reboot',
        )


class EndTest(RoadTestCase):
    """A guest that ends by itself, and one that is deleted."""

    def test_delete_leaves_nothing(self) -> None:
        number, name = self.guest.number, self.guest.name
        backends = f'/local/domain/0/backend/vbd/{number}'
        self.ssh.check(['xenstore-exists', backends])
        folder = machine_recipe.INSTANCES / self.server.id
        self.assertIn(str(folder), self.ssh.check(['losetup', '--list']))
        self.guests.delete(self.server, self.delete_seconds)
        type(self)._shared = None
        self.assertNotIn(f'{name} ', self.ssh.check(['xl', 'list']))
        self.assertNotIn(self.server.id, self.domains(_HOST))
        for path in (backends, f'/local/domain/{number}'):
            found = self.ssh.run(['xenstore-exists', path])
            self.assertEqual(1, found.returncode, path)
        # Nova may remove it a little later.
        self.cloud.supervisor.wait(
            'the end of its folder',
            lambda: self.ssh.run(['test', '-e', folder]).returncode == 1,
            self.delete_seconds,
        )
        self.assertNotIn(self.server.id, self.ssh.check(['losetup', '--list']))
        self.assertEqual(0, self.guest.starts)
        self.assertNoAllocations(self.server)


class KindTest(test_xen.XenTestCase):
    """Guests with hardware virtualization.

    The emulated processor has no nested paging that Xen could use: such a
    guest ends soon after its first instructions. So these tests are about
    what was verified while it was paused.
    """

    def start(self, machine: str, specs: dict[str, str]) -> dict[str, Any]:
        """Boot a guest of a kind.

        :param machine: libvirt's name of its machine
        :returns: what was read back of it when it was verified
        """
        source = self.api.image.find_image(
            xen_guest_image.IMAGE, ignore_missing=False
        )
        of_kernel = {
            key: source.properties[key]
            for key in ('kernel_id', 'ramdisk_id', 'os_command_line')
            if machine == 'xenpvh'
        }
        image = guest_image.upload_file(
            self.api,
            f'e2e-{machine}',
            guest_image.make(self.cloud.supervisor).disk,
            'raw',
            'bare',
            hw_machine_type=machine,
            **of_kernel,
        )
        self.addCleanup(self.api.image.delete_image, image)
        self.guests = guests.Guests(self.cloud, self.api, f'e2e-{machine}')
        server = self.guests.create(machine, self.flavor(specs).id)
        self.addCleanup(self.guests.delete, server, self.delete_seconds)
        self.guests.wait_status(
            server, ('ACTIVE', 'SHUTOFF', 'ERROR'), self.boot_seconds
        )
        (event,) = (
            event
            for event in self.guests.events(server)
            if event['event'] == 'isolation_verify'
        )
        self.assertEqual('Success', event['result'], event)
        return dict(json.loads(event['details']))

    def test_pvh(self) -> None:
        print(self.start('xenpvh', test_xen.ALL))

    def test_hvm(self) -> None:
        label = {'isolation:xsm_label': recipe.GUEST_TYPE}
        print(
            self.start('xenfv', {**label, 'isolation:qemu_hardening': 'pie'})
        )
