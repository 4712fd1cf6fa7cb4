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


import os
import pathlib
import shutil
import threading
import time
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.https import https_client
from nova_isolation.https import https_error
from nova_isolation.https import peer_clock
from tests.unit import base
from tests.unit.attestation.keylime import verifier
from tests.unit.https import pki

#: Seconds that a time-out may be late on a busy machine.
LATE = 3.0


class Case(base.TestCase):
    """A client and a server that trust each other."""

    def setUp(self):
        super().setUp()
        self.server = self.useFixture(verifier.Verifier())
        self.pki = self.server.authority
        self.ours = self.pki.issue('scheduler')

    def client(self, **options):
        made = https_client.Client(
            **{
                'ca_file': self.pki.ca_file,
                'cert_file': self.ours.cert_file,
                'key_file': self.ours.key_file,
                'timeout': 10.0,
                'clock_skew': 5.0,
                **options,
            }
        )
        self.addCleanup(made.close)
        return made

    def get(self, path='/v2.6/agents/?bulk=true', **options):
        return self.client(**options).get(self.server.url + path)

    def refused(self, *patterns, **options):
        error = self.assertRaises(https_error.HttpsError, self.get, **options)
        for pattern in (self.server.url, *patterns):
            self.assertIn(pattern, str(error))
        return str(error)


class AnswerTest(Case):
    """What is answered, and what is no answer."""

    def test_answer(self):
        self.server.results = {'a': 1}
        self.server.headers = {'ETag': '"x"'}
        answer = self.get()
        self.assertEqual(200, answer.status)
        self.assertEqual(verifier.body({'a': 1}), answer.body)
        self.assertEqual('"x"', answer.headers['etag'])
        self.assertTrue(abs(answer.at - time.time()) < 5)
        self.assertEqual(
            [('/v2.6/agents/?bulk=true', 'scheduler')], self.server.paths
        )

    def test_headers_are_sent(self):
        client = self.client()
        seen = {}
        original = self.server.answer

        def answer(path, peer):
            return original(path, peer)

        self.server.answer = answer
        handler = self.server.server.RequestHandlerClass
        do_get = handler.do_GET

        def do(this):
            seen.update(this.headers)
            do_get(this)

        self.useFixture(
            fixtures.MonkeyPatch(
                f'{handler.__module__}.{handler.__name__}.do_GET', do
            )
        )
        client.get(self.server.url, {'If-None-Match': '"x"'})
        self.assertEqual('"x"', seen['If-None-Match'])
        self.assertEqual('identity', seen['Accept-Encoding'])

    def test_connection_is_kept(self):
        client = self.client()
        for _ in range(3):
            client.get(self.server.url)
        self.assertEqual(1, self.server.connections)

    def test_any_status_is_an_answer(self):
        for status in (204, 304, 400, 403, 404, 500):
            self.server.status = status
            self.server.results = b''
            self.assertEqual(status, self.get().status)

    def test_no_redirection(self):
        other = self.useFixture(verifier.Verifier(self.pki))
        self.server.status = 302
        self.server.headers = {'Location': other.url + '/secret'}
        self.assertEqual(302, self.get().status)
        self.assertEqual([], other.paths)

    def test_no_proxy_of_the_environment(self):
        for name in ('HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'):
            self.useFixture(
                fixtures.EnvironmentVariable(name, 'http://127.0.0.1:1')
            )
        self.assertEqual(200, self.get().status)

    def test_not_in_clear_text(self):
        error = self.assertRaises(
            https_error.HttpsError,
            self.client().get,
            self.server.url.replace('https:', 'http:'),
        )
        self.assertIn('http:', str(error))
        self.assertEqual([], self.server.paths)

    def test_too_long(self):
        self.server.results = b'x' * 1000
        self.assertEqual(1000, len(self.get(limit=1000).body))
        self.refused('at most 999 bytes', limit=999)

    def test_compressed(self):
        self.server.headers = {'Content-Encoding': 'gzip'}
        self.refused("Content-Encoding 'gzip'")

    def test_cut_short(self):
        self.server.results = b'x' * 1000
        self.server.mood = 'cuts'
        began = time.monotonic()
        self.refused()
        self.assertTrue(time.monotonic() - began < 8)


