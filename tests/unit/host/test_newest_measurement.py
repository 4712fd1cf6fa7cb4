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

"""The measurement that counts while another one is made, or hangs."""

import asyncio
import threading
import time
from unittest import mock

from nova_isolation.host import measurement
from nova_isolation.host import newest_measurement
from nova_isolation.model import traits
from tests.unit import base


def measured(number):
    """A measurement that can be told from others."""
    return measurement.Measurement(f'{number}', number, {}, {})


class NewestMeasurementTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.go = threading.Event()
        self.go.set()
        self.addCleanup(self.go.set)
        self.count = 0
        self.error = None
        self.newest = newest_measurement.NewestMeasurement(self.measure)

    def measure(self):
        self.count += 1
        number = self.count
        self.go.wait(60)
        if self.error is not None:
            raise self.error
        return measured(number)

    def threads(self):
        return [
            t for t in threading.enumerate()
            if t.name == 'isolation-measurement'
        ]  # fmt: skip

    def test_nothing_before_the_first(self):
        found = self.newest.get()
        self.assertEqual('', found.document)
        self.assertEqual({traits.GUARDED}, found.traits)
        self.assertEqual('0', found.stats['isolation_measured_at'])
        self.assertEqual(0, self.count)

    def test_renewed(self):
        for number in (1, 2, 3):
            self.assertEqual(measured(number), self.newest.renew(30))
            self.assertEqual(measured(number), self.newest.get())

    def test_one_that_hangs(self):
        self.newest.renew(30)
        self.go.clear()
        start = time.monotonic()
        self.assertEqual(measured(1), self.newest.renew(0.2))
        self.assertGreaterEqual(time.monotonic() - start, 0.2)
        # It is not waited for again, and there is one thread.
        start = time.monotonic()
        for _ in range(100):
            self.assertEqual(measured(1), self.newest.renew(0.2))
        self.assertLess(time.monotonic() - start, 0.2)
        self.assertEqual(2, self.count)
        self.assertEqual(1, len(self.threads()))
        self.go.set()
        # The one that hung began before this call.
        self.assertGreater(self.newest.renew(30).time, 2)

    def test_the_first_hangs(self):
        self.go.clear()
        self.assertIs(newest_measurement.NOTHING, self.newest.renew(0.05))

    def test_the_thread_ends(self):
        self.newest.renew(30)
        for thread in self.threads():
            thread.join(30)
        self.assertEqual([], self.threads())

    def test_one_that_fails(self):
        self.newest.renew(30)
        # asyncio's and eventlet's are no Exception.
        for error in (
            RuntimeError('no'),
            SystemExit(1),
            asyncio.CancelledError(),
        ):
            self.error = error
            self.assertEqual(measured(1), self.newest.renew(30))
        self.error = None
        self.assertEqual(measured(5), self.newest.renew(30))

    def test_no_thread_can_be_started(self):
        self.newest.renew(30)
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no')
        ):
            self.assertEqual(measured(1), self.newest.renew(30))
        self.assertEqual(measured(2), self.newest.renew(30))
