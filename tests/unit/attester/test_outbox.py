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

import dataclasses
import time
import types
import uuid

import ddt
import fixtures

from nova_isolation.attester import errors
from nova_isolation.attester import log_client
from nova_isolation.attester import news
from nova_isolation.attester import outbox
from nova_isolation.evidence import statement
from tests.unit import base
from tests.unit.attester import log_server
from tests.unit.evidence import samples

OPERATOR = statement.Audience.OPERATOR


def about(number, **other):
    """A statement about one of many guests."""
    subject = dataclasses.replace(
        samples.OPERATOR.subject, uuid=str(uuid.UUID(int=number))
    )
    return dataclasses.replace(samples.OPERATOR, subject=subject, **other)


class OutboxCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(log_server.Log())
        self.signer = samples.signer()
        self.forgotten = []
        self.useFixture(
            fixtures.MonkeyPatch(f'{outbox.__name__}._PAUSE', 0.05)
        )
        self.useFixture(
            fixtures.MonkeyPatch(f'{outbox.__name__}._LONGEST_PAUSE', 0.2)
        )

    def box(self, limit=10, signer=None):
        client = log_client.LogClient(
            types.SimpleNamespace(**self.log.options())
        )
        made = outbox.Outbox(
            signer or (lambda: self.signer),
            client,
            limit,
            self.forgotten.append,
        )
        self.addCleanup(made.stop)
        return made

    def taken(self):
        return self.log.statements(self.signer.public_key)

    def until(self, done, seconds=20):
        end = time.monotonic() + seconds
        while not done():
            self.assertLess(time.monotonic(), end, 'it has not come')
            time.sleep(0.02)


