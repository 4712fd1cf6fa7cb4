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
"""Tests of nova-isolation-attestd as a process, over TLS."""

from concurrent import futures
import io
import os
import signal
import socket
import ssl
import time
import warnings

import ddt
import fixtures
from oslo_log import log
import requests

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import daemon
from nova_isolation.attestd import webhook
from nova_isolation.cmd import attestd
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base
from tests.unit.attestation.keylime import messages
from tests.unit.attestd import process
from tests.unit.https import pki


class DaemonTest(base.TestCase):
    """What it serves, and to whom."""

    def setUp(self):
        super().setUp()
        self.daemon = self.useFixture(process.Attestd())
        self.daemon.write(process.known())
        self.daemon.start()
        self.tag = self.first()

    def first(self):
        """The tag of the first snapshot."""
        answer = self.daemon.newer('"none"')
        self.assertEqual(200, answer.status_code, answer.text)
        return answer.headers['ETag']

    def state(self, answer, host='host0'):
        """A host's standing in an answer."""
        known = snapshot.loads(answer.content)
        return attestation_result.loads(known.verdicts[host].document)

    def test_news_reach_all_who_wait(self):
        with futures.ThreadPoolExecutor(50) as pool:
            waiting = [
                pool.submit(self.daemon.newer, self.tag) for _ in range(50)
            ]
            time.sleep(0.5)
            self.daemon.write(process.known(2, trouble='one of two'))
            answers = [one.result(process.PATIENCE) for one in waiting]
        self.assertEqual({200}, {one.status_code for one in answers})
        self.assertEqual(1, len({one.content for one in answers}))
        known = snapshot.loads(answers[0].content)
        self.assertEqual(2, len(known.verdicts))
        self.assertEqual('one of two', known.trouble)

    def test_nothing_new(self):
        answer = self.daemon.newer(self.tag, '/v1/snapshot?wait=0.2')
        self.assertEqual(304, answer.status_code)
        self.assertGreaterEqual(answer.elapsed.total_seconds(), 0.2)

    def test_provider_that_fails_is_told(self):
        self.daemon.verdicts.write_text('{')
        answer = self.daemon.newer(self.tag)
        known = snapshot.loads(answer.content)
        self.assertIn('not a snapshot', known.trouble)
        # What is known stays, with the time that it had.
        self.assertEqual(attestation_result.GOOD, self.state(answer).state)
        health = self.daemon.get('/healthz').json()
        self.assertEqual(known.trouble, health['trouble'])
        self.assertEqual(1, health['hosts'])
        self.assertGreater(health['age'], 0)

    def test_revocation(self):
        at = time.time()
        with futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.daemon.newer, self.tag)
            time.sleep(0.2)
            self.assertEqual(
                200, self.daemon.post(messages.message()).status_code
            )
            answer = waiting.result(process.PATIENCE)
        found = self.state(answer)
        self.assertEqual(attestation_result.REVOKED, found.state)
        self.assertIn('invalid_pcr_17', found.found)
        # Only a newer good quote ends it, ...
        self.daemon.write(process.known(2, good_at=at + 3))
        answer = self.daemon.newer(answer.headers['ETag'])
        self.assertEqual(attestation_result.REVOKED, self.state(answer).state)
        self.assertEqual(
            attestation_result.GOOD, self.state(answer, 'host1').state
        )
        # ... newer by more than clocks may differ.
        self.daemon.write(process.known(3, good_at=time.time() + 8))
        answer = self.daemon.newer(answer.headers['ETag'])
        self.assertEqual(attestation_result.GOOD, self.state(answer).state)

    def test_agent_that_cannot_be_reached(self):
        self.daemon.post(messages.message(type_='comm_error'))
        found = self.state(self.daemon.newer(self.tag))
        self.assertEqual(attestation_result.REVOKED, found.state)
        self.assertIn('cannot reach it', found.found)

    def test_agent_that_is_unknown(self):
        at = time.time()
        answer = self.daemon.post(messages.message(agent='nobody-knows'))
        self.assertEqual(200, answer.status_code)
        self.assertIn('nobody-knows', self.daemon.text())
        self.assertIn('No known host has this agent', self.daemon.text())
        # It may become known: it is not trusted for what it was before.
        self.daemon.write(
            snapshot.Snapshot(
                verdicts={
                    'host0': process.known(good_at=at)
                    .verdicts['host0']
                    ._replace(agent='nobody-knows')
                }
            )
        )
        found = self.state(self.daemon.newer(self.tag))
        self.assertEqual(attestation_result.REVOKED, found.state)

    def test_messages_that_are_refused(self):
        stranger = pki.Authority(self.daemon.folder / 'x', 'x').issue('x')
        expired = self.daemon.verifiers.issue('expired', expired=True)
        # A client of the snapshot is no verifier.
        for client in (None, stranger, expired, self.daemon.client):
            self.assertRaises(
                requests.ConnectionError,
                self.daemon.post,
                messages.message(),
                client,
            )
        for status, body in (
            (400, '{}'),
            (400, messages.message(agent='no agent')),
            (413, messages.message().ljust(webhook.MAX_BODY + 1)),
        ):
            self.assertEqual(status, self.daemon.post(body).status_code)
        self.assertEqual(
            404,
            self.daemon.post(
                messages.message(), path='/v1/snapshot'
            ).status_code,
        )
        # Nothing of that did anything.
        answer = self.daemon.newer(self.tag, '/v1/snapshot')
        self.assertEqual(304, answer.status_code)

    def test_only_tls_and_no_old_one(self):
        for port in (self.daemon.port, self.daemon.webhook_port):
            self.assertRaises(
                requests.ConnectionError,
                requests.get,
                f'http://127.0.0.1:{port}/v1/snapshot',
                timeout=process.PATIENCE,
            )
            for version, accepted in (
                (ssl.TLSVersion.TLSv1_1, False),
                (ssl.TLSVersion.TLSv1_2, True),
                (ssl.TLSVersion.TLSv1_3, True),
            ):
                self.assertEqual(accepted, self.speaks(port, version), version)

    def speaks(self, port, version):
        """Whether a client that knows only this version is served."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(
            self.daemon.verifier.cert_file, self.daemon.verifier.key_file
        )
        # Else it is OpenSSL here that refuses the older ones.
        context.set_ciphers('DEFAULT@SECLEVEL=0')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(('127.0.0.1', port)) as plain:
            try:
                context.wrap_socket(plain).close()
            except ssl.SSLError:
                return False
            return True

    def test_ends_in_time_with_clients(self):
        with requests.Session() as idle, futures.ThreadPoolExecutor(5) as pool:
            idle.get(
                f'https://127.0.0.1:{self.daemon.port}/v1/snapshot',
                verify=self.daemon.authority.ca_file,
                timeout=process.PATIENCE,
            )
            waiting = [
                pool.submit(
                    self.daemon.newer, self.tag, '/v1/snapshot?wait=60'
                )
                for _ in range(5)
            ]
            # All are connected, and have asked.
            time.sleep(1)
            self.daemon.process.send_signal(signal.SIGTERM)
            self.assertEqual(0, self.daemon.process.wait(10))
            self.assertEqual(
                {304}, {one.result(1).status_code for one in waiting}
            )
        self.assertNotIn('ERROR', self.daemon.text())

    def test_no_key_is_logged(self):
        for name in ('key_file', 'webhook_key_file'):
            with open(self.daemon.options[name]) as file:
                self.assertNotIn(file.readlines()[1], self.daemon.text())


class StartTest(base.TestCase):
    """From the start to the first snapshot, and the next start."""

    def setUp(self):
        super().setUp()
        self.daemon = self.useFixture(process.Attestd())

    def test_silent_until_somebody_was_asked(self):
        self.daemon.start()
        answer = self.daemon.get()
        self.assertEqual(503, answer.status_code)
        self.assertIn('verdicts.json', answer.text)
        health = self.daemon.get('/healthz').json()
        self.assertIsNone(health['age'])
        self.assertIn('verdicts.json', health['trouble'])
        # A revocation is no knowledge of the hosts.
        self.assertEqual(200, self.daemon.post(messages.message()).status_code)
        self.assertEqual(503, self.daemon.get().status_code)
        self.daemon.write(process.known(0))
        # That there is no host is.
        answer = self.daemon.newer('"none"')
        self.assertEqual(200, answer.status_code)
        self.assertEqual({}, snapshot.loads(answer.content).verdicts)

    def test_client_survives_a_new_start(self):
        self.daemon.write(process.known())
        self.daemon.start()
        client = self.daemon.provider()
        self.addCleanup(client.close)
        self.daemon.newer('"none"')
        before = client.fetch(snapshot.Snapshot())
        self.daemon.kill()
        self.daemon.verdicts.unlink()
        self.daemon.start()
        raised = self.assertRaises(
            provider.ProviderError,
            self.daemon.provider(max_age=0.4).fetch,
            before,
        )
        self.assertIn('503', str(raised))
        self.daemon.write(process.known(2))
        after = client.fetch(before)
        self.assertEqual(2, len(after.verdicts))
        self.assertNotEqual(before.serial, after.serial)

    def test_clients_with_certificates_only(self):
        self.daemon.options['client_ca_file'] = self.daemon.authority.ca_file
        self.daemon.options['webhook_port'] = 0
        self.daemon.write(process.known())
        self.daemon.start()
        for path in ('/v1/snapshot', '/healthz'):
            self.assertRaises(requests.ConnectionError, self.daemon.get, path)
        stranger = self.daemon.verifier
        self.assertRaises(
            requests.ConnectionError,
            self.daemon.get,
            cert=(stranger.cert_file, stranger.key_file),
        )
        client = self.daemon.client
        answer = self.daemon.get(
            '/v1/snapshot?wait=20',
            headers={'If-None-Match': '"none"'},
            cert=(client.cert_file, client.key_file),
        )
        self.assertEqual(200, answer.status_code)
        # And there is no webhook.
        self.assertRaises(
            requests.ConnectionError, self.daemon.post, messages.message()
        )


@ddt.ddt
class ConfigurationTest(base.TestCase):
    """What is wrong ends it at once, with words."""

    def setUp(self):
        super().setUp()
        self.daemon = self.useFixture(process.Attestd())
        self.daemon.write(process.known())
        # It is not our process that logs.
        self.useFixture(fixtures.MockPatchObject(log, 'setup'))
        self.run_ = self.useFixture(
            fixtures.MockPatchObject(daemon.Daemon, 'run')
        ).mock
        self.stderr = io.StringIO()
        self.useFixture(fixtures.MonkeyPatch('sys.stderr', self.stderr))

    def assertWrong(self, *words):
        """It ends with one line that has these words."""
        self.daemon.write_config()
        self.stderr.seek(0)
        self.stderr.truncate()
        self.assertEqual(2, attestd.main(self.daemon.arguments))
        self.run_.assert_not_called()
        (line,) = self.stderr.getvalue().splitlines()
        self.assertTrue(line.startswith('nova-isolation-attestd: '), line)
        for word in words:
            self.assertIn(str(word), line)

    def test_right(self):
        self.daemon.write_config()
        self.assertEqual(0, attestd.main(self.daemon.arguments))
        self.run_.assert_called_once_with()

    @ddt.data(
        ('port', 'many'),
        ('port', 0),
        ('port', 65536),
        ('webhook_port', -1),
        ('bind', 'a b'),
        ('max_clients', 1),
    )
    @ddt.unpack
    def test_value(self, name, value):
        self.daemon.options[name] = value
        self.assertWrong(f'option {name} ', 'attestd.conf', 'not valid')

    @ddt.data(
        'cert_file',
        'key_file',
        'webhook_cert_file',
        'webhook_key_file',
        'webhook_ca_file',
    )
    def test_file_is_needed(self, name):
        self.daemon.options[name] = None
        self.assertWrong(f'[attestd] {name} is not set')

    @ddt.data(
        'cert_file',
        'key_file',
        'client_ca_file',
        'webhook_cert_file',
        'webhook_key_file',
        'webhook_ca_file',
    )
    def test_file_that_cannot_be_used(self, name):
        path = self.daemon.folder / 'garbage'
        self.daemon.options[name] = path
        self.assertWrong(path)
        path.write_text('garbage')
        path.chmod(0o600)
        self.assertWrong(path)

    def test_key_that_others_may_read(self):
        for name in ('key_file', 'webhook_key_file'):
            path = self.daemon.options[name]
            os.chmod(path, 0o640)
            self.assertWrong(path, '0640', 'chmod 600')
            os.chmod(path, 0o600)

    def test_key_of_another_certificate(self):
        self.daemon.options['key_file'] = self.daemon.client.key_file
        self.assertWrong(self.daemon.client.key_file, 'mismatch')

    def test_ports_that_cannot_be_had(self):
        for name in ('port', 'webhook_port'):
            with socket.create_server(
                ('127.0.0.1', self.daemon.options[name])
            ):
                process_ = self.daemon.run()
                self.assertEqual(2, process_.wait(process.PATIENCE))
            (line,) = self.daemon.text().splitlines()
            self.assertIn(f'port {self.daemon.options[name]}: ', line)
            self.assertIn('in use', line)

    def test_one_port_for_both(self):
        self.daemon.options['webhook_port'] = self.daemon.port
        self.assertWrong('must differ', self.daemon.port)

    def test_address_that_is_not_ours(self):
        self.daemon.options['bind'] = '192.0.2.1'
        self.assertEqual(2, self.daemon.run().wait(process.PATIENCE))
        self.assertIn('listen on 192.0.2.1 port', self.daemon.text())

    @ddt.data('', 'nobody')
    def test_provider(self, name):
        self.daemon.common['provider'] = name
        self.assertWrong('[isolation_attestation] provider', repr(name))

    def test_provider_that_cannot_work(self):
        self.daemon.own['file'] = None
        self.assertWrong('[isolation_attestation_fixture] file')

    def test_webhook_of_a_provider_that_reads_no_messages(self):
        self.daemon.common['provider'] = 'attestd'
        self.daemon.common['ca_file'] = self.daemon.authority.ca_file
        self.daemon.own = {'url': 'https://127.0.0.1:1'}
        self.assertWrong('webhook_port', 'attestd', 'must be 0')

    def test_value_of_a_wrong_type(self):
        self.daemon.common['provider'] = 'keylime'
        self.daemon.own = {'poll_interval': 'often'}
        self.assertWrong('isolation_attestation_keylime', 'poll_interval')

    def test_no_configuration(self):
        self.daemon.arguments = ['--config-file', '/nowhere/attestd.conf']
        self.assertWrong('/nowhere/attestd.conf')
