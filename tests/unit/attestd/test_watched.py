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
"""Tests of nova_isolation.attestd.watched."""

import time

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import watched
from tests.unit import base


class Inner(provider.Provider):
    """Says what it is told to say."""

    pause = 7.0

    def __init__(self, options=None):
        self.answer = None
        self.closed = False

    def fetch(self, before):
        if self.answer is None:
            raise provider.ProviderError('no')
        return self.answer(before)

    def close(self):
        self.closed = True


class WatchedTest(base.TestCase):
    """It changes nothing but the first success."""

    def setUp(self):
        super().setUp()
        self.inner = Inner()
        self.watched = watched.Watched(self.inner)

    def test_failure_is_no_success(self):
        self.assertRaises(
            provider.ProviderError, self.watched.fetch, snapshot.Snapshot()
        )
        self.assertIsNone(self.watched.succeeded_at)

    def test_first_success_is_news(self):
        before = snapshot.Snapshot()
        self.inner.answer = lambda known: known
        found = self.watched.fetch(before)
        self.assertIsNot(before, found)
        self.assertEqual(before, found)
        self.assertLessEqual(self.watched.succeeded_at, time.monotonic())
        # From then on nothing new is nothing new.
        self.assertIs(found, self.watched.fetch(found))

    def test_success_after_a_failure(self):
        self.inner.answer = lambda known: known
        self.watched.fetch(snapshot.Snapshot())
        at = self.watched.succeeded_at
        self.inner.answer = None
        self.assertRaises(
            provider.ProviderError, self.watched.fetch, snapshot.Snapshot()
        )
        self.assertEqual(at, self.watched.succeeded_at)

    def test_the_rest_is_the_inner_one(self):
        self.assertEqual(7.0, self.watched.pause)
        self.inner.pause = 9.0
        self.inner.answer = lambda known: known
        self.watched.fetch(snapshot.Snapshot())
        self.assertEqual(9.0, self.watched.pause)
        self.watched.close()
        self.assertTrue(self.inner.closed)
