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

cpu-plain has ``[isolation] resume_at_arrival = True``, and a sandbox for its
guests.
"""

from typing import Any
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.cloud import placement
from lab.config import ini
from lab.daemons import nova
from nova_isolation.model import reasons
from tests.e2e import arrivals
from tests.e2e import base
from tests.e2e import paused_start

SPECS = {
    'isolation:hypervisor': 'qemu',
    'isolation:qemu_hardening': 'pie',
    'isolation:qemu_sandbox': 'true',
}
_TRAIT = 'CUSTOM_ISOLATION_QEMU_SANDBOX'
_PLAIN = nova.compute_name(base.PLAIN)
_HARDENED = nova.compute_name(base.HARDENED)
_OPTION = {'isolation': {'resume_at_arrival': 'True'}}


class TestCase(arrivals.TestCase):
    """A test whose guest goes from cpu-hardened to cpu-plain."""

    cloud: clouds.Cloud
    _cloud: ClassVar[clouds.Cloud]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._cloud = cls.use_cloud()
        cls.addClassCleanup(cls._restart, sandbox=False)
        cls._restart(sandbox=True, options=_OPTION)

    @classmethod
    def _restart(
        cls, *, sandbox: bool, options: ini.Settings | None = None
    ) -> None:
        """Restart libvirtd and nova-compute of cpu-plain.

        :param sandbox: whether libvirtd starts guests with a seccomp filter
        :param options: of nova-compute
        """
        there = cls._cloud.hosts[base.PLAIN]
        conf = there.layout.etc / 'qemu.conf'
        line = 'seccomp_sandbox = {:d}\n'
        conf.write_text(
            conf.read_text().replace(
                line.format(not sandbox), line.format(sandbox)
            )
        )
        cls._cloud.supervisor.stop([there.daemon], 15)
        there.start(cls._cloud.supervisor)
        cls._cloud.restart(_PLAIN, options)
        api = cls._cloud.connect()
        cls._cloud.supervisor.wait(
            'what cpu-plain offers now',
            lambda: sandbox == (_TRAIT in placement.traits(api, base.PLAIN)),
            cls.explain_seconds,
            every=0.3,
        )

    def copying(self, specs: dict[str, str] = SPECS) -> Any:
        """See the base class."""
        return super().copying(specs)


class ResumedTest(TestCase):
    """All is well on cpu-plain."""

    def test_source_that_does_not_answer(self) -> None:
        # nova-compute of the source can end no migration.
        server = self.copying()
        source = self.cloud.supervisor.daemons()[_HARDENED]
        with paused_start.stopped(source):
            self.speed(server, arrivals.FAST)
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
        self.speed(server, arrivals.FAST)
        self.assertRefused(server, reasons.VERIFY_FAILED.code)

    def test_compute_killed(self) -> None:
        # The next nova-compute there has seen no event of this guest.
        server = self.copying()
        self.cloud.supervisor.kill(_PLAIN)
        self.cloud.restart(_PLAIN, _OPTION)
        self.assertEqual('paused (migrating)', self.reason(server))
        self.speed(server, arrivals.FAST)
        self.assertRuns(server, at_arrival=False)

    def test_compute_hangs(self) -> None:
        # The event of the arrival comes late.
        server = self.copying()
        destination = self.cloud.supervisor.daemons()[_PLAIN]
        with paused_start.stopped(destination):
            self.speed(server, arrivals.FAST)
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
        self.speed(server, arrivals.FAST)
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
