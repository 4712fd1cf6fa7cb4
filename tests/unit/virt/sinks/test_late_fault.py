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

"""The fault that is written when Nova has given up."""

import types
from unittest import mock

from nova import exception as nova_exception
from nova.compute import task_states
from nova.compute import vm_states

from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.sinks import late_fault
from tests.unit import base

UUID = '11111111-2222-3333-4444-555555555555'
UNMET = (reasons.Unmet(qemu_reasons.NO_SANDBOX.code, 'isolation:a', 'x', 'y'),)


class LateFaultsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.fault = types.SimpleNamespace(id=1, message='earlier')
        self.instance = types.SimpleNamespace(
            task_state='spawning', vm_state=vm_states.BUILDING
        )
        objects = mock.Mock()
        objects.InstanceFault.get_latest_for_instance.side_effect = (
            lambda context, uuid: self.fault
        )
        objects.Instance.get_by_uuid.side_effect = self.load
        for owner, name, value in (
            (late_fault, 'objects', objects),
            (late_fault, 'nova_context', mock.Mock()),
            # The thread looks once and waits for the end of the test.
            (late_fault, '_INTERVAL', 0.001),
        ):
            patch = mock.patch.object(owner, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(
            late_fault.compute_utils, 'add_instance_fault_from_exc'
        )
        self.write = patch.start()
        self.addCleanup(patch.stop)
        self.refusal = late_fault._Refusal(
            exception.GuestRefused(UNMET), 1, float('inf')
        )

    def load(self, context, uuid):
        if isinstance(self.instance, Exception):
            raise self.instance
        return self.instance

    def attempt(self):
        return late_fault._attempt(UUID, self.refusal)

    def nova_gives_up(self):
        self.instance.task_state = None
        self.instance.vm_state = vm_states.ERROR
        self.fault = types.SimpleNamespace(
            id=2, message='Exceeded maximum number of retries.'
        )

    def test_waits(self):
        self.assertFalse(self.attempt())
        self.instance.task_state = None
        self.assertFalse(self.attempt())
        self.instance.vm_state = vm_states.ERROR
        # Nova has not written its fault yet.
        self.assertFalse(self.attempt())
        self.write.assert_not_called()

    def test_written(self):
        self.nova_gives_up()
        self.assertTrue(self.attempt())
        ((_, instance, error), _) = self.write.call_args
        self.assertIs(self.instance, instance)
        self.assertIsInstance(error, exception.RefusedOnAHost)
        self.assertEqual(UNMET, error.unmet)

    def test_nova_has_written_the_reason(self):
        self.fault = types.SimpleNamespace(
            id=2, message=f'{exception.GuestRefused.MARK}: ...'
        )
        self.assertTrue(self.attempt())
        self.write.assert_not_called()

    def test_the_source_of_a_migration_writes_another(self):
        faults = late_fault.LateFaults(60)
        self.addCleanup(faults.work.stop)
        self.instance.task_state = task_states.MIGRATING
        faults.add(UUID, self.refusal.error, started=True)
        thread = faults.work.thread
        # The destination: its fault has the reason.
        self.instance.task_state = None
        self.instance.vm_state = vm_states.ERROR
        self.fault = types.SimpleNamespace(
            id=2, message=f'{exception.GuestRefused.MARK}: ...'
        )
        thread.join(0.2)
        self.assertTrue(thread.is_alive())
        self.write.assert_not_called()
        # The source.
        self.fault = types.SimpleNamespace(
            id=3, message='RemoteError', host='another'
        )
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.write.assert_called_once()

    def test_another_failure_here_after_a_migration(self):
        self.refusal = late_fault._Refusal(
            exception.GuestRefused(UNMET), 1, float('inf'), float('inf')
        )
        self.nova_gives_up()
        self.fault.host = late_fault.CONF.host
        self.assertTrue(self.attempt())
        self.write.assert_not_called()

    def test_refused_before_it_was_sent(self):
        self.instance.task_state = task_states.MIGRATING
        faults = late_fault.LateFaults(60)
        faults.work = mock.Mock()
        for started in (False, True):
            faults.add(UUID, self.refusal.error, started)
            ((_, refusal), _) = faults.work.add.call_args
            self.assertIs(started, refusal.followed is not None)

    def test_the_source_of_a_migration_writes_nothing(self):
        self.instance.task_state = task_states.MIGRATING
        with mock.patch.object(late_fault, '_FOLLOWS', 0.05):
            faults = late_fault.LateFaults(60)
            self.addCleanup(faults.work.stop)
            faults.add(UUID, self.refusal.error, started=True)
        self.nova_gives_up()
        self.fault.message = f'{exception.GuestRefused.MARK}: ...'
        thread = faults.work.thread
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.write.assert_not_called()

    def test_another_host_has_built_it(self):
        self.instance.task_state = None
        self.instance.vm_state = vm_states.ACTIVE
        self.assertTrue(self.attempt())
        self.write.assert_not_called()

    def test_deleted(self):
        self.instance = nova_exception.InstanceNotFound(instance_id=UUID)
        self.assertTrue(self.attempt())

    def test_too_late(self):
        self.refusal = late_fault._Refusal(
            exception.GuestRefused(UNMET), 1, 0.0
        )
        self.nova_gives_up()
        self.assertTrue(self.attempt())
        self.write.assert_not_called()

    def test_in_a_thread(self):
        faults = late_fault.LateFaults(60)
        self.addCleanup(faults.work.stop)
        self.nova_gives_up()
        # The fault that was there when the guest was refused.
        self.fault.id = 1
        faults.add(UUID, self.refusal.error)
        thread = faults.work.thread
        self.nova_gives_up()
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.write.assert_called_once()

    def test_off(self):
        faults = late_fault.LateFaults(0)
        faults.add(UUID, self.refusal.error)
        self.assertIsNone(faults.work.thread)

    def test_too_many(self):
        with mock.patch.object(late_fault, '_MAX_PENDING', 0):
            faults = late_fault.LateFaults(60)
        with mock.patch.object(late_fault, 'LOG') as log:
            faults.add(UUID, self.refusal.error)
        log.warning.assert_called_once()
        self.assertEqual(frozenset(), faults.work.pending)
