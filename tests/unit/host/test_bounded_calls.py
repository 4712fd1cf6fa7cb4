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

"""Calls that hang, on a real file that gives no answer."""

import asyncio
import contextlib
import os
import threading
import time
from unittest import mock

import fixtures

from nova_isolation.host import bounded_calls
from nova_isolation.probes import native_thread
from tests.unit import base

#: Seconds that a caller waits.
LIMIT = 0.2


class Hang(fixtures.Fixture):
    """A pipe without a writer: who opens it to read hangs in the kernel.

    :ivar path: the path of the pipe
    """

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(folder, 'pipe')
        os.mkfifo(self.path)
        self.addCleanup(self.end)

    def read(self):
        """Hang until the end, and return a text then.

        It is read as files of the host are, which is on a thread of the
        kernel also under eventlet.
        """
        return native_thread.call(self._read) or 'answer'

    def _read(self):
        with open(self.path) as file:
            return file.read()

    def end(self):
        """End each call that hangs."""
        # There is an error where nobody reads.
        with contextlib.suppress(OSError):
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))


def call_threads():
    """The threads that run calls now."""
    return [t for t in threading.enumerate() if t.name == 'isolation-call']


def wait_for_calls():
    """Wait until no call runs."""
    end = time.monotonic() + 30
    while call_threads():
        assert time.monotonic() < end, call_threads()
        time.sleep(0.01)


class BoundedCallsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.calls = bounded_calls.BoundedCalls(LIMIT)
        self.hang = self.useFixture(Hang())
        self.before = call_threads()

    def own_threads(self):
        """The threads of this test, without those of earlier ones."""
        return [t for t in call_threads() if t not in self.before]

    def time_out(self, key='a'):
        """Ask what hangs; returns the seconds that it took."""
        start = time.monotonic()
        error = self.assertRaises(
            TimeoutError, self.calls.call, key, self.hang.read
        )
        self.assertIn(f'{key}: no answer in {LIMIT} s', str(error))
        return time.monotonic() - start

    def test_result(self):
        self.assertEqual(0, self.calls.call('a', int))
        self.assertIsNone(self.calls.call('a', lambda: None))

    def test_another_thread(self):
        self.assertIsNot(
            threading.current_thread(),
            self.calls.call('a', threading.current_thread),
        )

    def test_a_thread_is_used_again(self):
        self.assertEqual(
            1,
            len({self.calls.call('a', threading.get_ident) for _ in range(5)}),
        )

    def test_a_call_does_not_wait_for_one_that_hangs(self):
        used = self.calls.call('a', threading.get_ident)
        self.time_out()
        self.assertNotEqual(used, self.calls.call('b', threading.get_ident))

    def test_errors_are_those_of_the_call(self):
        for error in (OSError('no'), ValueError('no'), SystemExit(3)):
            raised = self.assertRaises(
                type(error), self.calls.call, 'a', mock.Mock(side_effect=error)
            )
            self.assertIs(error, raised)

    def test_an_order_to_the_other_thread_is_none_to_the_caller(self):
        """Callers expect no such error, and their threads would end."""
        error = asyncio.CancelledError()
        raised = self.assertRaises(
            RuntimeError, self.calls.call, 'a', mock.Mock(side_effect=error)
        )
        self.assertIs(error, raised.__cause__)
        self.assertIn('CancelledError', str(raised))

    def test_one_that_hangs(self):
        self.assertGreaterEqual(self.time_out(), LIMIT)

    def test_threads_do_not_pile_up(self):
        self.time_out()
        # A call that hangs is not waited for again. The times are added up,
        # because a busy machine may delay a single call.
        calls = 20
        self.assertLess(
            sum(self.time_out() for _ in range(calls)), calls * LIMIT
        )
        self.assertEqual(1, len(self.own_threads()))

    def test_others_are_not_touched(self):
        self.time_out()
        self.assertEqual(5, self.calls.call('b', lambda: 5))

    def test_it_answers_again(self):
        self.time_out()
        self.hang.end()
        wait_for_calls()
        self.assertEqual(5, self.calls.call('a', lambda: 5))

    def test_two_callers_take_turns(self):
        calls = bounded_calls.BoundedCalls(30)
        running, most = [], []

        def work():
            running.append(1)
            most.append(len(running))
            time.sleep(0.01)
            running.pop()

        threads = [
            threading.Thread(target=calls.call, args=('a', work))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual([1] * 8, most)

    def test_no_thread_can_be_started(self):
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no')
        ):
            self.assertRaises(RuntimeError, self.calls.call, 'a', int)
        self.assertEqual(0, self.calls.call('a', int))
