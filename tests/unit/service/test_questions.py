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
"""Tests of nova_isolation.service.questions."""

import asyncio
import threading
import time

from nova_isolation.service import questions
from tests.unit import base

_TIMEOUT = 30


class QuestionsTest(base.TestCase):
    """A database that answers when the test lets it."""

    def setUp(self):
        super().setUp()
        self.asked = []
        self.now = 0
        self.goes_on = threading.Event()
        self.addCleanup(self.goes_on.set)

    def ask(self, name):
        """Read now, and answer later."""
        self.asked.append(name)
        read = self.now
        if not self.goes_on.wait(_TIMEOUT):
            raise AssertionError('the test has hung')
        if name == 'fails':
            raise ValueError('of the database')
        if name == 'ends':
            raise SystemExit
        return name, read

    def threads(self):
        return sum(
            thread.name == 'isolation-question'
            for thread in threading.enumerate()
        )

    async def until(self, condition):
        end = time.monotonic() + _TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), end)
            await asyncio.sleep(0.01)

    def test_an_answer_is_asked_for_after_the_request(self):
        asking = questions.Questions(4, _TIMEOUT)

        async def run():
            first = asyncio.create_task(asking.ask(self.ask, 'a'))
            await self.until(lambda: self.asked == ['a'])
            # Now the flavor is changed, and many ask about it.
            self.now = 1
            later = [
                asyncio.create_task(asking.ask(self.ask, 'a'))
                for _ in range(50)
            ]
            await asyncio.sleep(0.05)
            self.goes_on.set()
            return await first, set(await asyncio.gather(*later))

        first, later = asyncio.run(run())
        self.assertEqual(('a', 0), first)
        self.assertEqual({('a', 1)}, later)
        # The fifty have shared one question.
        self.assertEqual(['a', 'a'], self.asked)

    def test_what_hangs_keeps_few_threads(self):
        asking = questions.Questions(2, 0.05)
        before = self.threads()

        async def run():
            for name in 'abcabcabc':
                with self.assertRaisesRegex(TimeoutError, ''):
                    await asking.ask(self.ask, name)
            hanging = self.threads() - before
            waiting = len(asking._next)
            self.goes_on.set()
            await self.until(lambda: self.threads() == before)
            return hanging, waiting, await asking.ask(self.ask, 'c')

        self.assertEqual((2, 0, ('c', 0)), asyncio.run(run()))
        self.assertEqual(['a', 'b', 'c'], self.asked)

    def test_what_hangs_delays_nobody_else(self):
        asking = questions.Questions(2, _TIMEOUT)

        def ask(name):
            return self.ask(name) if name == 'hangs' else name

        async def run():
            hanging = asyncio.create_task(asking.ask(ask, 'hangs'))
            await self.until(lambda: self.asked == ['hangs'])
            found = [await asking.ask(ask, name) for name in 'abc']
            self.assertFalse(hanging.done())
            self.goes_on.set()
            await hanging
            return found

        self.assertEqual(['a', 'b', 'c'], asyncio.run(run()))

    def test_failures(self):
        asking = questions.Questions(1, _TIMEOUT)
        self.goes_on.set()

        async def run():
            for name, kind in (
                ('fails', ValueError),
                # No order to end for the service.
                ('ends', RuntimeError),
            ):
                with self.assertRaisesRegex(kind, ''):
                    await asking.ask(self.ask, name)
            return await asking.ask(self.ask, 'a')

        self.assertEqual(('a', 0), asyncio.run(run()))
