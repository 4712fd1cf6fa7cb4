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

"""Work that is tried until it is done."""

import threading
from unittest import mock

from nova_isolation.virt.guard import pending_work
from tests.unit import base

SECONDS = 10


class PendingWorkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.attempts = []
        self.done = True
        self.tried = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()
        self.work = self.make()

    def make(self, interval=0.001, **kwargs):
        work = pending_work.PendingWork(
            'test-work', self.attempt, interval, **kwargs
        )
        self.addCleanup(work.stop)
        self.addCleanup(self.go_on.set)
        return work

    def attempt(self, uuid, item):
        self.attempts.append((uuid, item))
        self.tried.release()
        self.go_on.wait(SECONDS)
        if isinstance(self.done, Exception):
            raise self.done
        return self.done

    def wait(self, count=1):
        for _ in range(count):
            self.assertTrue(self.tried.acquire(timeout=SECONDS))

    def ended(self, thread):
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())

    def settle(self, work):
        thread = work.thread
        if thread is not None:
            self.ended(thread)

    def test_thread_lives_only_while_something_is_pending(self):
        self.assertIsNone(self.work.thread)
        self.go_on.clear()
        self.assertTrue(self.work.add('a', 1))
        thread = self.work.thread
        self.assertTrue(thread.daemon)
        self.assertEqual('test-work', thread.name)
        self.wait()
        self.go_on.set()
        self.ended(thread)
        self.assertIsNone(self.work.thread)
        self.assertEqual(frozenset(), self.work.pending)
        self.assertEqual([('a', 1)], self.attempts)
        # And again.
        self.work.add('b', 2)
        self.assertIsNot(thread, self.work.thread)
        self.wait()

    def test_one_thread_for_all(self):
        self.done = False
        self.work.add('a', 1)
        thread = self.work.thread
        self.work.add('b', 2)
        self.assertIs(thread, self.work.thread)
        self.wait(4)
        self.assertEqual({'a', 'b'}, self.work.pending)

    def test_tried_until_done(self):
        for self.done in (False, OSError('unreachable')):
            self.work.add('a', 1)
            self.wait(3)
            self.assertEqual({'a'}, self.work.pending)
            thread = self.work.thread
            self.done = True
            self.ended(thread)
            self.assertEqual(frozenset(), self.work.pending)

    def test_added_again_while_it_is_tried(self):
        self.go_on.clear()
        self.work.add('a', 1)
        self.wait()
        self.work.add('a', 2)
        self.go_on.set()
        self.wait()
        self.assertEqual([('a', 1), ('a', 2)], self.attempts)

    def test_discarded_while_it_is_tried(self):
        self.done = False
        self.go_on.clear()
        self.work.add('a', 1)
        self.wait()
        self.work.discard('a')
        self.work.discard('unknown')
        thread = self.work.thread
        self.go_on.set()
        self.ended(thread)
        self.assertEqual([('a', 1)], self.attempts)

    def test_limit(self):
        self.done = False
        work = self.make(limit=2)
        self.assertTrue(work.add('a', 1))
        self.assertTrue(work.add('b', 2))
        self.assertFalse(work.add('c', 3))
        self.assertEqual({'a', 'b'}, work.pending)

    def test_thread_that_cannot_start(self):
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no thread')
        ):
            self.assertRaises(RuntimeError, self.work.add, 'a', 1)
        self.assertIsNone(self.work.thread)
        self.work.add('b', 2)
        self.wait(2)
        self.assertEqual({('a', 1), ('b', 2)}, set(self.attempts))

    def test_intervals(self):
        slept = []
        work = self.make(interval=1, longest=5)
        self.done = False

        def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 5:
                self.done = True

        with mock.patch.object(pending_work.time, 'sleep', sleep):
            work.add('a', 1)
            self.settle(work)
        self.assertEqual([1, 2, 4, 5, 5], slept[:5])

    def test_interval_that_stays(self):
        slept = []
        self.done = False

        def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 3:
                self.done = True

        with mock.patch.object(pending_work.time, 'sleep', sleep):
            self.work.add('a', 1)
            self.settle(self.work)
        self.assertEqual({0.001}, set(slept))

    def test_stop(self):
        self.done = False
        self.work.add('a', 1)
        thread = self.work.thread
        self.wait()
        self.work.stop()
        self.assertFalse(thread.is_alive())
        self.assertEqual(frozenset(), self.work.pending)
