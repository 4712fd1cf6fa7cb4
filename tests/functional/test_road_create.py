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

"""Roads of new guests to a named host, and of several at once.

Those to any host and to ``az:host`` are in test_refusal and
test_verification.
"""

from tests.functional import fixtures
from tests.functional import road


class CreateTest(road.TestCase):
    def test_host(self):
        """``--host`` (2.74): the filters run, and the host decides."""
        self.start(fixtures.Machine(), fixtures.Machine())
        flavor = self.tagged()
        server = self.boot(flavor, host='host2', networks='auto')
        self.assertVerified(server, 'host2')
        self.act(server, 'os-stop')
        self._delete_server(server)
        for refuse, code in (
            (self.permissive, road.NOT_ENFORCING),
            (self.unsandboxed, road.NO_SANDBOX),
        ):
            refuse('host2')
            server = self.refused(flavor, code, host='host2', networks='auto')
            self.assertNothingLeft(server, 'host1', 'host2')
            self.enforcing('host2')
        # Nor does it get there when the host has said so.
        self.permissive('host2', publish=True)
        server = self.boot(flavor, 'ERROR', host='host2', networks='auto')
        self.assertIn('No valid host', server['fault']['message'])
        self.assertNothingLeft(server, 'host1', 'host2')

    def test_several(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.unsandboxed('host1')
        servers = self.several(2)
        for server in servers:
            server = self._wait_for_state_change(server, 'ACTIVE')
            self.assertHost('host2', server)
            self.assertEqual(road.RUNNING, self.state(server, 'host2'))
            (event,) = self.ours(server, 'isolation_verify', 'host2')
            self.assertEvent(event, 'Success', 'host2')
            self.assertEqual({'host2'}, self.allocations(server['id']))
        self.assertNotIn('resume', self.calls('host1'))
        self.assertNothingLeft(server, 'host1')
        for server in servers:
            self._delete_server(server)
        self.unsandboxed('host2')
        for server in self.several(2):
            self._wait_for_state_change(server, 'ERROR')
            server = self.fault_of_ours(server)
            self.assertIn(f'[{road.NO_SANDBOX}]', server['fault']['message'])
            self.assertEqual(set(), self.allocations(server['id']))
        self.assertNothingLeft(server, 'host1', 'host2')

    def several(self, count):
        """Create several servers with one request."""
        request = self._build_server(flavor_id=self.tagged(), networks='none')
        request['min_count'] = request['max_count'] = count
        request['return_reservation_id'] = True
        found = self.api.post_server({'server': request})
        servers = self.api.get_servers(
            search_opts={'reservation_id': found['reservation_id']}
        )
        self.assertEqual(count, len(servers))
        return servers
