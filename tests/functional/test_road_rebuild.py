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

"""Roads that make a guest anew: rebuild, evacuate, unshelve."""

from unittest import mock

from tests.functional import fixtures
from tests.functional import road


class RebuildTest(road.TestCase):
    def test_rebuild(self):
        self.start(fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        same = server['image']['id']
        other = self.glance.auto_disk_config_enabled_image['id']
        self.assertNotEqual(same, other)
        for image in (same, other):
            server = self.act(server, 'rebuild', {'imageRef': image})
            self.assertEqual('ACTIVE', server['status'])
            self.assertVerified(server)
        # With the image that it has no filter is asked; with another one it
        # is, but of what the host has published.
        same, other = other, same
        for image, refuse, event, code in (
            (same, self.permissive, 'isolation_decide', road.NOT_ENFORCING),
            (same, self.unsandboxed, 'isolation_verify', road.NO_SANDBOX),
            (other, self.unsandboxed, 'isolation_verify', road.NO_SANDBOX),
        ):
            refuse('host1')
            server = self.act(server, 'rebuild', {'imageRef': image})
            self.assertEqual('ERROR', server['status'])
            self.assertNothingRuns(server)
            self.assertIsNone(self.state(server, 'host1'))
            self.assertRefused(server, event, 'host1', code)
            # Nova has dropped the allocation of a server that is still here.
            self.assertEqual(set(), self.allocations(server['id']))
            self.update('host1')
            self.assertEqual({'host1'}, self.allocations(server['id']))
            self.enforcing('host1')
            server = self.act(server, 'rebuild', {'imageRef': image})
            self.assertEqual('ACTIVE', server['status'])
            self.assertVerified(server)

    def test_refused_late(self):
        self.start(fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        image = {'imageRef': server['image']['id']}
        with self.refused_late('host1'):
            server = self.act(server, 'rebuild', image)
        self.assertEqual('ERROR', server['status'])
        self.assertNoGuest(server, 'host1')
        self.assertFault(server, road.NO_SANDBOX)
        server = self.act(server, 'rebuild', image)
        self.assertVerified(server)


class EvacuateTest(road.TestCase):
    """The server's host is down; the others remain."""

    def setUp(self):
        super().setUp()
        self.start(*(fixtures.Machine() for _ in range(3)))
        self.server = self.boot(self.tagged(), networks='auto')
        self.assertHost('host1', self.server)
        # Its power is gone, and Nova is told so.
        self.domain(self.server).end()
        (service,) = self.api.get_services(host='host1', binary='nova-compute')
        self.api.put_service_force_down(service['id'], True)

    def evacuate(self, argument, microversion='2.94'):
        """Later microversions do not start the server."""
        return self.act(self.server, 'evacuate', argument, microversion)

    def assertStillThere(self, server, host, event, code):
        """It belongs to its dead host, as if nothing had been tried."""
        self.assertNothingRuns(server)
        self.assertIsNone(self.state(server, host))
        self.assertRefused(server, event, host, code)
        self.assertHost('host1', server)
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def test_scheduled(self):
        self.permissive('host2')
        server = self.evacuate({})
        self.assertStillThere(
            server, 'host2', 'isolation_decide', road.NOT_ENFORCING
        )
        self.enforcing('host2')
        self.unsandboxed('host2')
        server = self.evacuate({'host': 'host2'})
        self.assertStillThere(
            server, 'host2', 'isolation_verify', road.NO_SANDBOX
        )
        # Known to the scheduler, it is not asked any more.
        self.enforcing('host2')
        self.permissive('host2', publish=True)
        server = self.evacuate({})
        self.assertVerifiedThere(server, 'host3')

    def test_forced(self):
        for number, (argument, microversion) in enumerate(
            (
                ({'host': 'host2', 'force': True}, '2.29'),
                ({'host': 'host2'}, '2.28'),
            )
        ):
            self.permissive('host2', publish=True)
            server = self.evacuate(argument, microversion)
            self.assertStillThere(
                server, 'host2', 'isolation_decide', road.NOT_ENFORCING
            )
            self.enforcing('host2')
            if number:
                server = self.evacuate(argument, microversion)
                self.assertVerifiedThere(server, 'host2')

    def test_refused_late(self):
        with self.refused_late('host2'):
            server = self.evacuate({'host': 'host2'})
        self.assertNoGuest(server, 'host2')
        self.assertHost('host1', server)
        self.assertEqual({'host1'}, self.allocations(server['id']))
        server = self.evacuate({'host': 'host2'})
        self.assertVerifiedThere(server, 'host2')

    def test_refused_late_while_libvirt_is_busy(self):
        # Nova takes a guest that it cannot ask for for one that is gone.
        driver = self.driver('host2')
        with (
            mock.patch.object(driver, 'instance_exists', return_value=False),
            self.refused_late('host2'),
        ):
            server = self.evacuate({'host': 'host2'})
        self.assertNoGuest(server, 'host2')
        self.assertHost('host1', server)

    def assertVerifiedThere(self, server, host):
        """It is verified there; its dead host holds its share until it is
        up again and cleans up.
        """
        self.assertEqual('ACTIVE', server['status'])
        self.assertHost(host, server)
        self.assertEqual(road.RUNNING, self.state(server, host))
        self.assertVerifiedBefore(self.calls(host))
        self.assertEqual({'host1', host}, self.allocations(server['id']))


class UnshelveTest(road.TestCase):
    def test_refused_late(self):
        self.start(fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        server = self.act(server, 'shelve')
        with self.refused_late('host1'):
            server = self.act(server, 'unshelve')
        self.assertEqual('SHELVED_OFFLOADED', server['status'])
        self.assertNoGuest(server, 'host1')
        self.assertEqual(set(), self.allocations(server['id']))
        server = self.act(server, 'unshelve')
        self.assertVerified(server)

    def test_offloaded(self):
        self.start(fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        server = self.act(server, 'shelve')
        self.assertEqual('SHELVED_OFFLOADED', server['status'])
        for refuse, event, code in (
            (self.permissive, 'isolation_decide', road.NOT_ENFORCING),
            (self.unsandboxed, 'isolation_verify', road.NO_SANDBOX),
        ):
            refuse('host1')
            server = self.act(server, 'unshelve')
            # Nothing is lost: it can be tried again.
            self.assertEqual('SHELVED_OFFLOADED', server['status'])
            self.assertNothingRuns(server)
            self.assertEqual({}, self.connection('host1')._vms)
            self.assertRefused(server, event, 'host1', code)
            self.assertEqual(set(), self.allocations(server['id']))
            self.enforcing('host1')
        server = self.act(server, 'unshelve')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)

    def test_not_offloaded(self):
        self.flags(shelved_offload_time=-1)
        self.start(fixtures.Machine())
        server = self.boot(self.tagged())
        server = self.act(server, 'shelve')
        self.assertEqual('SHELVED', server['status'])
        self.permissive('host1')
        server = self.act(server, 'unshelve')
        self.assertEqual('SHELVED', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))
        self.enforcing('host1')
        server = self.act(server, 'unshelve')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