class RetryTest(Case):
    """What may be over soon is tried again, a few times."""

    def heal(self, after):
        """Let the server be well from one question on."""
        original = self.server.answer

        def answer(path, peer):
            if len(self.server.paths) >= after:
                self.server.status, self.server.mood = 200, ''
            return original(path, peer)

        self.server.answer = answer

    def test_unavailable(self):
        for status in (502, 503, 504):
            self.server.paths.clear()
            self.server.status = status
            self.assertEqual(status, self.get().status)
            self.assertEqual(3, len(self.server.paths))

    def test_available_again(self):
        self.server.status = 503
        self.heal(2)
        self.assertEqual(200, self.get().status)
        self.assertEqual(3, len(self.server.paths))

    def test_others_are_final(self):
        for status in (400, 403, 404, 500):
            self.server.paths.clear()
            self.server.status = status
            self.get()
            self.assertEqual(1, len(self.server.paths))

    def test_hangs_up(self):
        self.server.mood = 'hangs up'
        self.refused('no answer')
        self.assertEqual(3, len(self.server.paths))
        self.server.paths.clear()
        client = self.client()
        self.server.mood = ''
        client.get(self.server.url)
        # The connection that was kept is gone, and nobody told us.
        self.server.mood = 'hangs up'
        original = self.server.answer

        def answer(path, peer):
            # From the second question of this on.
            if len(self.server.paths) == 2:
                self.server.mood = ''
            return original(path, peer)

        self.server.answer = answer
        self.assertEqual(200, client.get(self.server.url).status)

    def test_nobody_listens(self):
        self.server.server.shutdown()
        self.server.server.server_close()
        self.refused('Errno 111')

    def test_not_beyond_the_deadline(self):
        self.server.status = 503
        with mock.patch.object(
            https_client.random, 'uniform', return_value=5.0
        ):
            began = time.monotonic()
            self.assertEqual(503, self.get(timeout=2.0).status)
        self.assertTrue(time.monotonic() - began < 2)
        self.assertEqual(1, len(self.server.paths))


class DeadlineTest(Case):
    """The whole answer, whatever the peer does."""

    def late(self, mood, timeout=1.0):
        self.server.results = b'x' * 10**4
        self.server.mood = mood
        began = time.monotonic()
        self.refused(f'within {timeout:g} s (timeout)', timeout=timeout)
        took = time.monotonic() - began
        self.assertTrue(timeout <= took < timeout + LATE, took)

    def test_accepts_and_never_answers(self):
        self.late('silent')

    def test_accepts_and_never_speaks_tls(self):
        self.late('no TLS')

    def test_drips_tls(self):
        self.late('drips TLS')

    def test_drips(self):
        self.late('drips')

    def test_drips_headers(self):
        self.late('drips headers')

    def test_slow_but_in_time(self):
        self.server.delay = 1.0
        self.assertEqual(200, self.get(timeout=10.0).status)

    def test_for_once(self):
        self.server.delay = 1.0
        client = self.client(timeout=0.5)
        self.assertRaises(
            https_error.HttpsError, client.get, f'{self.server.url}/x'
        )
        answer = client.get(f'{self.server.url}/x', timeout=10.0)
        self.assertEqual(200, answer.status)

    def test_called_off(self):
        self.server.mood = 'silent'
        client = self.client(timeout=30.0)
        timer = threading.Timer(0.5, client.close)
        timer.start()
        self.addCleanup(timer.join)
        began = time.monotonic()
        self.assertRaisesText(
            https_error.HttpsError, 'ends', client.get, self.server.url
        )
        self.assertTrue(time.monotonic() - began < 1.5 + LATE)
        self.assertRaises(https_error.HttpsError, client.get, self.server.url)


