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
"""Tests of nova_isolation.attestd.monitored_provider."""

import time

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import monitored_provider
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
        self.monitored = monitored_provider.MonitoredProvider(self.inner)

    def test_failure_is_no_success(self):
        self.assertRaises(
            provider.ProviderError, self.monitored.fetch, snapshot.Snapshot()
        )
        self.assertIsNone(self.monitored.succeeded_at)

    def test_what_is_no_snapshot_is_no_success(self):
        wrong = snapshot.Snapshot(verdicts={'host0': None})
        for found in (None, 'good', wrong):
            self.inner.answer = lambda _, found=found: found
            self.assertRaises(
                TypeError, self.monitored.fetch, snapshot.Snapshot()
            )
            self.assertIsNone(self.monitored.succeeded_at)

    def test_first_success_is_news(self):
        before = snapshot.Snapshot()
        self.inner.answer = lambda known: known
        found = self.monitored.fetch(before)
        self.assertIsNot(before, found)
        self.assertEqual(before, found)
        self.assertLessEqual(self.monitored.succeeded_at, time.monotonic())
        # From then on nothing new is nothing new.
        self.assertIs(found, self.monitored.fetch(found))

    def test_success_after_a_failure(self):
        self.inner.answer = lambda known: known
        self.monitored.fetch(snapshot.Snapshot())
        at = self.monitored.succeeded_at
        self.inner.answer = None
        self.assertRaises(
            provider.ProviderError, self.monitored.fetch, snapshot.Snapshot()
        )
        self.assertEqual(at, self.monitored.succeeded_at)

    def test_the_rest_is_the_inner_one(self):
        self.assertEqual(7.0, self.monitored.pause)
        self.inner.pause = 9.0
        self.inner.answer = lambda known: known
        self.monitored.fetch(snapshot.Snapshot())
        self.assertEqual(9.0, self.monitored.pause)
        self.monitored.close()
        self.assertTrue(self.inner.closed)

    def test_revocations_are_read_by_the_inner_one(self):
        self.assertFalse(self.monitored.reads_revocations())
        self.assertIsNone(self.monitored.revocation(b'x'))

        class Reader(type(self.inner)):
            def revocation(self, body):
                return provider.Revocation(body.decode(), 'because')

        monitored = monitored_provider.MonitoredProvider(Reader())
        self.assertTrue(monitored.reads_revocations())
        self.assertEqual(('x', 'because'), monitored.revocation(b'x'))
