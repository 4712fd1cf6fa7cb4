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

"""The thread that verifies the running guests."""

import gc
import logging
import threading
import time
import types
from unittest import mock

from nova.virt import event

from nova_isolation.virt.watch import watch_thread
from tests.unit import base

SECONDS = 10


class Work:
    """Stands for a verification of the guests."""

    def __init__(self):
        self.runs = []
        self.in_turn = []
        self.ran = threading.Semaphore(0)
        self.error = None
        self.hang = threading.Event()
        self.hang.set()

    def run(self, only, in_turn):
        self.in_turn.append(in_turn)
        self.runs.append(only)
        self.ran.release()
        self.hang.wait(SECONDS)
        if self.error:
            raise self.error

    def wait(self):
        return self.ran.acquire(timeout=SECONDS)


class WatchTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.options = types.SimpleNamespace(verify_interval=60)
        for name, value in (
            ('_PAUSE', 0),
            ('_PATIENCE', SECONDS),
            ('_SETTLE', 0.2),
        ):
            patch = mock.patch.object(watch_thread, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.work = Work()
        self.watch = watch_thread.WatchThread(self.work, self.options)
        self.addCleanup(self.watch.stop)

    def interval(self, seconds):
        self.options.verify_interval = seconds

    def test_at_once_and_again(self):
        self.interval(1)
        self.watch.start()
        self.assertTrue(self.work.wait())
        self.assertTrue(self.work.wait())
        self.assertEqual([None, None], self.work.runs)

    def test_off(self):
        self.interval(0)
        self.watch.start()
        self.watch.wake('a')
        self.assertIsNone(self.watch._thread)
        self.assertEqual([], self.work.runs)

    def test_one_thread(self):
        self.watch.start()
        thread = self.watch._thread
        self.watch.start()
        self.assertIs(thread, self.watch._thread)

    def test_woken(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        self.watch.wake('a')
        self.assertTrue(self.work.wait())
        self.assertEqual([None, {'a'}], self.work.runs)

    def test_two_events_of_one_start(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        self.watch.wake('a')
        # The thread has seen it, and waits for more.
        time.sleep(0.05)
        self.watch.wake('a')
        self.watch.wake('b')
        self.assertTrue(self.work.wait())
        self.watch.stop()
        self.assertEqual([None, {'a', 'b'}], self.work.runs)

    def test_hurried_after_an_event(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        with mock.patch.object(watch_thread, '_SETTLE', 10 * SECONDS):
            self.watch.wake('a')
            time.sleep(0.05)
            self.watch.hurry()
            self.assertTrue(self.work.wait())
        self.assertEqual([None, None], self.work.runs)

    def test_stopped_after_an_event(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        with mock.patch.object(watch_thread, '_SETTLE', 10 * SECONDS):
            self.watch.wake('a')
            time.sleep(0.05)
            self.watch.stop()
        self.assertFalse(self.watch._thread.is_alive())
        self.assertEqual([None], self.work.runs)

    def test_its_turn_comes_after_an_event(self):
        self.interval(1)
        with mock.patch.object(watch_thread, '_SETTLE', 10 * SECONDS):
            self.watch.start()
            self.work.wait()
            self.watch.wake('a')
            self.assertTrue(self.work.wait())
        self.assertEqual([None, None], self.work.runs)

    def test_hurried(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        self.watch.wake('a')
        self.watch.hurry()
        self.assertTrue(self.work.wait())
        # If 'a' was verified alone, all guests are verified after that.
        while self.work.runs[-1] is not None:
            self.assertTrue(self.work.wait())
        self.assertIsNone(self.work.runs[-1])
        self.assertEqual([True, False], self.work.in_turn[:2])

    def test_hurried_before_it_is_started(self):
        self.interval(3600)
        self.watch.hurry()
        self.assertEqual([], self.work.runs)
        self.watch.start()
        self.assertTrue(self.work.wait())

    def test_woken_while_it_hangs(self):
        self.interval(3600)
        self.work.hang.clear()
        self.watch.start()
        self.work.wait()
        for _ in range(100):
            self.watch.wake('a')
            self.watch.wake('b')
        self.work.hang.set()
        self.assertTrue(self.work.wait())
        self.watch.stop()
        self.assertEqual([None, {'a', 'b'}], self.work.runs)

    def test_stop(self):
        self.interval(3600)
        self.watch.start()
        self.work.wait()
        self.watch.stop()
        self.assertFalse(self.watch._thread.is_alive())

    def test_stop_while_it_hangs(self):
        self.work.hang.clear()
        self.addCleanup(self.work.hang.set)
        self.watch.start()
        self.work.wait()
        with mock.patch.object(watch_thread, '_PATIENCE', 0.1):
            self.watch.stop()
        self.assertTrue(self.watch._thread.daemon)

    def test_ends_with_its_owner(self):
        self.interval(3600)
        work = Work()
        owner = watch_thread.WatchThread(work, self.options)
        owner.start()
        work.wait()
        thread = owner._thread
        del owner
        gc.collect()
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())

    def test_failures_are_logged_once_in_a_row(self):
        levels = []
        with mock.patch.object(
            watch_thread.LOG,
            'log',
            lambda level, *args, **kwargs: levels.append(level),
        ):
            for error in (OSError, OSError, ValueError, None, ValueError):
                self.work.error = error and error('no')
                self.watch.verify(None, True)
        self.assertEqual(
            [logging.WARNING, logging.DEBUG, logging.WARNING, logging.WARNING],
            levels,
        )

    def test_events(self):
        for transition, expected in (
            (event.EVENT_LIFECYCLE_STARTED, True),
            (event.EVENT_LIFECYCLE_RESUMED, True),
            (event.EVENT_LIFECYCLE_STOPPED, False),
            (event.EVENT_LIFECYCLE_PAUSED, False),
        ):
            found = event.LifecycleEvent('a', transition)
            self.assertEqual(expected, watch_thread.is_start(found))
        self.assertFalse(watch_thread.is_start(event.InstanceEvent('a')))
