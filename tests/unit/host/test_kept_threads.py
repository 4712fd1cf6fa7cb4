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

"""Threads that are kept: used again, ended, and not taken over by a fork."""

import gc
import threading
import time
from unittest import mock
import weakref

from nova_isolation.host import kept_threads
from tests.unit import base
from tests.unit import modes

#: Seconds after which a thread counts as one that hangs.
PATIENCE = 30


class KeptThreadsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.threads = kept_threads.KeptThreads('kept', idle=PATIENCE)

    def run_on(self, function, threads=None):
        """Run a function on a kept thread; returns what it returns."""
        results, ended = [], threading.Event()
        (threads or self.threads).run(
            lambda: results.append(function()), ended.set
        )
        self.assertTrue(ended.wait(PATIENCE))
        return results[0]

    def test_one_after_the_other(self):
        found = {self.run_on(threading.current_thread) for _ in range(50)}
        self.assertEqual(1, len(found))
        self.assertNotIn(threading.current_thread(), found)

    def test_at_once(self):
        """Each has a thread of its own, and these are used again."""
        for _ in range(3):
            self.meet()

    def meet(self):
        meeting = threading.Barrier(4)
        found, ended = [], threading.Semaphore(0)
        for _ in range(4):
            self.threads.run(
                lambda: found.append(meeting.wait(PATIENCE)), ended.release
            )
        for _ in range(4):
            self.assertTrue(ended.acquire(timeout=PATIENCE))
        self.assertEqual([0, 1, 2, 3], sorted(found))

    def test_the_thread_that_has_ended_its_work_gets_more_of_it(self):
        """Whoever is told that work has ended can give more at once."""
        first, ended = [], threading.Event()

        def then():
            self.threads.run(
                lambda: first.append(threading.current_thread()), ended.set
            )

        self.threads.run(
            lambda: first.append(threading.current_thread()), then
        )
        self.assertTrue(ended.wait(PATIENCE))
        self.assertEqual(1, len(set(first)))

    def test_nothing_is_held_meanwhile(self):
        class Thing:
            pass

        thing = Thing()
        known = weakref.ref(thing)
        self.run_on(lambda thing=thing: None)
        del thing
        end = time.monotonic() + PATIENCE
        while known() is not None:
            self.assertLess(time.monotonic(), end)
            gc.collect()
            time.sleep(0.01)

    def test_the_end(self):
        """A thread that has nothing to do ends, and another one begins."""
        threads = kept_threads.KeptThreads('kept', idle=0.01)
        first = self.run_on(threading.current_thread, threads)
        first.join(PATIENCE)
        self.assertFalse(first.is_alive())
        self.assertIsNot(first, self.run_on(threading.current_thread, threads))

    def test_work_that_comes_at_the_end(self):
        """Nothing is lost where a thread is about to end."""
        threads = kept_threads.KeptThreads('kept', idle=0.001)
        for number in range(300):
            self.assertEqual(number, self.run_on(lambda n=number: n, threads))
            time.sleep(0.001)

    def test_a_process_that_was_forked(self):
        for mode in modes.MODES:
            with self.subTest(mode):
                self.assertIn('forked: 5', modes.run(mode, _FORK))

    def test_eventlet_ends_a_thread(self):
        """Neither a Timeout that a call has left nor one of the caller."""
        if 'eventlet' in modes.MODES:
            self.assertIn('5 6 7 8 9', modes.run('eventlet', _TIMEOUTS))

    def test_none_can_be_started(self):
        threads = kept_threads.KeptThreads('kept')
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no')
        ):
            self.assertRaises(RuntimeError, threads.run, int, int)
        self.assertEqual(0, self.run_on(int, threads))


_FORK = """
    import os, sys, threading
    from nova_isolation.host import bounded_calls

    calls = bounded_calls.BoundedCalls(20)
    calls.call('a', int)
    child = os.fork()
    if child == 0:
        print('forked:', calls.call('a', lambda: 5), flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0, status
    assert calls.call('a', lambda: 6) == 6
"""


_TIMEOUTS = """
    import eventlet
    from nova_isolation.host import bounded_calls

    calls = bounded_calls.BoundedCalls(5)
    found = [calls.call('a', lambda: 5)]
    # It comes while the thread waits for more work.
    calls.call('a', lambda: eventlet.Timeout(0.05))
    eventlet.sleep(0.2)
    found += [calls.call('a', lambda: 6), calls.call('b', lambda: 7)]
    other = bounded_calls.BoundedCalls(5)
    try:
        with eventlet.Timeout(0):
            other.call('a', int)
    except eventlet.Timeout:
        pass
    found += [other.call('a', lambda: 8), other.call('b', lambda: 9)]
    print(*found)
"""
