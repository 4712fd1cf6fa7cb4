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

from unittest import mock

import fixtures as base_fixtures
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest

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
        server = self.paused(vm_state, task_state)
        driver = self.driver('host1')
        instance = objects.Instance.get_by_uuid(self.context, server['id'])
        # As the guard does before it starts a guest.
        driver.guard.hypervisor.begin_start(driver._host.get_guest(instance))
        return server

    def paused(self, vm_state, task_state):
        """A server whose guest was verified, ran, and is paused."""
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

    def test_guest_that_somebody_else_has_paused(self):
        # An operator, with virsh, or libvirt after an I/O error.
        servers = [
            self.paused(vm_state, task_state)
            for vm_state, task_state in (
                (vm_states.ACTIVE, None),
                (vm_states.ACTIVE, task_states.IMAGE_SNAPSHOT),
                (vm_states.RESCUED, None),
                (vm_states.ERROR, None),
            )
        ]
        self.restart()
        for server in servers:
            self.assertEqual(road.PAUSED, self.state(server, 'host1'))
            self.assertEqual([], self.faults(server))
        for done in ('resume', 'destroy', 'seccomp'):
            self.assertNotIn(done, self.calls('host1'))
        self.assertEqual(
            len(servers), len(self.logged('somebody else has paused it'))
        )

    def test_note_of_a_start(self):
        server = self.boot(self.tagged())
        untagged = self.boot(self.flavor())
        for one in (server, untagged):
            self.assertEqual({}, self.domain(one).notes)
        domain = self.domain(server)
        notes = []
        self.machines['host1'].on_start = lambda domain: notes.append(
            dict(domain.notes)
        )
        self.act(server, 'reboot', {'type': 'HARD'})
        self.act(untagged, 'reboot', {'type': 'HARD'})
        self.assertEqual([1, 0], [len(one) for one in notes])
        # Nor would a live migration take it along.
        domain = self.domain(server)
        self.assertEqual(({}, {}), (domain.notes, domain.live_notes))
        # nova-compute ended after it had resumed the guest: what pauses the
        # guest afterwards is no start.
        domain = self.domain(server)
        domain.notes.update(notes[0])
        self.restart()
        self.assertEqual({}, domain.notes)
        domain._state = road.PAUSED
        self.restart()
        self.assertEqual(road.PAUSED, self.state(server, 'host1'))

    def test_refused_reboot_after_a_first_look_that_failed(self):
        server = self.boot(self.tagged())
        with mock.patch.object(
            libvirt_driver.LibvirtDriver,
            'get_available_resource',
            side_effect=fakelibvirt.libvirtError('busy'),
        ):
            self.restart()
        self.unsandboxed('host1')
        server = self.act(server, 'reboot', {'type': 'HARD'})
        self.assertNothingRuns(server)
        self.assertEqual('ERROR', server['status'])
        self.assertRefused(
            server, 'isolation_verify', 'host1', road.NO_SANDBOX
        )
        (told,) = [
            event['result']
            for event in self.newest(server)
            if event['event'] == 'compute_reboot_instance'
        ]
        self.assertEqual('Error', told)

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
        # One that ends while it is looked at costs the others nothing.
        ended = self.boot(self.tagged())
        self.left(ended, vm_states.ACTIVE, task_states.REBUILD_SPAWNING)
        instance = objects.Instance.get_by_uuid(self.context, ended['id'])
        instance.host = 'other'
        instance.save()
        get_xml_desc = libvirt_guest.Guest.get_xml_desc

        def ends(guest, *args, **kwargs):
            if guest.uuid == ended['id']:
                raise fakelibvirt.libvirtError('gone')
            return get_xml_desc(guest, *args, **kwargs)

        self.useFixture(
            base_fixtures.MockPatchObject(
                libvirt_guest.Guest, 'get_xml_desc', ends
            )
        )
        vms = self.connection('host1')._vms
        self.connection('host1')._vms = dict(reversed(vms.items()))
        # Nor is one that somebody else has paused ours to power off.
        other = self.paused(vm_states.ACTIVE, task_states.REBUILD_SPAWNING)
        instance = objects.Instance.get_by_uuid(self.context, other['id'])
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
        self.assertEqual(road.PAUSED, self.state(other, 'host1'))
        self.assertNotIn('resume', self.calls('host1'))
