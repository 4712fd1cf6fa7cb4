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
"""Tests of nova_isolation.attestd.publisher."""

import asyncio
import threading

from nova_isolation.attestation import snapshot
from nova_isolation.attestd import publisher
from tests.unit import base
from tests.unit.attestd import process

NEWS = process.known(1)
LATER = process.known(2)


class PublisherTest(base.TestCase):
    """Who waits gets the newest, once."""

    def go(self, scene):
        """Run a scene on a loop of its own."""

        async def run():
            await asyncio.wait_for(
                scene(publisher.Publisher()), process.PATIENCE
            )

        asyncio.run(run())

    async def publish(self, pub, *snapshots):
        """As the thread of the source does it."""
        for one in snapshots:
            await asyncio.to_thread(pub.publish, one)
        await self.published(pub, snapshots[-1])

    async def published(self, pub, wanted):
        """Wait until a snapshot is published."""
        while pub.newest is None or wanted != snapshot.loads(pub.newest.text):
            await asyncio.sleep(0.005)

    def test_nothing_is_known(self):
        async def scene(pub):
            self.assertIsNone(await pub.newer((), 0.01))

        self.go(scene)

    def test_publication_is_the_snapshot(self):
        async def scene(pub):
            await self.publish(pub, LATER)
            found = await pub.newer((), 0)
            self.assertEqual(LATER, snapshot.loads(found.text))

        self.go(scene)

    def test_news_wake_all(self):
        async def scene(pub):
            await self.publish(pub, NEWS)
            first = pub.newest
            waiting = [
                asyncio.create_task(pub.newer([first.etag], 60))
                for _ in range(100)
            ]
            await asyncio.sleep(0.05)
            self.assertFalse(any(one.done() for one in waiting))
            await self.publish(pub, LATER)
            found = await asyncio.gather(*waiting)
            # One text for all.
            self.assertEqual({id(pub.newest)}, {id(one) for one in found})
            self.assertNotEqual(first.etag, pub.newest.etag)

        self.go(scene)

    def test_time_is_over(self):
        async def scene(pub):
            await self.publish(pub, NEWS)
            found = await pub.newer([pub.newest.etag], 0.01)
            self.assertIs(pub.newest, found)

        self.go(scene)

    def test_nobody_waits_for_what_he_has_not(self):
        async def scene(pub):
            await self.publish(pub, NEWS)
            for known in ((), ('"of-another-1"',)):
                self.assertIs(pub.newest, await pub.newer(known, 60))

        self.go(scene)

    def test_the_newest_wins(self):
        async def scene(pub):
            thread = threading.Thread(
                target=lambda: [
                    pub.publish(process.known(number, good_at=1.0))
                    for number in range(50)
                ]
            )
            thread.start()
            await asyncio.to_thread(thread.join)
            await self.published(pub, process.known(49, good_at=1.0))
            # A flood of them is not sent to each client.
            self.assertLess(int(pub.newest.etag[1:-1].split('-')[1]), 10)

        self.go(scene)

    def test_close_sends_all_home(self):
        async def scene(pub):
            await self.publish(pub, NEWS)
            waiting = asyncio.create_task(pub.newer([pub.newest.etag], 60))
            await asyncio.sleep(0.01)
            pub.close()
            self.assertIs(pub.newest, await waiting)
            # And who comes now.
            self.assertIs(
                pub.newest,
                await pub.newer([pub.newest.etag], 60),
            )

        self.go(scene)

    def test_each_process_has_its_own_tags(self):
        tags = []

        async def scene(pub):
            await self.publish(pub, NEWS)
            tags.append(pub.newest.etag)

        self.go(scene)
        self.go(scene)
        self.assertEqual(2, len(set(tags)))
