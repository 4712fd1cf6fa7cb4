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

"""Guests that arrive: resumed once, or never by us."""

import threading
import time
import types
from unittest import mock

from nova.compute import power_state
from nova.compute import vm_states
from nova.virt import event as virtevent
from nova.virt.libvirt import guest as libvirt_guest

from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.roads import arrivals
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.roads import expected_guest
from tests.unit import base
from tests.unit import fakes as unit_fakes
from tests.unit.virt import fakes

UUID = unit_fakes.UUID
COPIED = hypervisor.Arrival('7 99', complete=False)
HERE = hypervisor.Arrival('7 99', complete=True)
STARTED = virtevent.EVENT_LIFECYCLE_STARTED
PAUSED = virtevent.EVENT_LIFECYCLE_PAUSED
RESUMED = virtevent.EVENT_LIFECYCLE_RESUMED

#: Seconds that a test waits for a thread.
PATIENCE = 30.0


class Domain:
    """libvirt's domain.

    :ivar calls: what was done to it
    :ivar asked: set when libvirt is asked to resume it
    :ivar answer: libvirt has resumed it when this is set
    """

    def __init__(self):
        self.calls = []
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.answer.set()

    def UUIDString(self):
        return UUID

    def resume(self):
        self.asked.set()
        assert self.answer.wait(PATIENCE)
        self.calls.append('resume')

    def suspend(self):
        self.calls.append('suspend')


class Hypervisor(fakes.Hypervisor):
    """Shows how far the guest has come.

    :ivar found: what :meth:`arrival` returns
    :ivar examined: how often the guest was looked at
    :ivar looked: released for each look
    :ivar hold: what is waited for, before a look is over
    """

    def __init__(self, found):
        super().__init__()
        self.found = found
        self.looked = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.hold = self.hold_arrival = None

    def guest(self, handle, shared=None):
        self.looked.release()
        if self.hold is not None:
            assert self.hold.wait(PATIENCE)
        return unit_fakes.Guest(uuid=UUID, **self.options)

    def arrival(self, handle):
        self.asked.release()
        if self.hold_arrival is not None:
            assert self.hold_arrival.wait(PATIENCE)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def has_arrived(self, handle):
        found = self.arrival(handle)
        return found is not None and found.complete


class TestCase(base.TestCase):
    #: Seconds between two questions whether the guest is here: longer than a
    #: test, so that the events alone count.
    ASK = 600.0

    def setUp(self):
        super().setUp()
        patch = mock.patch.object(expected_guest, '_ASK', self.ASK)
        patch.start()
        self.addCleanup(patch.stop)
        self.make()

    def make(self):
        """A host to which a guest is about to be sent."""
        self.guard = fakes.make(resume_at_arrival=True)
        self.guard.hypervisor = self.stack = Hypervisor(COPIED)
        self.domain = Domain()
        self.host = mock.Mock()
        self.host.get_guest.side_effect = self.get_guest
        self.request = fakes.request()
        self.instance = types.SimpleNamespace(
            uuid=UUID,
            vm_state=vm_states.ACTIVE,
            power_state=power_state.RUNNING,
        )
        self.arrivals = arrivals.Arrivals(self.guard, self.host)

    def get_guest(self, instance):
        return choke_points.GuardedGuest.take(
            libvirt_guest.Guest(self.domain), self.guard, lambda: self.request
        )

    def expect(self):
        """The guest is expected; returns what does it."""
        self.arrivals.expect(self.instance, self.request)
        return self.arrivals._expected.get(UUID)

    def event(self, transition, uuid=UUID):
        self.arrivals.handle(virtevent.LifecycleEvent(uuid, transition))

    def wait(self, event):
        self.assertTrue(
            event.acquire(timeout=PATIENCE)
            if isinstance(event, threading.Semaphore)
            else event.wait(PATIENCE)
        )

    def copied(self):
        """The guest is expected and verified while it is copied."""
        expected = self.expect()
        self.event(STARTED)
        self.wait(self.stack.looked)
        return expected

    def arrived(self):
        """The guest was copied, and has arrived."""
        expected = self.copied()
        self.stack.found = HERE
        self.event(PAUSED)
        return expected

    def join(self, expected):
        expected._thread.join(PATIENCE)
        self.assertFalse(expected._thread.is_alive())

    def assertLeft(self, expected):
        """The guest is left to Nova's step, now and for ever."""
        self.join(expected)
        self.assertIs(False, self.arrivals.settle(UUID))
        self.assertEqual([], self.domain.calls)


