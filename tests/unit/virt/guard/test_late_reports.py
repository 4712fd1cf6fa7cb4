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

import threading
from unittest import mock

from nova_isolation.virt.guard import late_reports
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from tests.unit import base
from tests.unit.virt import fakes


class SlowSink(fakes.Sink):
    """A sink whose conductor answers when the test says so."""

    def __init__(self):
        super().__init__(sink.Needs.DATABASE)
        self.asked = threading.Event()
        self.answers = threading.Event()

    def report(self, result):
        """See the base class."""
        self.asked.set()
        self.answers.wait(60)
        super().report(result)


def result(number=0):
    """A guest that was accepted."""
    return outcome.Outcome(
        request=fakes.request(f'guest-{number}'),
        stage=outcome.Stage.VERIFY,
        result=outcome.Result.ACCEPTED,
    )


class LateReportsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.slow, self.quick = SlowSink(), fakes.Sink()
        self.addCleanup(self.slow.answers.set)
        self.reports = late_reports.LateReports(
            sink.Reporter([self.quick, self.slow])
        )

    def uuids(self, one):
        return [found.uuid for found in one.outcomes]

    def test_nobody_waits_for_a_slow_sink(self):
        self.reports.add(result())
        self.assertTrue(self.slow.asked.wait(60))
        self.assertEqual(['guest-0'], self.uuids(self.quick))
        self.assertEqual([], self.slow.outcomes)
        self.slow.answers.set()
        self.reports.wait(60)
        self.assertEqual(['guest-0'], self.uuids(self.slow))

    def test_all_are_reported_in_order(self):
        for number in range(5):
            self.reports.add(result(number))
        self.slow.answers.set()
        self.reports.wait(60)
        names = [f'guest-{number}' for number in range(5)]
        self.assertEqual(names, self.uuids(self.slow))

    def test_the_thread_ends_and_begins_again(self):
        self.slow.answers.set()
        for number in range(3):
            self.reports.add(result(number))
            self.reports.wait(60)
            self.assertIsNone(self.reports._thread)
        self.assertEqual(3, len(self.slow.outcomes))

    def test_a_conductor_that_is_away_costs_no_memory_without_end(self):
        self.reports.add(result())
        self.assertTrue(self.slow.asked.wait(60))
        for number in range(1, 1502):
            self.reports.add(result(number))
        self.slow.answers.set()
        self.reports.wait(60)
        found = self.uuids(self.slow)
        self.assertEqual((1001, 'guest-1501'), (len(found), found[-1]))

    def test_no_thread_can_be_started(self):
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no')
        ):
            self.reports.add(result(0))
        self.assertEqual([], self.slow.outcomes)
        self.slow.answers.set()
        self.reports.add(result(1))
        self.reports.wait(60)
        self.assertEqual(['guest-0', 'guest-1'], self.uuids(self.slow))

    def test_waiting_has_an_end(self):
        self.reports.add(result())
        self.reports.wait(0.01)
        self.assertEqual([], self.slow.outcomes)
