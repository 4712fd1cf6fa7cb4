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

"""A guest that arrives by live migration is resumed at once, whatever fails.

cpu-plain has ``[isolation] resume_at_arrival = True``. The copy of a guest's
memory is slowed down where something is to happen meanwhile.
"""

import re
from typing import Any
from typing import ClassVar
import uuid

from lab.cloud import cloud as clouds
from lab.daemons import nova
from nova_isolation.model import reasons
from tests.e2e import base
from tests.e2e import paused_start
from tests.e2e import test_live_migration

SPECS = {
    'isolation:hypervisor': 'qemu',
    'isolation:qemu_hardening': 'pie',
}
_PLAIN = nova.compute_name(base.PLAIN)
_HARDENED = nova.compute_name(base.HARDENED)
_OPTION = {'isolation': {'resume_at_arrival': 'True'}}
#: MiB a second: a copy that lasts for a minute, and one that does not.
SLOW, FAST = '1', '1000'
_RESUMED = re.compile('verified again and resumed within')


class TestCase(test_live_migration.TestCase):
    """A test whose guest goes from cpu-hardened to cpu-plain."""

    cloud: clouds.Cloud
    _cloud: ClassVar[clouds.Cloud]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._cloud = cls.use_cloud()
        cls.addClassCleanup(cls._cloud.restart, _PLAIN)
        cls._cloud.restart(_PLAIN, _OPTION)

    def flavor(self, specs: dict[str, str] | None = None) -> Any:
        """A flavor whose disk is as small as the image.

        The disk is copied before the memory, at the speed that was set when
        the copy began.
        """
        flavor = self.api.compute.create_flavor(
            name=f'arrival-{uuid.uuid4().hex[:8]}', ram=128, vcpus=1, disk=0
        )
        self.addCleanup(self.api.compute.delete_flavor, flavor)
        self.api.compute.create_flavor_extra_specs(flavor, specs or {})
        return flavor

    def speed(self, server: Any, speed: str) -> None:
        """How fast the memory of a guest leaves cpu-hardened."""
        self.virsh(base.HARDENED, 'migrate-setspeed', server.id, speed)

    def virsh(self, host: str, *arguments: str) -> str:
        """What virsh prints on a host."""
        there = self.cloud.hosts[host]
        return there.virsh(self.cloud.supervisor, *arguments)

    def copying(self, specs: dict[str, str] = SPECS) -> Any:
        """A guest whose memory is copied, until :meth:`speed` is called."""
        server = self.boot_here(specs)
        self.speed(server, SLOW)
        self.migrate(server).raise_for_status()
        self.cloud.supervisor.wait(
            'the copy',
            lambda: (
                server.id in self.domains(base.PLAIN)
                and self.reason(server) == 'paused (migrating)'
            ),
            120,
        )
        return server

    def reason(self, server: Any) -> str:
        """The state of a guest on cpu-plain, and the reason of the state."""
        return self.virsh(
            base.PLAIN, 'domstate', '--reason', server.id
        ).strip()

    def resumed_at_arrival(self, server: Any) -> bool:
        """Whether cpu-plain has resumed a guest at its arrival."""
        text = self.cloud.supervisor.log(_PLAIN).read_text('utf-8', 'replace')
        return any(
            _RESUMED.search(line)
            for line in text.splitlines()
            if str(server.id) in line
        )

    def assertRuns(self, server: Any, at_arrival: bool) -> None:
        """The migration is over, and the guest runs on cpu-plain, verified."""
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'ACTIVE'), (status, server.status))
        self.assertArrived(server, 'running')
        self.assertTold(server, 'isolation_verify', 'Success', base.PLAIN)
        self.assertIs(at_arrival, self.resumed_at_arrival(server))