class ExpectedGuestTest(TestCase):
    def test_resumed_once(self):
        expected = self.arrived()
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)
        # libvirt tells that too, and somebody pauses the guest.
        for event in (RESUMED, PAUSED, STARTED, PAUSED):
            self.event(event)
        self.assertIs(True, self.arrivals.settle(UUID))
        self.assertIs(False, self.arrivals.settle(UUID))
        self.assertEqual(['resume'], self.domain.calls)

    def test_arrives_before_it_is_verified(self):
        self.stack.hold = threading.Event()
        expected = self.arrived()
        self.stack.hold.set()
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)

    def test_refused_while_it_is_copied(self):
        self.stack.options['seccomp'] = 0
        expected = self.arrived()
        # Later it is as asked, which is Nova's step's to find.
        self.join(expected)
        self.stack.options.clear()
        self.event(PAUSED)
        self.assertLeft(expected)

    def test_refused_at_arrival(self):
        expected = self.copied()
        self.stack.options['seccomp'] = 0
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)

    def test_not_as_expected(self):
        for found in (
            None,
            COPIED,
            hypervisor.Arrival('8 99', complete=True),
            OSError('gone'),
        ):
            with self.subTest(found=found):
                self.stack.found = COPIED
                expected = self.copied()
                # Otherwise it would be what is there from the beginning.
                self.wait(self.stack.asked)
                self.stack.found = found
                self.event(PAUSED)
                self.assertLeft(expected)

    def test_not_about_to_arrive(self):
        for found in (None, HERE, ConnectionError('libvirt is away')):
            with self.subTest(found=found):
                self.stack.found = found
                expected = self.expect()
                self.event(STARTED)
                self.join(expected)
                self.stack.found = HERE
                self.event(PAUSED)
                self.assertLeft(expected)

    def test_arrival_without_a_beginning(self):
        self.stack.found = HERE
        self.expect()
        self.event(PAUSED)
        self.assertIs(False, self.arrivals.settle(UUID))
        self.assertEqual([], self.domain.calls)

    def test_audit_mode_since(self):
        expected = self.copied()
        self.guard.options.mode = 'audit'
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)

    def test_resumed_and_paused_by_somebody_else(self):
        expected = self.copied()
        self.stack.found = HERE
        self.event(RESUMED)
        self.event(PAUSED)
        self.assertLeft(expected)

    def test_takes_too_long(self):
        expected = self.expect()
        expected._until = 0
        self.event(STARTED)
        self.assertIsNone(expected._thread)
        with mock.patch.object(expected_guest, '_ARRIVES_WITHIN', 0.05):
            expected = self.copied()
        self.join(expected)
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)


class NoEventTest(TestCase):
    """The event of the arrival is lost, or comes late."""

    ASK = 0.01

    def setUp(self):
        super().setUp()
        # Meanwhile it is not verified again.
        patch = mock.patch.object(expected_guest, '_LEAST', PATIENCE)
        patch.start()
        self.addCleanup(patch.stop)

    def asked(self):
        """It was asked for some times whether the guest is here."""
        for _ in range(5):
            self.wait(self.stack.asked)

    def test_resumed(self):
        expected = self.copied()
        self.asked()
        self.assertEqual([], self.domain.calls)
        self.stack.found = HERE
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)
        # The late event changes nothing.
        self.event(PAUSED)
        self.assertIs(True, self.arrivals.settle(UUID))
        self.assertEqual(['resume'], self.domain.calls)

    def test_refused_at_arrival(self):
        expected = self.copied()
        self.asked()
        self.stack.options['seccomp'] = 0
        self.stack.found = HERE
        self.assertLeft(expected)

    def test_no_answer_meanwhile(self):
        expected = self.copied()
        for found in (OSError('libvirt is away'), None):
            self.stack.found = found
            self.asked()
        self.stack.found = HERE
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)

    def test_ended_meanwhile(self):
        expected = self.copied()
        self.asked()
        self.arrivals.forget(UUID)
        self.assertLeft(expected)

    def test_verified_again_meanwhile(self):
        with mock.patch.object(expected_guest, '_LEAST', 0.05):
            expected = self.copied()
            for _ in range(3):
                self.wait(self.stack.looked)
        self.arrivals.forget(UUID)
        self.assertLeft(expected)


