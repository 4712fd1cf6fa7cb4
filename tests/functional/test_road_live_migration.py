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

"""Roads of a live migration: decided before memory moves, verified after."""

from unittest import mock

from nova import objects
from nova.compute import power_state
from nova.tests.functional.api import client

from nova_isolation.model import facts
from nova_isolation.virt.roads import migration_steps
from tests.functional import base
from tests.functional import fixtures
from tests.functional import road

AUTO = {'host': None, 'block_migration': 'auto'}


class Audit:
    """The options of a host in audit mode."""

    mode = 'audit'

    def __getattr__(self, name):
        return base.CONF.isolation[name]


class LiveMigrationTest(road.TestCase):
    def migrate(self, server, microversion='latest', **argument):
        return self.act(
            server, 'os-migrateLive', AUTO | argument, microversion
        )

    def flags_of(self, host):
        """The flags of the migrations that left a host."""
        return [
            int(call[len('migrateToURI3(') : -1])
            for call in self.calls(host)
            if call.startswith('migrateToURI3(')
        ]

    def assertUntouched(self, server, host='host1'):
        """The guest runs on at its source, as if nothing had been tried."""
        server = self.api.get_server(server['id'])
        self.assertEqual('ACTIVE', server['status'])
        self.assertHost(host, server)
        self.assertEqual(road.RUNNING, self.state(server, host))
        self.assertEqual([], self.flags_of(host))
        self.assertEqual([], [c for c in self.calls(host) if c == 'suspend'])
        for other in set(self.computes) - {host}:
            self.assertEqual({}, self.connection(other)._vms)
            self.assertNotIn('receive(paused=True)', self.calls(other))
        self.assertEqual({host}, self.allocations(server['id']))

    def test_scheduled(self):
        self.start(*(fixtures.Machine() for _ in range(3)))
        server = self.boot(self.tagged(), networks='auto')
        source = self.domain(server).label
        # One destination refuses: Nova tries the next.
        self.permissive('host2')
        server = self.migrate(server)
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server, 'host3')
        self.assertTrue(self.flags_of('host1')[0] & fixtures.MIGRATE_PAUSED)
        self.assertEqual({}, self.connection('host1')._vms)
        self.assertEqual({}, self.connection('host2')._vms)
        # The label is made anew there.
        self.assertNotEqual(source, self.domain(server).label)
        (event,) = self.ours(server, 'isolation_decide', 'host2')
        self.assertEvent(event, 'Error', 'host2')
        # All refuse.
        self.permissive('host1')
        server = self.migrate(server)
        self.assertUntouched(server, 'host3')
        for host in ('host1', 'host2'):
            (event,) = self.ours(server, 'isolation_decide', host)
            self.assertIn(f'[{road.NOT_ENFORCING}]', event['details'])
        self.assertIn('No valid host', self.faults(server)[0])

    def test_named_and_forced(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged())
        for argument, microversion in (
            ({'host': 'host2', 'force': True}, '2.30'),
            ({'host': 'host2'}, '2.29'),
        ):
            # The scheduler is not asked, nor placement for its traits.
            self.permissive('host2', publish=True)
            error = self.assertRaises(
                client.OpenStackApiException,
                self.migrate,
                server,
                microversion,
                **argument,
            )
            self.assertEqual(400, error.response.status_code)
            self.assertIn(f'[{road.NOT_ENFORCING}]', str(error))
            server = self.settle(server)
            self.assertUntouched(server)
            self.assertRefused(
                server, 'isolation_decide', 'host2', road.NOT_ENFORCING
            )
            self.enforcing('host2')
        server = self.migrate(server, '2.30', host='host2', force=True)
        self.assertVerified(server, 'host2')
        # Named, but not forced: as scheduled.
        self.permissive('host1')
        server = self.migrate(server, host='host1')
        self.assertUntouched(server, 'host2')
        (event,) = self.ours(server, 'isolation_decide', 'host1')
        self.assertEvent(event, 'Error', 'host1')
        self.enforcing('host1')
        server = self.migrate(server, host='host1')
        self.assertVerified(server, 'host1')

    def test_refused_at_arrival(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        self.unsandboxed('host2')
        server = self.migrate(server, host='host2')
        self._wait_for_state_change(server, 'ERROR')
        self.assertNothingRuns(server)
        # With its memory as it came.
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertEqual({}, self.connection('host1')._vms)
        self.assertRefused(
            server, 'isolation_verify', 'host2', road.NO_SANDBOX
        )
        server = self.fault_of_ours(server)
        self.assertHost('host2', server)
        self.assertEqual({'host2'}, self.allocations(server['id']))
        self.enforcing('host2')
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertVerified(server, 'host2')

    def test_paused_by_its_user(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged())
        self.act(server, 'pause')
        server = self.migrate(server)
        self.assertEqual('PAUSED', server['status'])
        self.assertHost('host2', server)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertNothingRuns(server)
        (event,) = self.ours(server, 'isolation_verify', 'host2')
        self.assertEvent(event, 'Success', 'host2')
        server = self.act(server, 'unpause')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerifiedBefore(self.calls('host2'))

    def test_paused_by_an_operator(self):
        """Stock Nova leaves such a guest paused, too."""
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged(), host='host1')
        self.connection('host1').lookupByUUIDString(server['id']).suspend()
        # As Nova does when libvirt tells it.
        self.computes['host1'].manager._sync_instance_power_state(
            self.context,
            objects.Instance.get_by_uuid(self.context, server['id']),
            power_state.PAUSED,
        )
        server = self.migrate(server)
        self.assertEqual('ACTIVE', server['status'])
        self.assertHost('host2', server)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertNotIn('resume', self.calls('host2'))
        (event,) = self.ours(server, 'isolation_verify', 'host2')
        self.assertEvent(event, 'Success', 'host2')

    def test_flags(self):
        # What Nova's driver adds to those that are the same for all.
        self.flags(live_migration_permit_post_copy=True, group='libvirt')
        self.start(fixtures.Machine(), fixtures.Machine())
        paused, postcopy = fixtures.MIGRATE_PAUSED, fixtures.MIGRATE_POSTCOPY
        for flavor, mode, left, asked in (
            (self.flavor(), 'enforce', (False, True), set()),
            (self.tagged(), 'enforce', (True, False), road.QUESTIONS),
            (self.tagged(), 'audit', (False, True), road.QUESTIONS),
        ):
            self.flags(mode=mode, group='isolation')
            # A destination that enforces decides how guests arrive.
            self.update('host2')
            server = self.boot(flavor, host='host1')
            server = self.migrate(server)
            (found,) = self.flags_of('host1')
            self.assertEqual(
                left, (bool(found & paused), bool(found & postcopy))
            )
            self.assertHost('host2', server)
            self.assertEqual(road.RUNNING, self.state(server, 'host2'))
            self.assertEqual(asked, road.QUESTIONS & set(self.calls('host2')))

    def test_destination_without_our_driver(self):
        self.start(fixtures.Machine())
        self.flags(compute_driver='libvirt.LibvirtDriver')
        self.machines['host2'] = fixtures.Machine()
        self.start_compute('host2')
        server = self.boot(self.tagged(), host='host1')
        server = self.migrate(server, '2.30', host='host2', force=True)
        self.assertUntouched(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', 'isolation.facts.missing'
        )
        # Others may go where they like.
        server = self.boot(self.flavor(), host='host1')
        server = self.migrate(server, '2.30', host='host2', force=True)
        self.assertHost('host2', server)
        self.assertEqual(road.RUNNING, self.state(server, 'host2'))

    def audits(self, host):
        """This host alone is in audit mode, and has not told it yet."""
        guard = self.guard(host)
        for part, name in (
            (guard, 'options'),
            (guard.conclusions, '_options'),
            (guard.start_notes, '_options'),
        ):
            self.assertTrue(hasattr(part, name))
            setattr(part, name, Audit())

    def test_source_that_audits(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server, other = (
            self.boot(self.tagged(), host='host1') for _ in range(2)
        )
        self.audits('host1')
        server = self.migrate(server, host='host2')
        self.assertIn('receive(paused=True)', self.calls('host2'))
        self.assertVerified(server, 'host2')
        # The destination refuses another one at arrival.
        self.unsandboxed('host2')
        server = self.migrate(other, host='host2')
        self._wait_for_state_change(server, 'ERROR')
        self.assertNothingRuns(server)
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))
        self.assertFault(server, road.NO_SANDBOX)

    def test_guest_that_arrives_running(self):
        # From a host with another driver, or one that took this host for one
        # in audit mode.
        self.start(fixtures.Machine(), fixtures.Machine())
        server, other = (
            self.boot(self.tagged(), host='host1') for _ in range(2)
        )
        self.audits('host1')
        with mock.patch.object(
            migration_steps, 'arrives_paused', return_value=False
        ):
            server = self.migrate(server, host='host2')
            calls = self.calls('host2')
            received = calls.index('receive(paused=False)')
            self.assertEqual('suspend', calls[received + 1])
            self.assertVerifiedBefore(calls[received:])
            self.assertEqual(road.RUNNING, self.state(server, 'host2'))
            self.unsandboxed('host2')
            server = self.migrate(other, host='host2')
        self._wait_for_state_change(server, 'ERROR')
        self.assertNotIn('resume', self.calls('host2'))
        self.assertEqual(road.PAUSED, self.state(server, 'host2'))

    def test_destination_that_audits(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        driver = self.driver('host2')
        measured = driver.get_available_resource

        def audits(nodename):
            resources = measured(nodename)
            self.assertEqual('enforce', resources['stats'][facts.MODE_STAT])
            resources['stats'][facts.MODE_STAT] = 'audit'
            return resources

        with mock.patch.object(driver, 'get_available_resource', audits):
            self.update('host2')
        server = self.boot(self.tagged(), host='host1')
        server = self.migrate(server, '2.30', host='host2', force=True)
        self.assertUntouched(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', 'isolation.host.audits'
        )