class ResumedTest(TestCase):
    """All is well on cpu-plain."""

    def test_source_that_does_not_answer(self) -> None:
        # nova-compute of the source can end no migration.
        server = self.copying()
        source = self.cloud.supervisor.daemons()[_HARDENED]
        with paused_start.stopped(source):
            self.speed(server, FAST)
            self.cloud.supervisor.wait(
                'the guest to run',
                lambda: self.state(base.PLAIN, server) == 'running',
                120,
            )
            self.wait_ticks(base.PLAIN, server)
        self.assertRuns(server, at_arrival=True)

    def test_two_at_once(self) -> None:
        servers = [self.boot_here(SPECS), self.boot_here(SPECS)]
        for server in servers:
            self.migrate(server).raise_for_status()
        for server in servers:
            self.assertRuns(server, at_arrival=True)

    def test_paused_by_its_user(self) -> None:
        server = self.boot_here(SPECS)
        self.api.compute.pause_server(server)
        self.guests.wait_status(server, ('PAUSED',))
        self.migrate(server).raise_for_status()
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'PAUSED'), (status, server.status))
        self.assertArrived(server, 'paused')
        self.assertEqual([], self.ticks(base.PLAIN, server))
        self.assertFalse(self.resumed_at_arrival(server))


class FaultTest(TestCase):
    """Something fails while the memory is copied."""

    def test_refused_at_arrival(self) -> None:
        server = self.copying()
        # nova-compute does not find the process of the guest any more.
        name = f'{self.guests_name(server)}.pid'
        self.cloud.hosts[base.PLAIN].pids.joinpath(name).unlink()
        self.speed(server, FAST)
        _, server = self.wait_migration(server)
        self.assertEqual('ERROR', server.status)
        self.guests.wait_fault(server, reasons.VERIFY_FAILED.code)
        self.assertArrived(server, 'paused')
        self.assertEqual([], self.ticks(base.PLAIN, server))
        self.assertTold(server, 'isolation_verify', 'Error', base.PLAIN)
        self.assertFalse(self.resumed_at_arrival(server))

    def test_compute_killed(self) -> None:
        # The next nova-compute there has seen no event of this guest.
        server = self.copying()
        self.cloud.supervisor.kill(_PLAIN)
        self.cloud.restart(_PLAIN, _OPTION)
        self.assertEqual('paused (migrating)', self.reason(server))
        self.speed(server, FAST)
        self.assertRuns(server, at_arrival=False)

    def test_compute_hangs(self) -> None:
        # The event of the arrival comes late.
        server = self.copying()
        destination = self.cloud.supervisor.daemons()[_PLAIN]
        with paused_start.stopped(destination):
            self.speed(server, FAST)
            self.cloud.supervisor.wait(
                'the guest to arrive',
                lambda: self.reason(server) == 'paused (user)',
                120,
            )
            self.assertEqual([], self.ticks(base.PLAIN, server))
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'ACTIVE'), (status, server.status))
        self.assertArrived(server, 'running')
        self.assertTold(server, 'isolation_verify', 'Success', base.PLAIN)

    def test_libvirtd_killed_and_a_second_migration(self) -> None:
        server = self.copying()
        there = self.cloud.hosts[base.PLAIN]
        self.cloud.supervisor.kill(there.daemon)
        there.start(self.cloud.supervisor)
        status, _ = self.wait_migration(server)
        self.assertIn(status, ('error', 'failed'))
        # Nova rolls back, and then takes the failed call of libvirt for a
        # failure of the server. The guest runs on.
        self.guests.wait_status(server, ('ERROR',))
        self.api.compute.reset_server_state(server, 'active')
        self.assertStayed(server)
        self.assertFalse(self.resumed_at_arrival(server))
        self.cloud.supervisor.wait('Nova', self.enabled, 400)
        self.speed(server, FAST)
        self.migrate(server).raise_for_status()
        self.wait_migration(server, 2)
        self.assertRuns(server, at_arrival=True)

    def enabled(self) -> bool:
        """Whether Nova uses cpu-plain."""
        (service,) = self.api.compute.services(
            binary='nova-compute', host=base.PLAIN
        )
        return bool(service.status == 'enabled')

    def guests_name(self, server: Any) -> str:
        """The name of the domain of a server."""
        return self.virsh(base.PLAIN, 'domname', server.id).strip()