class FactsTest(TestCase):
    """On which facts the guest is verified when it has arrived."""

    def setUp(self):
        super().setUp()
        self.guard.host.measure = mock.Mock(
            side_effect=self.guard.host.measure
        )

    def test_measured_while_it_is_copied_and_at_its_arrival(self):
        expected = self.copied()
        self.assertEqual(1, self.guard.host.measure.call_count)
        self.stack.found = HERE
        self.event(PAUSED)
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)
        self.assertEqual(2, self.guard.host.measure.call_count)

    def test_only_what_its_flavor_asks_for_is_measured(self):
        asked = self.guard.host._host.read = mock.Mock(
            side_effect=OSError('slow')
        )
        expected = self.copied()
        self.stack.found = HERE
        self.event(PAUSED)
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)
        # Labels and certificates are files of the host.
        asked.assert_not_called()
        self.guard.host.measure()
        asked.assert_called()

    def test_the_host_changes_before_its_arrival(self):
        expected = self.copied()
        self.guard.host._host._emulator = fakes.host(emulator=None)._emulator
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)

    def test_guests_may_have_started_since(self):
        shared = self.stack.shared = mock.Mock(side_effect=['early', 'late'])
        guest = self.stack.guest = mock.Mock(side_effect=self.stack.guest)
        expected = self.arrived()
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)
        self.assertEqual(
            [mock.call(), mock.call('early')], shared.call_args_list
        )
        self.assertEqual(
            ['early', 'late'], [call.args[1] for call in guest.call_args_list]
        )

    def test_looks_again_while_it_is_copied(self):
        with (
            mock.patch.object(expected_guest, '_SHARE', 0),
            mock.patch.object(expected_guest, '_LEAST', 0.01),
        ):
            expected = self.copied()
            for _ in range(3):
                self.wait(self.stack.looked)
            self.stack.options['seccomp'] = 0
            self.join(expected)
        self.stack.options.clear()
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)


class CloseTest(TestCase):
    """Whoever ends it knows whether the guest is resumed."""

    def test_before_arrival(self):
        expected = self.copied()
        self.assertIs(False, self.arrivals.settle(UUID))
        self.stack.found = HERE
        expected.arrive()
        self.assertLeft(expected)

    def test_late_worker(self):
        # Nova's step comes while the guest is verified, and refuses it.
        self.stack.hold = threading.Event()
        self.stack.hold.set()
        expected = self.copied()
        self.wait(self.stack.asked)
        self.stack.hold.clear()
        self.stack.found = HERE
        self.event(PAUSED)
        self.wait(self.stack.looked)
        self.assertIs(False, self.arrivals.settle(UUID))
        self.stack.hold.set()
        self.assertLeft(expected)

    def test_resume_under_way(self):
        self.domain.answer.clear()
        expected = self.arrived()
        self.wait(self.domain.asked)
        threading.Timer(0.2, self.domain.answer.set).start()
        self.assertIs(True, self.arrivals.settle(UUID))
        self.assertEqual(['resume'], self.domain.calls)
        self.join(expected)

    def test_resume_hangs(self):
        self.domain.answer.clear()
        expected = self.arrived()
        self.wait(self.domain.asked)
        with mock.patch.object(expected_guest, '_RESUME', 0.05):
            self.assertRaises(TimeoutError, self.arrivals.settle, UUID)
        self.domain.answer.set()
        self.join(expected)
        self.assertEqual(['resume', 'suspend'], self.domain.calls)
        self.assertIs(False, expected.close())

    def stall(self, name):
        """Let whoever decides something hesitate while deciding it.

        :param name: what is decided
        """

        def decide(expected, attribute, value):
            if getattr(value, 'name', '') == name:
                deciding.set()
                time.sleep(0.3)
            object.__setattr__(expected, attribute, value)

        deciding = threading.Event()
        patch = mock.patch.object(
            expected_guest.ExpectedGuest, '__setattr__', decide, create=True
        )
        patch.start()
        self.addCleanup(patch.stop)
        return deciding

    def test_resume_ends_in_the_last_moment(self):
        # Whoever waits for it gives up while the worker says that it is done.
        self.domain.answer.clear()
        deciding = self.stall('RESUMED')
        expected = self.arrived()
        self.wait(self.domain.asked)
        self.domain.answer.set()
        self.wait(deciding)
        with mock.patch.object(expected_guest, '_RESUME', 0.05):
            self.assertIs(True, self.arrivals.settle(UUID))
        self.join(expected)
        self.assertEqual(['resume'], self.domain.calls)

    def test_resume_ends_when_it_is_given_up(self):
        # The worker has done it while whoever waits for it says that it gives
        # up.
        self.domain.answer.clear()
        deciding = self.stall('LEFT')
        expected = self.arrived()
        self.wait(self.domain.asked)
        answer = threading.Thread(
            target=lambda: (deciding.wait(PATIENCE), self.domain.answer.set())
        )
        answer.start()
        with mock.patch.object(expected_guest, '_RESUME', 0.05):
            self.assertRaises(TimeoutError, self.arrivals.settle, UUID)
        answer.join(PATIENCE)
        self.join(expected)
        self.assertEqual(['resume', 'suspend'], self.domain.calls)

    def test_libvirt_hangs_before_the_resume(self):
        expected = self.copied()
        self.wait(self.stack.asked)
        self.stack.hold_arrival = threading.Event()
        self.stack.found = HERE
        self.event(PAUSED)
        self.wait(self.stack.asked)
        # Nova's step need not wait: nothing is resumed any more.
        self.assertIs(False, self.arrivals.settle(UUID))
        self.assertTrue(expected._thread.is_alive())
        self.stack.hold_arrival.set()
        self.join(expected)
        self.assertEqual([], self.domain.calls)

    def test_resume_fails(self):
        self.domain.resume = mock.Mock(side_effect=OSError('libvirt'))
        expected = self.arrived()
        self.assertLeft(expected)


