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

"""Roads that begin with nova-compute: its start, a host's boot, a crash."""

from nova.compute import task_states
from nova.compute import vm_states
from nova.tests.fixtures import libvirt as fakelibvirt

from nova import objects
from tests.functional import fixtures
from tests.functional import road

SVIRT_TYPE = 'isolation.svirt.wrong_label'
INTERRUPTED = 'isolation.verify.interrupted'
SHUTOFF = fakelibvirt.VIR_DOMAIN_SHUTOFF


class RestartTest(road.TestCase):
    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())

    def restart(self):
        """nova-compute ends and begins, libvirt and its guests stay."""
        self.machines['host1'].calls.clear()
        self.restart_compute_service('host1')

    def test_running_guests(self):
        server = self.boot(self.tagged())
        # A host that turned permissive stops nobody who runs.
        for refuse in (lambda host: None, self.permissive):
            refuse('host1')
            self.restart()
            self.assertEqual(road.RUNNING, self.state(server, 'host1'))
            done = {'resume', 'suspend', 'destroy', 'createWithFlags(1)'}
            self.assertEqual(set(), done & set(self.calls('host1')))
            self.assertEqual([], self.faults(server))

    def test_host_boot(self):
        self.flags(resume_guests_state_on_host_boot=True)
        server = self.boot(self.tagged())
        untagged = self.boot(self.flavor())
        for one in (server, untagged):
            self.domain(one).end()
        self.restart()
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertEqual(road.RUNNING, self.state(untagged, 'host1'))
        self.assertIn('createWithFlags(0)', self.calls('host1'))
        (event, _) = self.ours(server, 'isolation_verify', 'host1')
        self.assertEvent(event, 'Success', 'host1')
        for one in (server, untagged):
            self.domain(one).end()
        self.permissive('host1')
        self.restart()
        self.assertNotEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertEqual(road.RUNNING, self.state(untagged, 'host1'))
        found = self.api.get_server(server['id'])
        self.assertEqual('ERROR', found['status'])
        self.assertRefused(
            server, 'isolation_decide', 'host1', road.NOT_ENFORCING
        )
        self.assertEqual({'host1'}, self.allocations(server['id']))

    def crash(self, vm_state, task_state):
        """A server whose guest nova-compute left paused when it died."""
        server = self.boot(self.tagged())
        self.domain(server)._state = road.PAUSED
        self.left(server, vm_state, task_state)
        return server

    def left(self, server, vm_state, task_state):
        instance = objects.Instance.get_by_uuid(self.context, server['id'])
        instance.vm_state = vm_state
        instance.task_state = task_state
        instance.save()

    def test_crash_before_verification(self):
        building = self.crash(vm_states.BUILDING, task_states.SPAWNING)
        rebuilding = self.crash(vm_states.ACTIVE, task_states.REBUILD_SPAWNING)
        active = self.crash(vm_states.ACTIVE, None)
        wrong = self.crash(vm_states.ACTIVE, None)
        domain = self.domain(wrong)
        domain.xml = domain.xml.replace(':svirt_t:', ':svirt_tcg_t:')
        rebooting = self.crash(
            vm_states.ACTIVE, task_states.REBOOT_STARTED_HARD
        )
        starting = self.crash(vm_states.STOPPED, task_states.POWERING_ON)
        paused = self.crash(vm_states.PAUSED, None)
        untagged = self.boot(self.flavor())
        self.domain(untagged)._state = road.PAUSED
        self.restart()
        # None was let run that was not verified: nine guests began, and
        # each 'resume' comes after the questions of its own guest.
        for server, state, status in (
            (building, None, 'ERROR'),
            (rebuilding, None, 'ERROR'),
            (active, road.RUNNING, 'ACTIVE'),
            # Without a task it had been verified; nothing of it is lost.
            (wrong, road.PAUSED, 'ACTIVE'),
            (rebooting, road.RUNNING, 'ACTIVE'),
            (starting, road.RUNNING, 'ACTIVE'),
            (paused, road.PAUSED, 'PAUSED'),
            # Not ours to touch.
            (untagged, road.PAUSED, 'ACTIVE'),
        ):
            found = self.state(server, 'host1')
            if state is None:
                self.assertEqual(5, found, status)
            else:
                self.assertEqual(state, found, status)
            server = self.api.get_server(server['id'])
            self.assertEqual(status, server['status'])
        for server, result, code in (
            (building, 'Error', INTERRUPTED),
            (rebuilding, 'Error', INTERRUPTED),
            (active, 'Success', None),
            (wrong, 'Error', SVIRT_TYPE),
            (rebooting, 'Success', None),
            (starting, 'Success', None),
        ):
            event = self.newest(server)[0]
            self.assertEqual('isolation_verify', event['event'])
            self.assertEvent(event, result, 'host1')
            if code:
                self.assertIn(f'[{code}]', event['details'])
                self.assertFault(server, code)
        self.assertEqual([], self.faults(active))
        # What the user paused is verified when it is unpaused.
        self.act(paused, 'unpause')
        self.assertVerifiedBefore(self.calls('host1'))

    def test_reboot_that_is_refused_when_it_is_done_again(self):
        refusals = (
            (self.permissive, 'isolation_decide', road.NOT_ENFORCING),
            (self.unsandboxed, 'isolation_verify', road.NO_SANDBOX),
        )
        for refuse, event, code in refusals:
            server = self.crash(
                vm_states.ACTIVE, task_states.REBOOT_STARTED_HARD
            )
            untagged = self.boot(self.flavor())
            self.left(
                untagged, vm_states.ACTIVE, task_states.REBOOT_STARTED_HARD
            )
            self.domain(untagged).end()
            refuse('host1')
            # The service starts; for others' guests too.
            self.restart()
            self.assertEqual(road.RUNNING, self.state(untagged, 'host1'))
            self.assertNotEqual(road.RUNNING, self.state(server, 'host1'))
            (found, *_) = self.ours(server, event, 'host1')
            self.assertEvent(found, 'Error', 'host1')
            self.assertFault(server, code)
            server = self._wait_for_state_change(server, 'ERROR')
            self.assertIn(f'[{code}]', server['fault']['message'])
            # When the service runs, a refusal is Nova's to handle again.
            server = self.act(server, 'reboot', {'type': 'HARD'})
            self.assertEqual('ERROR', server['status'])
            self.assertRefused(server, event, 'host1', code)
            self.enforcing('host1')
            self.assertVerified(self.act(server, 'reboot', {'type': 'HARD'}))

    def test_reboot_that_had_not_begun(self):
        server = self.boot(self.tagged())
        self.left(server, vm_states.ACTIVE, task_states.REBOOT_PENDING_HARD)
        domain = self.domain(server)
        self.permissive('host1')
        self.restart()
        self.assertIs(domain, self.domain(server))
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertFault(server, road.NOT_ENFORCING)
        server = self.api.get_server(server['id'])
        self.assertEqual('ACTIVE', server['status'])
        self.assertIsNone(server['OS-EXT-STS:task_state'])

    def test_crash_of_the_destination_of_an_evacuation(self):
        # The instance gets this host when its guest runs, not before.
        left = {}
        for task in (task_states.REBUILD_SPAWNING, task_states.MIGRATING):
            left[task] = server = self.crash(vm_states.ACTIVE, task)
            instance = objects.Instance.get_by_uuid(self.context, server['id'])
            instance.host = 'other'
            instance.save()
        self.restart()
        self._wait_for_assert(
            lambda: self.assertEqual(
                SHUTOFF,
                self.state(left[task_states.REBUILD_SPAWNING], 'host1'),
            ),
            max_retries=200,
        )
        # It may be arriving here.
        self.assertEqual(
            road.PAUSED, self.state(left[task_states.MIGRATING], 'host1')
        )
        self.assertNotIn('resume', self.calls('host1'))
