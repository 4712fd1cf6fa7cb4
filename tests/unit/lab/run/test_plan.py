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

"""A plan runs its steps in order, and ends at the first failure."""

from collections.abc import Callable
from pathlib import Path
import tempfile
import threading
import unittest

from lab.run import errors
from lab.run import layout
from lab.run import plan as plans
from lab.run import progress
from lab.run import supervisor as supervisors

_SECONDS = 20


class _Progress(progress.Progress):
    """Keeps the lines that it would print."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class PlanTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        state = tempfile.TemporaryDirectory()
        self.addCleanup(state.cleanup)
        self.supervisor = supervisors.Supervisor(
            layout.Layout(Path(state.name))
        )
        self.progress = _Progress()
        self.plan = plans.Plan(self.supervisor, self.progress)
        self.ran: list[str] = []

    def add(self, name: str, *after: str) -> None:
        """Add a step that notes its name when it runs."""
        self.plan.add(name, lambda: self.ran.append(name), after)

    def failure(self) -> str:
        """The message with which the plan fails."""
        with self.assertRaises(errors.LabError) as caught:
            self.plan.run()
        return str(caught.exception)

    def test_a_step_runs_after_all_that_it_comes_after(self) -> None:
        self.add('database')
        self.add('left', 'database')
        self.add('right', 'database')
        self.add('last', 'left', 'right')
        self.plan.run()
        self.assertEqual('database', self.ran[0])
        self.assertEqual({'left', 'right'}, set(self.ran[1:3]))
        self.assertEqual('last', self.ran[3])
        self.assertEqual(4, len(self.ran))

    def test_a_slow_step_holds_back_only_what_comes_after_it(self) -> None:
        quick = threading.Event()
        self.plan.add('slow', lambda: self.meet(quick.wait))
        self.add('after-slow', 'slow')
        self.plan.add('quick', lambda: None)
        # "slow" ends only once this step, which is second on another path,
        # has run.
        self.plan.add('after-quick', quick.set, ['quick'])
        self.plan.run()
        self.assertEqual(['after-slow'], self.ran)

    def meet(self, wait: Callable[[float], object]) -> None:
        self.assertTrue(wait(_SECONDS), 'the other step has not run')
        self.assertEqual([], self.ran)

    def test_no_steps(self) -> None:
        self.plan.run()

    def test_each_step_is_reported(self) -> None:
        self.add('one')
        self.plan.run()
        (line,) = self.progress.lines
        self.assertRegex(line, r'^one: \d+\.\d s$')

    def test_a_failure_names_the_step_and_the_reason(self) -> None:
        self.add('before')
        self.plan.add('broken', self.fail_on_purpose, ['before'])
        self.add('never', 'broken')
        message = self.failure()
        self.assertIn('broken', message)
        self.assertIn('no such socket', message)
        self.assertEqual(['before'], self.ran)
        self.assertRegex(self.progress.lines[-1], r'^broken: FAILED after ')

    @staticmethod
    def fail_on_purpose() -> None:
        raise errors.LabError('no such socket')

    def test_an_unexpected_error_names_the_step_and_its_kind(self) -> None:
        self.plan.add('broken', lambda: {}['missing'])
        message = self.failure()
        self.assertIn('broken', message)
        self.assertIn("KeyError: 'missing'", message)

    def test_a_failure_ends_the_waits_of_the_other_steps(self) -> None:
        waiting = threading.Event()

        def wait() -> None:
            waiting.set()
            self.supervisor.wait('what never comes', lambda: None, 600)

        def fail() -> None:
            waiting.wait(_SECONDS)
            self.fail_on_purpose()

        self.plan.add('waits', wait)
        self.plan.add('fails', fail)
        self.add('never', 'waits')
        self.assertIn('no such socket', self.failure())
        self.assertEqual([], self.ran)

    def test_after_a_failure_nothing_is_started(self) -> None:
        self.plan.add('fails', self.fail_on_purpose)
        self.failure()
        with self.assertRaisesRegex(errors.LabError, 'interrupted'):
            self.supervisor.start('late', ['true'])

    def test_a_step_after_an_unknown_one(self) -> None:
        with self.assertRaisesRegex(ValueError, 'unknown'):
            self.add('one', 'two')

    def test_two_steps_of_one_name(self) -> None:
        self.add('one')
        with self.assertRaisesRegex(ValueError, 'one'):
            self.add('one')
