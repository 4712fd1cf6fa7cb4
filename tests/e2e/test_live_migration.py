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

"""Live migration between two real compute hosts."""

import re
from typing import Any
from typing import ClassVar

from lab.daemons import nova
from lab.machine import recipe
from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from tests.e2e import base

#: A requirement that both hosts meet, and one that only cpu-hardened meets.
_BOTH = {'isolation:hypervisor': 'qemu'}
_ONE = {'isolation:qemu_sandbox': 'true'}
_PIE = {'isolation:qemu_hardening': 'pie'}
_PLAIN = nova.compute_name(base.PLAIN)
_CURRENT = '2.96'


class TestCase(base.TestCase):
    """A test that migrates a guest from one host to another."""

    SOURCE: ClassVar = base.HARDENED
    DESTINATION: ClassVar = base.PLAIN
    #: Seconds within which a migration has to end, and the guest to print.
    migration_seconds = 400.0

    def boot_here(self, specs: dict[str, str]) -> Any:
        server = self.boot(specs, host=self.SOURCE)
        self.assertActive(server, self.SOURCE)
        self.pid = self.guests.qemu_pid(server)
        return server

    def migrate(
        self,
        server: Any,
        host: str | None = None,
        version: str = _CURRENT,
        **more: bool,
    ) -> Any:
        """Ask for a live migration.

        :returns: the response of nova-api
        """
        return self.api.compute.post(
            f'/servers/{server.id}/action',
            json={
                'os-migrateLive': {
                    'host': host,
                    'block_migration': 'auto',
                    **more,
                }
            },
            microversion=version,
        )

    def wait_migration(self, server: Any, count: int = 1) -> tuple[str, Any]:
        """Wait until the newest of ``count`` migrations has ended.

        :returns: the status of the migration, and the server
        """

        def ended() -> str | None:
            found = self.api.compute.get(
                f'/os-migrations?instance_uuid={server.id}',
                microversion=_CURRENT,
            ).json()['migrations']
            newest = max(found, key=lambda one: one['id'], default=None)
            if len(found) < count or newest is None:
                return None
            status = str(newest['status'])
            ends = ('completed', 'error', 'failed')
            return status if status in ends else None

        status = self.cloud.supervisor.wait(
            'the migration', ended, self.migration_seconds, every=0.3
        )
        return status, self.guests.wait_status(
            server, ('ACTIVE', 'PAUSED', 'ERROR')
        )

    def assertStayed(self, server: Any) -> None:
        """The guest still runs on its source only, as the same process."""
        server = self.guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self.assertEqual('ACTIVE', server.status, server.fault)
        self.assertEqual(self.SOURCE, server.compute_host)
        self.assertEqual(self.pid, self.guests.qemu_pid(server))
        self.assertEqual('running', self.state(self.SOURCE, server))
        self.assertNotIn(server.id, self.domains(self.DESTINATION))

    def assertArrived(self, server: Any, state: str) -> None:
        """The guest is on its destination only, in this state."""
        self.assertEqual(self.DESTINATION, server.compute_host)
        self.assertEqual(state, self.state(self.DESTINATION, server))
        self.assertNotIn(server.id, self.domains(self.SOURCE))

    def assertTold(
        self, server: Any, event: str, result: str, host: str
    ) -> None:
        """This host reported an event with this result."""
        self.assertEvent(server, event, result)
        self.assertIn(
            (event, result, host),
            [
                (one['event'], one['result'], one['host'])
                for one in self.guests.events(server)
            ],
        )

    def state(self, host: str, server: Any) -> str:
        """The state of a guest as virsh prints it."""
        there = self.cloud.hosts[host]
        return there.virsh(
            self.cloud.supervisor, 'domstate', str(server.id)
        ).strip()

    def ticks(self, host: str, server: Any) -> list[float]:
        """The seconds since its boot that the guest printed on a host."""
        console = recipe.INSTANCES / str(server.id) / 'console.log'
        found = self.cloud.hosts[host].run(
            self.cloud.supervisor, ['grep', '--text', 'TICK', console]
        )
        # 1: there is no such line.
        self.assertIn(found.returncode, (0, 1), found.stderr)
        return [
            float(one) for one in re.findall(r'TICK (\S+)\s', found.stdout)
        ]

    def wait_ticks(self, host: str, server: Any) -> list[float]:
        """Wait until the guest has printed on a host."""
        return self.cloud.supervisor.wait(
            f'the guest to run on {host}',
            lambda: self.ticks(host, server),
            self.migration_seconds,
        )