class TrustTest(Case):
    """One authority, for this name, now."""

    def serve(self, certificate):
        self.server = self.useFixture(verifier.Verifier(self.pki, certificate))

    def folder(self):
        return pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def test_another_authority(self):
        other = pki.Authority(self.folder())
        self.serve(other.issue('verifier'))
        self.refused('not trusted', self.pki.ca_file, 'ca_file')
        self.assertEqual([], self.server.paths)
        self.assertEqual(1, self.server.connections)

    def test_not_the_authorities_of_the_machine(self):
        other = pki.Authority(self.folder())
        self.serve(other.issue('verifier'))
        for name in (
            'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'SSL_CERT_FILE',
        ):  # fmt: skip
            self.useFixture(fixtures.EnvironmentVariable(name, other.ca_file))
        self.refused('not trusted')

    def test_expired(self):
        self.serve(self.pki.issue('expired', expired=True))
        self.refused('not trusted', 'expired')

    def test_wrong_host_name(self):
        self.serve(self.pki.issue('wrong', address='127.0.0.2'))
        self.refused('not trusted', '127.0.0.1')

    def test_right_again(self):
        self.serve(self.pki.issue('right'))
        self.assertEqual(200, self.get().status)

    def test_old_tls(self):
        context = self.server.server.context
        context.maximum_version = verifier.ssl.TLSVersion.TLSv1_1
        context.minimum_version = verifier.ssl.TLSVersion.TLSv1
        context.set_ciphers('ALL:@SECLEVEL=0')
        self.refused('not trusted')

    def test_without_our_certificate(self):
        answer = self.get(cert_file='', key_file='')
        self.assertEqual(403, answer.status)

    def test_ca_file_is_not_named(self):
        self.assertRaisesText(
            https_error.HttpsError, 'ca_file', self.client, ca_file=''
        )

    def assertRaisesText(self, error, pattern, function, *args, **kwargs):
        raised = self.assertRaises(error, function, *args, **kwargs)
        self.assertIn(pattern, str(raised))

    def test_half_a_certificate(self):
        for name in ('cert_file', 'key_file'):
            self.assertRaisesText(
                https_error.HttpsError, name, self.client, **{name: ''}
            )

    def test_ca_file_that_is_none(self):
        folder = self.folder()
        empty = folder / 'empty'
        empty.write_text('')
        for path in (folder / 'absent', empty, folder):
            self.assertRaisesText(
                https_error.HttpsError, str(path), self.get,
                ca_file=str(path),
            )  # fmt: skip
        self.assertEqual([], self.server.paths)

    def test_key_that_others_can_read(self):
        os.chmod(self.ours.key_file, 0o640)
        self.assertRaisesText(https_error.HttpsError, 'chmod 600', self.get)
        os.chmod(self.ours.key_file, 0o600)
        self.assertEqual(200, self.get().status)

    def test_key_that_others_can_read_later(self):
        client = self.client()
        client.get(self.server.url)
        os.chmod(self.ours.key_file, 0o644)
        self.assertRaisesText(
            https_error.HttpsError, 'chmod 600', client.get, self.server.url
        )
        self.assertEqual(1, len(self.server.paths))

    def test_key_with_a_passphrase(self):
        serialization = pki.serialization
        key = serialization.load_pem_private_key(
            pathlib.Path(self.ours.key_file).read_bytes(), None
        )
        pathlib.Path(self.ours.key_file).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b'x'),
            )
        )
        self.assertRaisesText(
            https_error.HttpsError, self.ours.key_file, self.get
        )

    def test_key_of_another_certificate(self):
        other = self.pki.issue('other')
        self.assertRaisesText(
            https_error.HttpsError,
            other.key_file,
            self.get,
            key_file=other.key_file,
        )

    def test_renewed(self):
        """Without a restart; and the authority of before is gone."""
        client = self.client()
        client.get(self.server.url)
        renewed = self.pki.issue('renewed')
        for name in ('cert_file', 'key_file'):
            shutil.move(getattr(renewed, name), getattr(self.ours, name))
        client.get(self.server.url)
        self.assertEqual(
            ['scheduler', 'renewed'], [peer for _, peer in self.server.paths]
        )
        other = pki.Authority(self.folder())
        shutil.copy(other.ca_file, self.pki.ca_file)
        self.assertRaisesText(
            https_error.HttpsError, 'not trusted', client.get, self.server.url
        )


class ForkTest(Case):
    """A child does not talk on its parent's connections."""

    def in_child(self, function):
        """Begin a call of a function in a child; returns its process id."""
        pid = os.fork()
        if not pid:
            result = 1
            try:
                function()
                result = 0
            finally:
                os._exit(result)
        return pid

    def assertSucceeded(self, pid):
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def test_fork(self):
        client = self.client()
        client.get(self.server.url)
        pid = self.in_child(
            lambda: [client.get(f'{self.server.url}/child') for _ in range(3)]
        )
        for _ in range(3):
            client.get(f'{self.server.url}/parent')
        self.assertSucceeded(pid)
        self.assertEqual(2, self.server.connections)
        self.assertEqual(7, len(self.server.paths))

    def test_closed_in_the_child(self):
        """The child has a duplicate of the connection, as its parent has."""
        client = self.client()
        client.get(self.server.url)
        self.assertSucceeded(self.in_child(client.close))
        client.get(self.server.url)
        self.assertEqual(1, self.server.connections)


class ClockTest(Case):
    """The peer's clock is ours, within bounds."""

    def test_right(self):
        for clock in (-4.0, 0.0, 4.0):
            self.server.clock = clock
            self.get()

    def test_ahead(self):
        self.server.clock = 8.0
        self.refused('ahead', '5 s', 'clock_skew', 'NTP')

    def test_behind(self):
        self.server.clock = -8.0
        self.refused('behind', '5 s', 'clock_skew', 'NTP')

    def test_none(self):
        self.server.clock = None
        self.refused('Date')

    def test_not_tried_again(self):
        self.server.clock = 60.0
        self.refused('ahead')
        self.assertEqual(1, len(self.server.paths))

    def test_takes_its_time(self):
        """It is of when it was begun, and the rest takes long."""
        text = pki.datetime.datetime.fromtimestamp(
            1000, pki.datetime.timezone.utc
        ).strftime('%a, %d %b %Y %H:%M:%S GMT')
        self.assertEqual(
            1000.0, peer_clock.check('u', text, 1000.9, 1030.0, 0.0)
        )
        for sent, received in ((1001.1, 1030.0), (990.0, 999.9)):
            self.assertRaises(
                https_error.HttpsError,
                peer_clock.check, 'u', text, sent, received, 0.0,
            )  # fmt: skip

    @hypothesis.given(st.text(max_size=40))
    def test_any_header(self, text):
        """No garbage is more than an error, or a right time."""
        try:
            at = peer_clock.check('u', text, 1000.0, 1001.0, 5.0)
        except https_error.HttpsError:
            return
        self.assertTrue(993.0 <= at <= 1007.0)
