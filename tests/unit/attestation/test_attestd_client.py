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
"""Tests of nova_isolation.attestation.attestd_client.

With a stand-in for the daemon. With the daemon itself:
tests.unit.attestd.test_daemon.
"""

import time
import types

import ddt

from nova_isolation.attestation import attestd_client
from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from tests.unit import base
from tests.unit.attestation.keylime import verifier
from tests.unit.attestd import process

NOTHING = snapshot.Snapshot()


@ddt.ddt
class AttestdProviderTest(base.TestCase):
    """What counts as an answer."""

    def setUp(self):
        super().setUp()
        self.daemon = self.useFixture(verifier.Verifier())
        self.client = self.daemon.authority.issue('scheduler')
        self.answer(process.known(), '"a-1"')

    def answer(self, known, etag):
        """What the daemon says."""
        self.daemon.results = snapshot.dumps(known).encode()
        self.daemon.headers = {'ETag': etag}

    def provider(self, **options):
        """The provider, with these options."""
        values = types.SimpleNamespace(
            **{
                'url': self.daemon.url,
                'max_age': 0.8,
                'timeout': 1.5,
                'clock_skew': 5.0,
                'ca_file': self.daemon.authority.ca_file,
                'cert_file': self.client.cert_file,
                'key_file': self.client.key_file,
                **options,
            }
        )
        result = attestd_client.AttestdProvider(values, values)
        self.addCleanup(result.close)
        return result

    def assertRefused(self, pattern, before=NOTHING, **options):
        """Nothing can be found out."""
        self.assertRaisesText(
            provider.ProviderError,
            pattern,
            self.provider(**options).fetch,
            before,
        )

    def test_first_snapshot_is_not_waited_for(self):
        found = self.provider().fetch(NOTHING)
        self.assertEqual('"a-1"', found.serial)
        self.assertEqual(1, len(found.verdicts))
        self.assertEqual('/v1/snapshot', self.daemon.paths[-1][0])

    def test_then_only_news(self):
        asked = self.provider(max_age=120.0, url=f'{self.daemon.url}/')
        found = asked.fetch(NOTHING)
        self.daemon.status, self.daemon.results = 304, b''
        self.assertIs(found, asked.fetch(found))
        self.assertEqual('/v1/snapshot?wait=20.000', self.daemon.paths[-1][0])
        self.daemon.status = 200
        self.answer(process.known(2), '"b-1"')
        found = asked.fetch(found)
        self.assertEqual((2, '"b-1"'), (len(found.verdicts), found.serial))

    def test_is_not_asked_without_pause(self):
        self.assertGreater(attestd_client.AttestdProvider.pause, 0)

    @ddt.data('', 'attestd:8899', 'http://127.0.0.1:8899', 'file:///x')
    def test_url(self, url):
        self.assertRaisesText(
            provider.ProviderError,
            f'url is {url!r}, must be https://',
            lambda: self.provider(url=url),
        )

    @ddt.data(201, 302, 304, 400, 403, 404, 500, 503)
    def test_status(self, status):
        self.daemon.status = status
        self.daemon.results = b'why\n<not>\n'
        self.assertRefused(f'wanted status 200, found {status}')

    def test_words_of_the_daemon_are_told(self):
        self.daemon.status = 503
        self.daemon.results = b'no verifier \xff answers\n' + b'x' * 10_000
        self.assertRefused('found 503: no verifier . answers x{100,200}$')

    @ddt.data('', ' ', 'x' * 201, None)
    def test_serial(self, serial):
        self.daemon.headers = {} if serial is None else {'ETag': serial}
        self.assertRefused('ETag')

    @ddt.data(b'', b'{}', b'[]', b'null', b'{"v": 2}', b'\xff', b'<html>')
    def test_body(self, body):
        self.daemon.results = body
        self.assertRefused('snapshot')

    def test_body_that_is_cut(self):
        self.daemon.results = self.daemon.results[:-5]
        self.assertRefused('not a snapshot')
        self.daemon.mood = 'cuts'
        self.assertRefused('https://')

    def test_hangs(self):
        found = self.provider().fetch(NOTHING)
        self.daemon.mood = 'silent'
        began = time.monotonic()
        self.assertRefused('within', found, timeout=0.5)
        # The wait and the time-out.
        self.assertGreater(time.monotonic() - began, 0.6)
        self.assertLess(time.monotonic() - began, 10)

    def test_is_away(self):
        self.daemon.mood = 'hangs up'
        self.assertRefused('no answer')

    def test_clock(self):
        self.daemon.clock = 60
        self.assertRefused('clock')

    def test_certificate_of_another(self):
        other = self.useFixture(verifier.Verifier())
        self.assertRefused('not trusted', url=other.url)

    def test_is_told_nothing_without_a_certificate(self):
        self.assertRefused('403', cert_file='', key_file='')

    def test_daemon_that_knows_less_is_believed(self):
        # It was started again. Less is never more trust.
        asked = refresher.Refresher(self.provider(), max_age=120, clock_skew=5)
        asked.refresh()
        now = time.time()
        (told,) = asked.evidence('host0', 'node', now).values()
        self.assertTrue(told.is_fresh(120))
        self.answer(process.known(good_at=now - 100), '"b-1"')
        asked.refresh()
        (told,) = asked.evidence('host0', 'node', now).values()
        self.assertAlmostEqual(100, told.age, delta=5)
        self.assertFalse(told.is_fresh(60))
        self.answer(process.known(0), '"c-1"')
        asked.refresh()
        (told,) = asked.evidence('host0', 'node', now).values()
        self.assertFalse(told.is_fresh(120))

    def test_daemon_that_is_away_leaves_what_there_is(self):
        asked = refresher.Refresher(self.provider(), max_age=120, clock_skew=5)
        asked.refresh()
        now = time.time()
        self.daemon.status, self.daemon.results = 503, b'just started'
        self.assertEqual(1, asked.step(0)[0])
        (told,) = asked.evidence('host0', 'node', now).values()
        self.assertIn('just started', told.trouble)
        self.assertTrue(told.is_fresh(120))
        (told,) = asked.evidence('host0', 'node', now + 121).values()
        self.assertFalse(told.is_fresh(120))
        # It was away only, and has nothing new: the trouble is over.
        self.daemon.status, self.daemon.results = 304, b''
        self.assertEqual(0, asked.step(1)[0])
        (told,) = asked.evidence('host0', 'node', now).values()
        self.assertEqual('', told.trouble)