class ArrivalsTest(TestCase):
    def test_not_expected(self):
        for change in (
            lambda: setattr(self.guard.options, 'mode', 'audit'),
            lambda: setattr(self.guard.options, 'resume_at_arrival', False),
            lambda: setattr(self.instance, 'vm_state', vm_states.PAUSED),
            lambda: setattr(self.instance, 'power_state', power_state.PAUSED),
            lambda: setattr(
                self, 'request', guest_request.GuestRequest(UUID, {})
            ),
        ):
            self.make()
            # The one of an earlier migration does not count either.
            before = self.expect()
            self.assertIsNotNone(before)
            change()
            self.assertIsNone(self.expect())
            self.assertTrue(before._is_over)

    def test_second_migration(self):
        first = self.copied()
        second = self.copied()
        self.join(first)
        self.stack.found = HERE
        first.arrive()
        self.assertEqual([], self.domain.calls)
        self.event(PAUSED)
        self.join(second)
        self.assertEqual(['resume'], self.domain.calls)
        self.assertIs(True, self.arrivals.settle(UUID))

    def test_rolled_back(self):
        expected = self.copied()
        self.arrivals.forget(UUID)
        self.stack.found = HERE
        self.event(PAUSED)
        self.assertLeft(expected)
        self.arrivals.forget(UUID)

    def test_the_service_ends(self):
        expected = self.copied()
        self.arrivals.stop()
        self.stack.found = HERE
        expected.arrive()
        self.assertLeft(expected)
        self.assertIs(False, self.arrivals.settle(UUID))

    def test_expired_are_dropped(self):
        expected = self.expect()
        expected._until = 0
        other = types.SimpleNamespace(**vars(self.instance) | {'uuid': 'b'})
        self.arrivals.expect(other, fakes.request('b'))
        self.assertEqual({'b'}, set(self.arrivals._expected))

    def test_events_of_others(self):
        expected = self.copied()
        self.event(PAUSED, uuid='b')
        self.event(virtevent.EVENT_LIFECYCLE_STOPPED)
        self.arrivals.handle(object())
        self.assertFalse(expected._moved.is_set())
        self.arrivals.forget(UUID)
        self.join(expected)

    def test_no_thread(self):
        self.expect()
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError
        ):
            self.event(STARTED)
        self.assertEqual({}, self.arrivals._expected)
        self.assertIs(False, self.arrivals.settle(UUID))
