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

"""Roads on one host: power, pause, suspend, rescue."""

from tests.functional import fixtures
from tests.functional import road


class PowerTest(road.TestCase):
    """One guest on one host."""

    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())
        self.server = self.boot(self.tagged())

    def test_stop_and_start(self):
        self.act(self.server, 'os-stop')
        server = self.act(self.server, 'os-start')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        for refuse, event, code in (
            (self.permissive, 'isolation_decide', road.NOT_ENFORCING),
            (self.unsandboxed, 'isolation_verify', road.NO_SANDBOX),
        ):
            self.act(self.server, 'os-stop')
            refuse('host1')
            server = self.act(self.server, 'os-start')
            self.assertEqual('SHUTOFF', server['status'])
            self.assertNothingRuns(server)
            self.assertRefused(server, event, 'host1', code)
            # It stays here, as any stopped server does.
            self.assertEqual({'host1'}, self.allocations(server['id']))
            self.enforcing('host1')
            self.assertVerified(self.act(self.server, 'os-start'))

    def _reboot(self, kind):
        server = self.act(self.server, 'reboot', {'type': kind})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        self.unsandboxed('host1')
        server = self.act(self.server, 'reboot', {'type': kind})
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_verify', 'host1', road.NO_SANDBOX
        )
        self.assertIn(
            f'[{road.NO_SANDBOX}]',
            self.api.get_server(server['id'])['fault']['message'],
        )
        # The way out.
        self.enforcing('host1')
        server = self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)

        # Refused before it is stopped: it runs on, untouched.
        domain = self.domain(server)
        self.permissive('host1')
        server = self.act(self.server, 'reboot', {'type': kind})
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertIs(domain, self.domain(server))
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def test_soft_reboot(self):
        self._reboot('SOFT')

    def test_hard_reboot(self):
        self._reboot('HARD')
        # One that is off has nothing to run on; it stays off.
        self.domain(self.server).destroy()
        server = self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.enforcing('host1')
        server = self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)

    def test_hard_reboot_that_is_refused_late(self):
        # Else Nova does not wait for the network then.
        self.flags(
            wait_for_vif_plugged_event_during_hard_reboot=['normal'],
            group='workarounds',
        )
        self._delete_server(self.server)
        server = self.boot(self.tagged(), networks='auto')
        with self.refused_late('host1'):
            server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ERROR', server['status'])
        self.assertNoGuest(server, 'host1')
        self.assertFault(server, road.NO_SANDBOX)
        self.flags(
            wait_for_vif_plugged_event_during_hard_reboot=[],
            group='workarounds',
        )
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)

    def test_hard_reboot_of_a_paused_one(self):
        self.act(self.server, 'pause')
        self.permissive('host1')
        server = self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ERROR', server['status'])
        # Its memory is there.
        self.assertEqual(road.PAUSED, self.state(server, 'host1'))
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.enforcing('host1')
        server = self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)

    def test_pause_and_unpause(self):
        self.act(self.server, 'pause')
        server = self.act(self.server, 'unpause')
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual(
            road.RUNNING, self.state(server, 'host1'), 'it runs again'
        )
        self.assertVerifiedBefore(self.calls('host1'))
        # It lost its label while it was paused.
        self.act(self.server, 'pause')
        domain = self.domain(server)
        domain.xml = domain.xml.replace(':svirt_t:', ':unconfined_t:')
        server = self.act(self.server, 'unpause')
        self.assertEqual('PAUSED', server['status'])
        self.assertEqual(road.PAUSED, self.state(server, 'host1'))
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_verify', 'host1', 'isolation.svirt.wrong_label'
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def test_suspend_and_resume(self):
        self.act(self.server, 'suspend')
        server = self.act(self.server, 'resume')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        # Refused before anything is touched: its memory is kept.
        self.act(self.server, 'suspend')
        saved = self.domain(server).saved
        self.assertIn('seclabel', saved)
        self.permissive('host1')
        server = self.act(self.server, 'resume')
        self.assertEqual('SUSPENDED', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertEqual(saved, self.domain(server).saved)
        self.enforcing('host1')
        server = self.act(self.server, 'resume')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        # libvirt starts what is in the save image, whatever is defined.
        self.act(self.server, 'suspend')
        domain = self.domain(server)
        domain.saved = domain.saved.replace(':svirt_t:', ':svirt_tcg_t:')
        server = self.act(self.server, 'resume')
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_verify', 'host1', 'isolation.svirt.wrong_label'
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def test_rescue_and_unrescue(self):
        server = self.act(self.server, 'rescue')
        self.assertEqual('RESCUE', server['status'])
        self.assertVerified(server)
        server = self.act(self.server, 'unrescue')
        self.assertEqual('ACTIVE', server['status'])
        self.assertVerified(server)
        # The second guest of two may be the one that is refused.
        self.act(self.server, 'rescue')
        self.permissive('host1')
        server = self.act(self.server, 'unrescue')
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.enforcing('host1')
        self.act(self.server, 'reboot', {'type': 'HARD'})
        self.unsandboxed('host1')
        server = self.act(self.server, 'rescue')
        self.assertEqual('ERROR', server['status'])
        self.assertNothingRuns(server)
        # Nova tells it in its own words first, then comes ours.
        self.assertRefused(
            server, 'isolation_verify', 'host1', road.NO_SANDBOX
        )
        self.fault_of_ours(server)
        self.assertEqual({'host1'}, self.allocations(server['id']))
