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

"""Outcomes reach all sinks, whatever one of them does."""

import threading
from unittest import mock

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from tests.unit import base
from tests.unit import fakes as unit_fakes
from tests.unit.virt import fakes


def made(
    result=outcome.Result.ACCEPTED,
    stage=outcome.Stage.VERIFY,
    uuid=unit_fakes.UUID,
    **kwargs,
):
    return outcome.Outcome(
        request=fakes.request(uuid), stage=stage, result=result, **kwargs
    )


class ReporterTest(base.TestCase):
    def report(self, *sinks):
        result = made()
        sink.Reporter(sinks).report(result)
        return result

    def test_in_order(self):
        calls = []
        sinks = [fakes.Sink(), fakes.Sink()]
        for number, one in enumerate(sinks):
            one.report = lambda result, number=number: calls.append(number)
        self.report(*sinks)
        self.assertEqual([0, 1], calls)

    def test_only_what_a_sink_takes(self):
        refused = fakes.Sink(only={outcome.Result.REFUSED})
        every = fakes.Sink()
        result = self.report(refused, every)
        self.assertEqual([], refused.outcomes)
        self.assertEqual([result], every.outcomes)

    def test_one_that_fails_does_not_keep_the_others_from_it(self):
        for method in ('takes', 'title', 'report'):
            for error in (RuntimeError('no'), SystemExit(1)):
                broken, other = fakes.Sink(), fakes.Sink()
                with (
                    mock.patch.object(broken, method, side_effect=error),
                    mock.patch.object(sink, 'LOG') as log,
                ):
                    result = self.report(broken, other)
                self.assertEqual([result], other.outcomes)
                (call,) = log.warning.mock_calls
                text, arguments = call.args
                self.assertEqual(
                    'Could not record test of the guest (Sink)',
                    text % arguments,
                )
                self.assertIs(error, call.kwargs['exc_info'])
                self.assertEqual(result.uuid, call.kwargs['instance_uuid'])

    def test_what_ends_a_thread_is_not_held_back(self):
        broken = fakes.Sink(error=KeyboardInterrupt())
        self.assertRaises(KeyboardInterrupt, self.report, broken)


class BeginTest(base.TestCase):
    """Sinks that can be slow, beside what else is to be done."""

    def setUp(self):
        super().setUp()
        self.asked, self.answers = threading.Event(), threading.Event()
        self.addCleanup(self.answers.set)
        self.quick = fakes.Sink()
        self.slow, self.slower = (
            fakes.Sink(needs)
            for needs in (sink.Needs.TIME, sink.Needs.DATABASE)
        )
        report = self.slow.report

        def answer(result):
            self.asked.set()
            self.answers.wait(60)
            report(result)

        self.slow.report = answer
        self.reporter = sink.Reporter([self.slow, self.quick, self.slower])

    def test_only_a_quick_one_is_waited_for(self):
        result = made()
        reporting = self.reporter.begin(result)
        self.assertTrue(self.asked.wait(60))
        self.assertEqual([result], self.quick.outcomes)
        self.assertFalse(reporting.wait(0.01))
        self.assertEqual([], self.slow.outcomes + self.slower.outcomes)
        self.answers.set()
        self.assertTrue(reporting.wait(60))
        self.assertEqual([result], self.slow.outcomes)
        self.assertEqual([result], self.slower.outcomes)

    def test_nothing_slow(self):
        reporting = sink.Reporter([self.quick]).begin(made())
        self.assertTrue(reporting.wait(0))

    def test_only_what_a_sink_takes(self):
        self.slow.only = self.slower.only = {outcome.Result.REFUSED}
        self.assertTrue(self.reporter.begin(made()).wait(0))

    def test_one_that_fails_ends_it(self):
        self.answers.set()
        self.slow.error = SystemExit(1)
        self.assertTrue(self.reporter.begin(made()).wait(60))
        self.assertEqual(1, len(self.slower.outcomes))

    def test_no_more_threads(self):
        self.answers.set()
        with mock.patch.object(
            threading.Thread, 'start', side_effect=RuntimeError('no')
        ):
            self.assertTrue(self.reporter.begin(made()).wait(0))
        self.assertEqual(1, len(self.slower.outcomes))

    def test_outcomes_of_a_guest_stay_in_order(self):
        first, second, third, other = (
            made(),
            made(),
            made(),
            made(uuid='other'),
        )
        self.reporter.begin(first)
        self.assertTrue(self.asked.wait(60))
        reporting = self.reporter.begin(second)
        self.assertFalse(reporting.wait(0.05))
        threading.Timer(0.05, self.answers.set).start()
        self.reporter.report(third)
        self.assertEqual([first, second, third], self.slower.outcomes)
        self.assertTrue(self.reporter.begin(other).wait(60))
        # Nothing of what has ended is kept.
        self.assertEqual(['other'], [*self.reporter._begun])

    def test_a_guest_does_not_wait_for_another_one(self):
        self.reporter.begin(made())
        self.assertTrue(self.asked.wait(60))
        self.slow.report = self.slow.outcomes.append
        self.assertTrue(self.reporter.begin(made(uuid='other')).wait(60))

    def test_an_outcome_that_is_not_reported_is_not_waited_for_long(self):
        with mock.patch.object(sink, '_ORDER', 0.05):
            self.reporter.begin(made())
            self.assertTrue(self.asked.wait(60))
            self.slow.report = self.slow.outcomes.append
            self.reporter.report(made())
        self.assertEqual(1, len(self.slow.outcomes))