@ddt.ddt
class OutboxTest(OutboxCase):
    def test_arrives(self):
        box = self.box()
        stated = about(1)
        box.put(stated)
        self.until(lambda: not box.waiting)
        self.assertEqual([stated], self.taken())
        # The thread ends with the work, and the next statement starts one.
        self.until(lambda: box._thread is None)
        box.put(about(2))
        self.until(lambda: len(self.log.taken) == 2)

    def test_away(self):
        """Whoever puts waits for nothing; the newest of each guest waits."""
        self.log.stop()
        box = self.box(limit=3)
        begun = time.monotonic()
        for nonce in range(50):
            for number in range(3):
                box.put(about(number, nonce=f'nonce-{nonce:04}'))
        self.assertLess(time.monotonic() - begun, 1.0)
        self.assertEqual(3, box.waiting)
        self.until(lambda: box._trouble)
        self.log.start(self.log.port)
        self.until(lambda: not box.waiting)
        self.assertEqual(
            [about(number, nonce='nonce-0049') for number in range(3)],
            self.taken(),
        )
        self.assertEqual([], self.forgotten)
        self.assertEqual(0, box.dropped)

    def test_bounded(self):
        self.log.stop()
        box = self.box(limit=3)
        for number in range(10):
            box.put(about(number))
            self.assertLessEqual(box.waiting, 6)
        self.assertEqual(4, box.dropped)
        self.assertEqual(
            [str(uuid.UUID(int=number)) for number in range(4)],
            self.forgotten,
        )

    def test_a_log_that_never_answers(self):
        self.log.delay = 60
        box = self.box()
        box.put(about(1))
        self.until(lambda: box._thread is not None)
        begun = time.monotonic()
        box.put(about(2))
        self.assertLess(time.monotonic() - begun, 0.5)
        box.stop()
        self.assertLess(time.monotonic() - begun, 8)

    def test_replaced_while_it_is_sent(self):
        self.log.delay = 0.3
        box = self.box()
        box.put(about(1, nonce='nonce-0001'))
        self.until(lambda: box._thread is not None)
        time.sleep(0.1)
        box.put(about(1, nonce='nonce-0002'))
        self.until(lambda: not box.waiting)
        self.assertEqual('nonce-0002', self.taken()[-1].nonce)

    @ddt.data('standing', 'key-unknown', 'key-lost', 'busy')
    def test_refusals_that_pass(self, code):
        self.log.refusal = code
        box = self.box()
        box.put(about(1))
        self.assertTrue(self.log.wait(lambda: len(self.log.requests) > 1))
        self.assertEqual(1, box.waiting)
        with self.log.changed:
            self.log.refusal = None
        self.until(lambda: not box.waiting)
        self.assertEqual([about(1)], self.taken())

    @ddt.data(('malformed', 0), ('host', 0), ('late', 1))
    @ddt.unpack
    def test_refusals_that_stay(self, code, forgotten):
        self.log.refusal = code
        box = self.box()
        box.put(about(1))
        self.until(lambda: not box.waiting)
        self.assertEqual(1, len(self.log.requests))
        self.assertEqual(forgotten, len(self.forgotten))

    def test_a_key_that_is_made_later(self):
        keys = []

        def signer():
            if not keys:
                raise errors.AttesterError('there is no key')
            return keys[0]

        box = self.box(signer=signer)
        box.put(about(1))
        self.until(lambda: box._trouble)
        self.assertEqual([], self.log.requests)
        keys.append(self.signer)
        self.until(lambda: not box.waiting)
        self.assertEqual([about(1)], self.taken())

    def test_a_key_that_is_not_the_public_one(self):
        self.fine = False

        def signer():
            if self.fine:
                return self.signer
            return OtherKey(self.signer, samples.signer())

        box = self.box(signer=signer)
        box.put(about(1))
        self.until(lambda: 'evidence.signature' in box._trouble)
        self.assertEqual(1, box.waiting)
        self.fine = True
        self.until(lambda: not box.waiting)

    def test_a_statement_that_no_reader_takes(self):
        box = self.box()
        box.put(about(1, nonce='short'))
        box.put(about(2))
        self.until(lambda: not box.waiting)
        self.assertEqual([about(2)], self.taken())

    def test_many_in_batches(self):
        box = self.box(limit=300)
        for number in range(250):
            box.put(about(number))
        self.until(lambda: not box.waiting, 60)
        self.assertEqual(250, len(self.log.taken))
        sizes = [len(value['envelopes']) for _, value in self.log.requests]
        self.assertLessEqual(max(sizes), outbox._BATCH)

    def test_stopped(self):
        box = self.box()
        box.stop()
        box.put(about(1))
        self.assertEqual(0, box.waiting)

    def test_what_answers_is_no_log(self):
        for answer in (
            (200, {}),
            (200, {'receipts': []}),
            (200, {'receipts': [1]}),
            (200, []),
            (503, {'code': 'storage', 'detail': 'away'}),
        ):
            self.log.answers['/v1/evidence/statements'] = answer
            client = log_client.LogClient(
                types.SimpleNamespace(**self.log.options())
            )
            self.addCleanup(client.close)
            self.assertRaises(errors.AttesterError, client.send, [b'{}'])


class OtherKey:
    """Says that it has another key than the one with which it signs."""

    def __init__(self, one, other):
        self.public_key = other.public_key
        self.sign = one.sign


class NewsTest(base.TestCase):
    def test_what_has_changed_and_a_heartbeat(self):
        clock = 1000.0
        self.useFixture(fixtures.MonkeyPatch('time.monotonic', lambda: clock))
        known = news.News(60)
        self.assertTrue(known.is_news('a', 1))
        clock += 30
        self.assertFalse(known.is_news('a', 1))
        self.assertTrue(known.is_news('b', 1))
        self.assertTrue(known.is_news('a', 2))
        clock += 59
        self.assertFalse(known.is_news('a', 2))
        clock += 1
        self.assertTrue(known.is_news('a', 2))
        known.forget('a')
        self.assertTrue(known.is_news('a', 2))
        known.forget('nobody')

    def test_bounded(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{news.__name__}._MAX_GUESTS', 3)
        )
        known = news.News(60)
        for number in range(10):
            known.is_news(str(number), 1)
        self.assertEqual(3, len(known._last))
        self.assertTrue(known.is_news('0', 1))
