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
"""Tests of nova_isolation.service.picture_keeper."""

import threading
import time

from nova_isolation.service import picture_keeper
from tests.unit import base
from tests.unit.service import fakes

_TIMEOUT = 30


class PictureKeeperTest(base.TestCase):
    """When a picture is answered from."""

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.found = fakes.cloud()
        self.keeper = picture_keeper.PictureKeeper(
            self.read, 20, 120, lambda: self.now
        )

    def read(self):
        """What the databases answer."""
        if isinstance(self.found, Exception):
            raise self.found
        self.now += 5
        return self.found

    def test_age_begins_with_the_reading(self):
        self.keeper.refresh()
        self.assertEqual((self.found, 5), self.keeper.current())
        self.now += 115
        self.assertEqual((self.found, 120), self.keeper.current())
        self.now += 1
        self.refused('121 s ago', 'the reading under way takes too long')

    def refused(self, *words):
        error = self.assertRaises(
            picture_keeper.CloudUnread, self.keeper.current
        )
        for word in words:
            self.assertIn(word, str(error))

    def test_nothing_read_yet(self):
        self.refused('the first reading has not ended yet')
        self.found = RuntimeError('no route to host')
        self.keeper.refresh()
        self.refused('no route to host')

    def test_the_database_goes_away_and_comes_back(self):
        self.keeper.refresh()
        seen, self.found = self.found, RuntimeError('gone away')
        self.keeper.refresh()
        # A short trouble changes no answer.
        self.assertIs(seen, self.keeper.current()[0])
        self.now += 200
        self.refused('gone away')
        self.found = fakes.cloud()
        self.keeper.refresh()
        self.assertIs(self.found, self.keeper.current()[0])

    def test_thread(self):
        read = threading.Semaphore(0)

        def fail_once():
            read.release()
            if not failed:
                failed.append(1)
                raise RuntimeError('once')
            return seen

        failed = []
        seen = fakes.cloud()
        keeper = picture_keeper.PictureKeeper(fail_once, 0.01, 120)
        keeper.start()
        self.addCleanup(keeper.stop)
        for _ in range(3):
            self.assertTrue(read.acquire(timeout=_TIMEOUT))
        self.assertIs(seen, keeper.current()[0])
        keeper.stop()
        self.assertNotIn(
            'isolation-picture', [t.name for t in threading.enumerate()]
        )

    def test_requests_do_not_wait_for_a_reading(self):
        begun, go_on = threading.Event(), threading.Event()

        def hang():
            begun.set()
            go_on.wait(_TIMEOUT)
            return fakes.cloud()

        keeper = picture_keeper.PictureKeeper(hang, 0.01, 120)
        keeper.start()
        self.addCleanup(keeper.stop)
        self.addCleanup(go_on.set)
        self.assertTrue(begun.wait(_TIMEOUT))
        began = time.monotonic()
        self.assertRaises(picture_keeper.CloudUnread, keeper.current)
        self.assertLess(time.monotonic() - began, 1)