class MigrationTest(TestCase):
    """The destination meets the requirements of the guest."""

    def test_verified_and_goes_on(self) -> None:
        server = self.boot_here(_BOTH)
        before = self.wait_ticks(base.HARDENED, server)
        self.migrate(server).raise_for_status()
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'ACTIVE'), (status, server.status))
        self.assertArrived(server, 'running')
        # The clock went on, so the guest was not booted again.
        self.assertGreater(self.wait_ticks(base.PLAIN, server)[0], before[0])
        self.assertTold(server, 'isolation_verify', 'Success', base.PLAIN)

    def test_paused_by_its_user(self) -> None:
        server = self.boot_here(_BOTH)
        self.api.compute.pause_server(server)
        self.guests.wait_status(server, ('PAUSED',))
        self.migrate(server).raise_for_status()
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'PAUSED'), (status, server.status))
        self.assertArrived(server, 'paused')
        self.assertTold(server, 'isolation_verify', 'Success', base.PLAIN)
        self.assertEqual([], self.ticks(base.PLAIN, server))
        self.api.compute.unpause_server(server)
        self.guests.wait_status(server, ('ACTIVE',))
        self.wait_ticks(base.PLAIN, server)


class RefusedTest(TestCase):
    """The destination does not meet the requirements; nothing moves."""

    def test_whoever_names_the_destination(self) -> None:
        server = self.boot_here(_ONE)
        count = 0
        for host in (None, base.PLAIN):
            with self.subTest('asked of the scheduler', host=host):
                self.migrate(server, host).raise_for_status()
                count += 1
                status, _ = self.wait_migration(server, count)
                self.assertEqual('error', status)
                self.assertStayed(server)
        for version, more in (('2.30', {'force': True}), ('2.29', {})):
            with self.subTest('forced', version=version):
                answer = self.migrate(server, base.PLAIN, version, **more)
                self.assertEqual(400, answer.status_code, answer.text)
                self.assertIn(qemu_reasons.NO_SANDBOX.code, answer.text)
                self.assertStayed(server)
        self.assertTold(server, 'isolation_decide', 'Error', base.PLAIN)

    def test_forced_to_a_host_with_the_stock_driver(self) -> None:
        # The destination checks nothing, and would resume any guest.
        self.addCleanup(self.cloud.restart, _PLAIN)
        self.cloud.restart(
            _PLAIN, {'DEFAULT': {'compute_driver': 'libvirt.LibvirtDriver'}}
        )
        server = self.boot_here(_BOTH)
        answer = self.migrate(server, base.PLAIN, '2.30', force=True)
        answer.raise_for_status()
        status, _ = self.wait_migration(server)
        self.assertIn(status, ('error', 'failed'))
        self.assertStayed(server)
        self.assertTold(server, 'isolation_decide', 'Error', base.HARDENED)


class ArrivalTest(TestCase):
    """The destination offers it, and cannot verify the guest.

    See test_refusals, VerificationTest: cpu-plain's nova-compute does not find
    the process of the guest.
    """

    def test_stays_paused(self) -> None:
        self.restart(
            _PLAIN,
            qemu_run_dir=self.folder_without_guests(base.PLAIN),
        )
        server = self.boot_here(_PIE)
        answer = self.migrate(server, base.PLAIN, '2.30', force=True)
        answer.raise_for_status()
        _, server = self.wait_migration(server)
        self.assertEqual('ERROR', server.status)
        # The source writes a fault as well, without the reason.
        server = self.guests.wait_fault(server, reasons.VERIFY_FAILED.code)
        self.assertArrived(server, 'paused')
        self.assertEqual([], self.ticks(base.PLAIN, server))
        self.assertTold(server, 'isolation_verify', 'Error', base.PLAIN)
