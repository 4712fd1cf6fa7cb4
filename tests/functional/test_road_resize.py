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

"""Roads of a resize and a cold migration; a flavor that was changed."""

from tests.functional import fixtures
from tests.functional import road


class ResizeTest(road.TestCase):
    def migration(self, server):
        """The consumer that keeps the source while nothing is confirmed."""
        found = self.api.api_get(
            f'/os-migrations?instance_uuid={server["id"]}'
        ).body['migrations']
        return found[0]['uuid']

    def test_migrate(self):
        # In one process all services share the [DEFAULT] host of the last
        # one, by which Nova knows whether the source is another host.
        self.start(*(fixtures.Machine() for _ in range(3)))
        server = self.boot(self.tagged(), networks='auto')
        server = self.act(server, 'migrate')
        self.assertEqual('VERIFY_RESIZE', server['status'])
        self.assertVerified(server, 'host2')
        self.assertEqual({'host1'}, self.allocations(self.migration(server)))
        server = self.act(server, 'revertResize')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server, 'host1')
        server = self.act(server, 'migrate')
        self.assertVerified(server, 'host2')
        server = self._confirm_resize(server)
        self.assertEqual(road.RUNNING, self.state(server, 'host2'))
        self.assertEqual({'host2'}, self.allocations(server['id']))
        self.assertEqual({}, self.connection('host1')._vms)
        self.assertEqual(set(), self.allocations(self.migration(server)))
        # The destination refuses, when the source is off already: Nova
        # leaves the server there, with what it needs.
        self.unsandboxed('host1')
        server = self.act(server, 'migrate')
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_verify', 'host1', road.NO_SANDBOX
        )
        self.assertHost('host1', server)
        self.assertIsNone(self.state(server, 'host1'))
        self.assertEqual({'host1'}, self.allocations(server['id']))
        self.assertEqual(set(), self.allocations(self.migration(server)))
        self.enforcing('host1')
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server, 'host1')

    def test_revert_that_is_refused_late(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged(), networks='auto')
        server = self.act(server, 'migrate')
        with self.refused_late('host1'):
            server = self.act(server, 'revertResize')
        self.assertEqual('ERROR', server['status'])
        for host in ('host1', 'host2'):
            self.assertNoGuest(server, host)
        self.assertHost('host1', server)
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertVerified(server, 'host1')

    def test_revert(self):
        """The old host no longer offers what it did."""
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.tagged())
        server = self.act(server, 'migrate')
        self.permissive('host1')
        server = self.act(server, 'revertResize')
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertHost('host1', server)
        self.assertEqual({}, self.connection('host2')._vms)
        self.assertEqual({'host1'}, self.allocations(server['id']))
        self.assertEqual(set(), self.allocations(self.migration(server)))
        self.enforcing('host1')
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server, 'host1')

    def test_same_host(self):
        self.flags(allow_resize_to_same_host=True)
        self.start(fixtures.Machine())
        server = self.boot(self.tagged())
        other = self.tagged(svirt_type='svirt_tcg_t')
        server = self.act(server, 'resize', {'flavorRef': other})
        self.assertEqual('VERIFY_RESIZE', server['status'])
        self.assertVerified(server)
        self.assertIn(':svirt_tcg_t:', self.domain(server).label)
        server = self.act(server, 'revertResize')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        self.assertIn(':svirt_t:', self.domain(server).label)
        self.permissive('host1')
        server = self.act(server, 'resize', {'flavorRef': other})
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))
        self.assertEqual(set(), self.allocations(self.migration(server)))
        usages = self._get_provider_usages(self.compute_rp_uuids['host1'])
        self.assertEqual(64, usages['MEMORY_MB'])


class ChangedFlavorTest(road.TestCase):
    """Nova keeps the flavor in the instance."""

    def test_changed_after_boot(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        flavor = self.flavor(svirt='selinux')
        plain = self.flavor()
        server = self.boot(flavor)
        untagged = self.boot(plain)
        # Nobody offers that.
        for one in (flavor, plain):
            self.api_fixture.admin_api.microversion = '2.85'
            self.api_fixture.admin_api.post_extra_spec(
                one, {'extra_specs': {'isolation:hypervisor': 'xen'}}
            )
            self.api_fixture.admin_api.microversion = 'latest'
        for one in (server, untagged):
            found = self.act(one, 'reboot', {'type': 'HARD'})
            self.assertEqual('ACTIVE', found['status'])
            self.assertEqual(road.RUNNING, self.state(one, 'host1'))
        self.assertIn('createWithFlags(0)', self.calls('host1'))
        # A new guest of that flavor is held to it.
        found = self.boot(flavor, 'ERROR')
        self.assertIn('No valid host', found['fault']['message'])

    def test_resize_applies_a_tag(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        server = self.boot(self.flavor())
        self.assertNotIn('seclabel', self.domain(server).xml)
        self.permissive('host2', publish=True)
        server = self.act(server, 'resize', {'flavorRef': self.tagged()})
        self.assertEqual('ACTIVE', server['status'])
        self.assertIn('No valid host', self.faults(server)[0])
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.enforcing('host2')
        server = self.act(server, 'resize', {'flavorRef': self.tagged()})
        self.assertEqual('VERIFY_RESIZE', server['status'])
        self.assertVerified(server, 'host2')
