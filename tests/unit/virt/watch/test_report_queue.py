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

"""Outcomes wait until their sinks can take them."""

from unittest import mock

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.watch import report_queue
from tests.unit import base
from tests.unit.virt import fakes


def made(result=outcome.Result.VIOLATED):
    return outcome.Outcome(
        request=fakes.request(), stage=outcome.Stage.REVERIFY, result=result
    )


class ReportQueueTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.at_once = fakes.Sink(sink.Needs.NOTHING)
        self.later = fakes.Sink(sink.Needs.TIME)
        self.database = fakes.Sink(sink.Needs.DATABASE)
        self.sinks = [self.at_once, self.later, self.database]
        self.queue = report_queue.ReportQueue(sink.Reporter(self.sinks))

    def outcomes(self):
        return [one.outcomes for one in self.sinks]

    def test_when(self):
        first, second = made(), made()
        self.queue.add(first)
        self.assertEqual([[first], [], []], self.outcomes())
        self.queue.deliver(database=False)
        self.assertEqual([[first], [first], []], self.outcomes())
        self.queue.add(second)
        self.queue.deliver(database=True)
        both = [first, second]
        self.assertEqual([both, both, both], self.outcomes())
        self.queue.deliver(database=True)
        self.assertEqual([both, both, both], self.outcomes())

    def test_what_waits_is_bounded(self):
        with mock.patch.object(report_queue, '_MAX_WAITING', 3):
            queue = report_queue.ReportQueue(sink.Reporter(self.sinks))
        results = [made() for _ in range(5)]
        for one in results:
            queue.add(one)
        queue.deliver(database=True)
        self.assertEqual([results, results[2:], results[2:]], self.outcomes())

    def test_what_no_sink_takes_does_not_wait(self):
        """A guest that is as asked must not drive out one that is not."""
        self.database.only = {outcome.Result.VIOLATED}
        with mock.patch.object(report_queue, '_MAX_WAITING', 1):
            queue = report_queue.ReportQueue(sink.Reporter(self.sinks))
        violated = made()
        queue.add(violated)
        queue.add(made(outcome.Result.ACCEPTED))
        queue.deliver(database=True)
        self.assertEqual([violated], self.database.outcomes)

    def test_one_that_fails(self):
        self.later.error = RuntimeError('no message queue')
        results = [made(), made()]
        for one in results:
            self.queue.add(one)
        self.queue.deliver(database=True)
        self.assertEqual(results, self.database.outcomes)
        self.assertEqual(results, self.later.outcomes)
