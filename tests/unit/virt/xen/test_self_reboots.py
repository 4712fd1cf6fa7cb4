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

from unittest import mock

import fixtures
from nova import exception as nova_exception
from nova.virt import event as virtevent

from nova_isolation.virt.xen import self_reboots
from tests.unit import base

STOPPED = virtevent.LifecycleEvent('a', virtevent.EVENT_LIFECYCLE_STOPPED)


class SelfRebootsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.kept, self.calls = True, []
        self.instance = mock.Mock(host='here', vm_state='active')
        self.refused = None
        self.lookup = self.useFixture(
            fixtures.MockPatch(
                'nova.objects.Instance.get_by_uuid',
                side_effect=lambda *_: self.instance,
            )
        ).mock
        self.reboots = self_reboots.SelfReboots(
            'here', self.is_kept, self.reboot, self.calls.append
        )
        # The attempts are made by hand.
        self.useFixture(
            fixtures.MockPatchObject(
                self.reboots.work, 'add', lambda *item: self.added.append(item)
            )
        )
        self.added = []

    def is_kept(self, uuid):
        if isinstance(self.kept, Exception):
            raise self.kept
        return self.kept

    def reboot(self, context, instance):
        if self.refused:
            raise self.refused
        self.calls.append('reboot')
        self.assertTrue(context.is_admin)

    def attempt(self):
        return self.reboots._attempt('a', STOPPED)

    def test_one_that_has(self):
        self.assertTrue(self.reboots.takes(STOPPED))
        self.assertEqual([('a', STOPPED)], self.added)
        self.assertEqual([], self.calls)
        self.assertTrue(self.attempt())
        self.assertEqual(['reboot'], self.calls)

    def test_one_that_does_so_all_the_time(self):
        timer = self.useFixture(fixtures.MockPatch('threading.Timer')).mock
        self.useFixture(
            fixtures.MockPatchObject(
                self.reboots._pace, 'delay', side_effect=[0.0, 42.0]
            )
        )
        self.assertTrue(self.reboots.takes(STOPPED))
        self.assertEqual([('a', STOPPED)], self.added)
        timer.assert_not_called()
        # It is not a guest for Nova to stop either.
        self.assertTrue(self.reboots.takes(STOPPED))
        self.assertEqual([('a', STOPPED)], self.added)
        seconds, add, arguments = timer.call_args.args
        self.assertEqual(42.0, seconds)
        self.assertTrue(timer.return_value.daemon)
        timer.return_value.start.assert_called_once_with()
        add(*arguments)
        self.assertEqual(2 * [('a', STOPPED)], self.added)

    def test_one_that_has_powered_itself_off(self):
        self.kept = False
        self.assertFalse(self.reboots.takes(STOPPED))

    def test_libvirt_cannot_be_asked(self):
        self.kept = RuntimeError()
        self.assertFalse(self.reboots.takes(STOPPED))
        self.assertRaises(RuntimeError, self.attempt)
        self.assertEqual([], self.calls)

    def test_other_events(self):
        for transition in (
            virtevent.EVENT_LIFECYCLE_STARTED,
            virtevent.EVENT_LIFECYCLE_PAUSED,
        ):
            found = virtevent.LifecycleEvent('a', transition)
            self.assertFalse(self.reboots.takes(found))
        self.assertFalse(self.reboots.takes(object()))
        self.assertEqual([], self.added)

    def test_ended_meanwhile(self):
        self.kept = False
        self.assertTrue(self.attempt())
        self.lookup.assert_not_called()
        self.assertEqual([], self.calls)

    def test_on_another_host(self):
        self.instance.host = 'there'
        self.assertTrue(self.attempt())
        self.assertEqual([], self.calls)

    def test_deleted(self):
        self.lookup.side_effect = nova_exception.InstanceNotFound(
            instance_id='a'
        )
        self.assertTrue(self.attempt())
        self.assertEqual([], self.calls)

    def test_a_server_that_is_not_active(self):
        self.instance.vm_state = 'rescued'
        self.assertTrue(self.attempt())
        self.assertEqual([STOPPED], self.calls)

    def test_nova_works_on_it(self):
        for error in (
            nova_exception.InstanceInvalidState(
                attr='task_state',
                instance_uuid='a',
                state='deleting',
                method='reboot',
            ),
            nova_exception.UnexpectedTaskStateError(
                instance_uuid='a', expected='None', actual='deleting'
            ),
        ):
            self.calls.clear()
            self.refused = error
            self.assertTrue(self.attempt())
            self.assertEqual([STOPPED], self.calls)

    def test_no_database(self):
        self.lookup.side_effect = OSError
        self.assertRaises(OSError, self.attempt)
        self.assertEqual([], self.calls)
