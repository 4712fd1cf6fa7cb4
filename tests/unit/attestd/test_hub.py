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
"""Tests of nova_isolation.attestd.hub."""

import asyncio
import threading

from nova_isolation.attestation import snapshot
from nova_isolation.attestd import hub
from tests.unit import base
from tests.unit.attestd import process

NEWS = process.known(1)
LATER = process.known(2)


class HubTest(base.TestCase):
    """Who waits gets the newest, once."""

    def go(self, scene):
        """Run a scene on a loop of its own."""

        async def run():
            async with asyncio.timeout(process.PATIENCE):
                await scene(hub.Hub())

        asyncio.run(run())

    async def publish(self, pages, *snapshots):
        """As the thread of the source does it."""
        for one in snapshots:
            await asyncio.to_thread(pages.publish, one)
        # What was called on this loop by then is done.
        await asyncio.sleep(0)

    def test_nothing_is_known(self):
        async def scene(pages):
            self.assertIsNone(await pages.newer((), 0.01))

        self.go(scene)

    def test_page_is_the_snapshot(self):
        async def scene(pages):
            await self.publish(pages, LATER)
            page = await pages.newer((), 0)
            self.assertEqual(LATER, snapshot.loads(page.text))

        self.go(scene)

    def test_news_wake_all(self):
        async def scene(pages):
            await self.publish(pages, NEWS)
            first = pages.page
            waiting = [
                asyncio.create_task(pages.newer([first.etag], 60))
                for _ in range(100)
            ]
            await asyncio.sleep(0.05)
            self.assertFalse(any(one.done() for one in waiting))
            await self.publish(pages, LATER)
            found = await asyncio.gather(*waiting)
            # One text for all.
            self.assertEqual({id(pages.page)}, {id(one) for one in found})
            self.assertNotEqual(first.etag, pages.page.etag)

        self.go(scene)

    def test_time_is_over(self):
        async def scene(pages):
            await self.publish(pages, NEWS)
            page = await pages.newer([pages.page.etag], 0.01)
            self.assertIs(pages.page, page)

        self.go(scene)

    def test_nobody_waits_for_what_he_has_not(self):
        async def scene(pages):
            await self.publish(pages, NEWS)
            for known in ((), ('"of-another-1"',)):
                self.assertIs(pages.page, await pages.newer(known, 60))

        self.go(scene)

    def test_the_newest_wins(self):
        async def scene(pages):
            thread = threading.Thread(
                target=lambda: [
                    pages.publish(process.known(number))
                    for number in range(50)
                ]
            )
            thread.start()
            await asyncio.to_thread(thread.join)
            await asyncio.sleep(0)
            self.assertEqual(49, len(snapshot.loads(pages.page.text).verdicts))

        self.go(scene)

    def test_close_sends_all_home(self):
        async def scene(pages):
            await self.publish(pages, NEWS)
            waiting = asyncio.create_task(pages.newer([pages.page.etag], 60))
            await asyncio.sleep(0.01)
            pages.close()
            self.assertIs(pages.page, await waiting)
            # And who comes now.
            self.assertIs(pages.page, await pages.newer([pages.page.etag], 60))

        self.go(scene)

    def test_each_process_has_its_own_tags(self):
        tags = []

        async def scene(pages):
            await self.publish(pages, NEWS)
            tags.append(pages.page.etag)

        self.go(scene)
        self.go(scene)
        self.assertEqual(2, len(set(tags)))
