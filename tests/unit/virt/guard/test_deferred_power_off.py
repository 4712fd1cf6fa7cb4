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

"""Guests that could not be powered off yet."""

from unittest import mock

from oslo_concurrency import lockutils

from nova_isolation.virt.guard import deferred_power_off
from tests.unit import base

UUID = '11111111-2222-3333-4444-555555555555'


class DeferredPowerOffTest(base.TestCase):
    def setUp(self):
        super().setUp()
        patch = mock.patch.object(deferred_power_off, '_INTERVAL', 0.001)
        patch.start()
        self.addCleanup(patch.stop)
        self.results = []
        self.calls = []
        self.deferred = deferred_power_off.DeferredPowerOff(self.power_off)
        self.addCleanup(self.deferred.work.stop)

    def power_off(self, uuid):
        self.calls.append(uuid)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def settle(self):
        thread = self.deferred.work.thread
        if thread is not None:
            thread.join(10)
            self.assertFalse(thread.is_alive())

    def test_until_it_is_done(self):
        for last in (True, False):
            self.calls.clear()
            self.results = [OSError('unreachable'), OSError('still'), last]
            self.deferred.add(UUID)
            self.settle()
            self.assertEqual([UUID] * 3, self.calls)
            self.assertEqual(frozenset(), self.deferred.work.pending)

    def test_while_nova_works_on_the_guest(self):
        self.results = [True]
        with lockutils.lock(UUID, 'nova-'):
            self.deferred.add(UUID)
            self.assertRaises(
                lockutils.AcquireLockFailedException,
                self.deferred._attempt,
                UUID,
                None,
            )
            self.assertEqual([], self.calls)
        self.settle()
        self.assertEqual([UUID], self.calls)

    def test_started_anew(self):
        # The attempt had begun when Nova started the guest.
        self.assertTrue(self.deferred._attempt(UUID, None))
        self.assertEqual([], self.calls)
