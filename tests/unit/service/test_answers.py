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
"""Answers that are kept."""

import asyncio
import threading

from nova_isolation.service import answers
from tests.unit import base


class AnswersTest(base.TestCase):
    """One answer for many clients, made off the event loop."""

    def setUp(self):
        super().setUp()
        self.answers = answers.Answers(max_bytes=100)
        self.made = []

    async def ask(self, key, source=None, now=1000.0, size=1):
        def make():
            self.made.append((key, threading.current_thread()))
            return {'a': 'x' * size}

        return await self.answers.get(key, source, now, make)

    def keys(self):
        return [key for key, _thread in self.made]

    def test_kept_for_a_second(self):
        async def run():
            for now in (1000.9, 1001.8, 1001.95, 1001.8, 1000.8):
                await self.ask('a', now=now)

        asyncio.run(run())
        # The clock went back by more than a second before the last one.
        self.assertEqual(['a', 'a', 'a'], self.keys())

    def test_of_another_source(self):
        async def run():
            first, second = object(), object()
            for source in (first, first, second):
                await self.ask('a', source)

        asyncio.run(run())
        self.assertEqual(['a', 'a'], self.keys())

    def test_asked_at_once(self):
        async def run():
            return await asyncio.gather(
                *(self.ask(key) for key in ('a', 'a', 'b', 'a'))
            )

        self.assertEqual([b'{"a":"x"}'] * 4, asyncio.run(run()))
        self.assertEqual(['a', 'b'], self.keys())

    def test_kept_answer_does_not_wait(self):
        """A client whose answer is kept has it while another one is made."""
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slow():
            self.assertTrue(go_on.wait(60))
            return {}

        async def run():
            await self.ask('kept')
            making = asyncio.create_task(
                self.answers.get('slow', None, 1000.0, slow)
            )
            await asyncio.sleep(0)
            body = await asyncio.wait_for(self.ask('kept'), 30)
            self.assertFalse(making.done())
            go_on.set()
            await making
            return body

        self.assertEqual(b'{"a":"x"}', asyncio.run(run()))
        self.assertEqual(['kept'], self.keys())

    def test_made_by_another_thread(self):
        asyncio.run(self.ask('a'))
        self.assertIsNot(threading.current_thread(), self.made[0][1])

    def test_failure_is_not_kept(self):
        def fail():
            raise ValueError('no')

        async def run():
            with self.assertRaisesRegex(ValueError, 'no'):
                await self.answers.get('a', None, 1000.0, fail)
            return await self.ask('a')

        self.assertEqual(b'{"a":"x"}', asyncio.run(run()))

    def test_bounded(self):
        async def run():
            for key in ('a', 'b', 'c', 'b', 'a'):
                await self.ask(key, size=40)

        asyncio.run(run())
        # Two have room: 'a' went when 'c' came.
        self.assertEqual(['a', 'b', 'c', 'a'], self.keys())
