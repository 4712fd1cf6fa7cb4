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

"""The daemon with a log, and a host with a real TPM in software."""

import base64
import contextlib
import hashlib
import io
import json
import pathlib
import time

import requests
from securesystemslib import signer as signers

from nova_isolation import evidence
from nova_isolation.attestd.evidence import api
from nova_isolation.attestd.evidence import keyring
from nova_isolation.attestd.evidence import store
from nova_isolation.attestd.evidence import tpm_key
from nova_isolation.cmd import evidence as command
from nova_isolation.evidence import envelope
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import key_event
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.evidence import trust
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base
from tests.unit.attestation.keylime import verifier
from tests.unit.attestd import process
from tests.unit.attestd.evidence import hosts
from tests.unit.attestd.evidence import tpm
from tests.unit.evidence import samples


class TpmSigner(signers.Signer):
    """Signs by the key ``key`` of a TPM."""

    def __init__(self, machine, public):
        self.machine = machine
        self._public_key = envelope.trusted(samples.pem(public))

    @property
    def public_key(self):
        return self._public_key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri, public_key, handler=None):
        raise NotImplementedError

    def sign(self, payload):
        raw = self.machine.sign('key', hashlib.sha256(payload).digest())
        return signers.Signature(self.public_key.keyid, raw.hex())


class TestCase(base.TestCase):
    """The daemon, which has a registrar and a host in good standing."""

    def setUp(self):
        super().setUp()
        self.attestd = self.useFixture(process.Attestd())
        self.attestd.options['client_ca_file'] = self.attestd.authority.ca_file
        self.registrar = self.useFixture(
            verifier.Verifier(self.attestd.authority)
        )
        reader = self.attestd.authority.issue('reader')
        self.attestd.common.update(
            ca_file=self.attestd.authority.ca_file,
            cert_file=reader.cert_file,
            key_file=reader.key_file,
        )
        self.log_key = self.attestd.authority.issue('log')
        self.port = process.free_port()
        self.database = f'sqlite:///{self.attestd.folder}/log.sqlite'
        self.attestd.evidence = {
            'port': self.port,
            'database': self.database,
            'log_key_file': self.log_key.key_file,
            'registrar': self.registrar.url,
        }
        self.say()

    def say(self, state=attestation_result.GOOD, pcr=hosts.PCR17):
        document = hosts.result(state, (f'17={pcr}',))
        self.attestd.write(
            hosts.known(compute_1=hosts.verdict(ago=1, document=document))
        )

    def send(self, method, path, client=None, **arguments):
        client = client or self.attestd.client
        return requests.request(
            method,
            f'https://127.0.0.1:{self.port}/v1/evidence{path}',
            verify=self.attestd.authority.ca_file,
            cert=(client.cert_file, client.key_file),
            timeout=process.PATIENCE,
            **arguments,
        )

    def get(self, path):
        answer = self.send('GET', path)
        self.assertEqual(200, answer.status_code, answer.text)
        return answer.json()

    def post(self, path, value, status=200):
        answer = self.send('POST', path, data=strict_json.dumps(value))
        self.assertEqual(status, answer.status_code, answer.text)
        return answer.json()

    def take(self, *envelopes):
        return self.post('/statements', {'envelopes': envelopes})['receipts']

    def started(self):
        self.attestd.start()
        until = time.monotonic() + process.PATIENCE
        while (
            self.attestd.get(
                cert=(
                    self.attestd.client.cert_file,
                    self.attestd.client.key_file,
                )
            ).status_code
            != 200
        ):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)

    def eventually(self, call):
        until = time.monotonic() + process.PATIENCE
        while not (found := call()):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.1)
        return found


class TpmTest(TestCase):
    """The way of a key in a TPM, and of its statements."""

    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(tpm.Tpm())
        self.registrar.results = {
            'ek_tpm': base64.b64encode(self.tpm.make_ek()).decode(),
            'aik_tpm': base64.b64encode(b'the key of quotes').decode(),
        }
        self.tpm.make_parent()
        self.public = self.tpm.make_key('key')
        self.say(pcr=self.tpm.pcr().hex())
        self.started()

    def challenge(self, status=200, **changed):
        return self.post(
            '/keys',
            {
                'kind': 'tpm',
                'agent': hosts.AGENT,
                'public': base64.b64encode(self.public).decode(),
                **changed,
            },
            status,
        )

    def enroll(self):
        made = self.challenge()
        secret = self.tpm.activate('key', base64.b64decode(made['credential']))
        return self.post(
            f'/keys/{made["id"]}/activation',
            {'secret': base64.b64encode(secret).decode()},
        )['keyid']

    def seal(self, **changed):
        judged = tpm_key.judge(
            self.public, [17], {17: (self.tpm_value.hex(),)}
        )
        said = hosts.statement(**changed)
        signer = TpmSigner(self.tpm, judged.public)
        return said, json.loads(envelope.seal(said, signer))

    def test_from_the_key_to_the_verified_statement(self):
        self.tpm_value = self.tpm.pcr()
        key_id = self.enroll()
        # The registrar was asked by whom it knows.
        self.assertEqual(
            [
                ('/version', 'reader'),
                (f'/v2.6/agents/{hosts.AGENT}', 'reader'),
            ],
            self.registrar.paths,
        )
        said, sealed = self.seal()
        self.assertEqual(key_id, sealed['signatures'][0]['keyid'])
        [receipt] = self.take(sealed)
        log = envelope.trusted(
            samples.pem(
                samples.serialization.load_pem_private_key(
                    pathlib.Path(self.log_key.key_file).read_bytes(), None
                ).public_key()
            )
        )
        trusted = trust.Trust(logs=(log,))
        bundle = {'envelope': sealed, 'receipt': receipt}
        found = evidence.verify(bundle, trusted, said.nonce)
        self.assertEqual(said, found.statement)
        # The first entry is about the key.
        self.assertEqual(1, found.index)
        newest = self.get(f'/servers/{said.subject.uuid}?audience=operator')
        self.assertEqual(
            said, evidence.verify(newest['bundle'], trusted).statement
        )
        self.assertIsNone(self.get(f'/servers/{said.subject.uuid}')['bundle'])
        # An auditor keeps the head.
        kept = heads.read(self.get('/head')['head'], [log])[0]
        self.take(self.seal()[1])
        proof = self.get(f'/consistency?from={kept.size}')
        newer = heads.read(proof['head'], [log])[0]
        self.assertEqual((2, 3), (kept.size, newer.size))
        heads.check_newer(kept, newer, proof['path'])
        entries = self.get('/entries?first=0&count=10')['entries']
        self.assertEqual(receipt['entry'], entries[1]['entry'])
        event = key_event.loads(entries[0]['entry'].encode())
        self.assertEqual(
            (key_event.Event.ENROLLED, key_id, hosts.AGENT),
            (event.event, event.key_id, event.agent),
        )

        # Another hypervisor: the TPM does not sign, and the verifier sees it.
        old = self.seal()[1]
        self.tpm.launch('another hypervisor')
        self.assertRaises(tpm.ToolError, self.seal)
        self.say(attestation_result.FAILED, self.tpm.pcr().hex())
        self.eventually(lambda: self.take(old)[0].get('code') == 'key-lost')
        self.assertEqual('standing', self.challenge(409)['code'])
        # Launched again as approved: the key must be enrolled again.
        self.tpm.launch('hypervisor')
        self.say(pcr=self.tpm_value.hex())
        time.sleep(1.5)
        self.assertEqual('key-lost', self.take(old)[0]['code'])
        self.eventually(
            lambda: (
                self.send(
                    'POST',
                    '/keys',
                    data=strict_json.dumps(
                        {
                            'kind': 'tpm',
                            'agent': hosts.AGENT,
                            'public': base64.b64encode(self.public).decode(),
                        }
                    ),
                ).ok
            )
        )
        self.assertEqual(key_id, self.enroll())
        self.assertIn('entry', self.take(old)[0])

    def test_what_is_no_answer_to_a_challenge(self):
        made = self.challenge()
        path = f'/keys/{made["id"]}/activation'
        wrong = {'secret': base64.b64encode(bytes(32)).decode()}
        self.assertEqual('challenge', self.post(path, wrong, 400)['code'])
        # Each challenge can be answered once.
        secret = self.tpm.activate('key', base64.b64decode(made['credential']))
        right = {'secret': base64.b64encode(secret).decode()}
        self.assertEqual('challenge', self.post(path, right, 400)['code'])
        for value in ({}, {'secret': 1}, {'secret': '!'}, []):
            self.assertEqual('malformed', self.post(path, value, 400)['code'])

    def test_what_is_no_key(self):
        for status, code, changed in (
            (400, 'key-form', {'kind': 'file'}),
            (400, 'key-form', {'public': 'AAAA'}),
            (400, 'malformed', {'public': '!'}),
            (400, 'malformed', {'agent': 1}),
            (400, 'malformed', {'more': 1}),
            (409, 'standing', {'agent': 'unknown'}),
        ):
            self.assertEqual(code, self.challenge(status, **changed)['code'])
        # Nobody asked the registrar for any of them.
        self.assertEqual([], self.registrar.paths)

    def test_a_client_has_a_share_of_the_challenges(self):
        for _ in range(8):
            self.challenge()
        self.assertEqual('busy', self.challenge(429)['code'])
        other = self.attestd.authority.issue('other')
        answer = self.send(
            'POST',
            '/keys',
            other,
            data=strict_json.dumps(
                {
                    'kind': 'tpm',
                    'agent': hosts.AGENT,
                    'public': base64.b64encode(self.public).decode(),
                }
            ),
        )
        self.assertEqual(200, answer.status_code)

    def test_other_keys_at_the_registrar(self):
        self.enroll()
        self.registrar.results['aik_tpm'] = 'AAAA'
        self.assertEqual('pin', self.challenge(400)['code'])
        self.registrar.status = 404
        self.assertEqual('registrar', self.challenge(503)['code'])


class LimitTest(TestCase):
    """What a client may send, and who is one."""

    def setUp(self):
        super().setUp()
        self.started()

    def test_limits(self):
        for data, status, code in (
            (b'', 400, 'malformed'),
            (b'{}', 400, 'malformed'),
            (b'{"envelopes":1}', 413, 'too-large'),
            (
                b'{"envelopes":[%s]}' % b','.join(501 * [b'1']),
                413,
                'too-large',
            ),
        ):
            answer = self.send('POST', '/statements', data=data)
            self.assertEqual(
                (status, code), (answer.status_code, answer.json()['code'])
            )
        answer = self.send(
            'POST', '/statements', data=(api.MAX_BATCH_BYTES + 1) * b' '
        )
        self.assertEqual(413, answer.status_code)
        self.assertEqual(
            200 * ['malformed'],
            [one['code'] for one in self.take(*(200 * [{}]))],
        )
        for path in (
            '/consistency',
            '/consistency?from=-1',
            '/consistency?from=1',
            '/entries?first=0',
            '/entries?first=x&count=1',
        ):
            self.assertEqual(400, self.send('GET', path).status_code, path)
        self.assertEqual([], self.get('/consistency?from=0')['path'])

    def test_a_client_without_a_certificate_is_refused(self):
        self.assertRaises(
            requests.ConnectionError,
            requests.get,
            f'https://127.0.0.1:{self.port}/v1/evidence/head',
            verify=self.attestd.authority.ca_file,
            timeout=process.PATIENCE,
        )

    def test_an_administrator_revokes_while_the_daemon_runs(self):
        signer = samples.signer()
        keys = keyring.Keyring(store.Store(self.database))
        keys.enroll(hosts.key(signer))
        sealed = json.loads(envelope.seal(hosts.statement(), signer))
        self.assertIn('entry', self.take(sealed)[0])
        keys.revoke(signer.public_key.keyid, 'stolen')
        self.assertEqual('key-revoked', self.take(sealed)[0]['code'])

    def command(self, *arguments):
        """The exit status of the command, and what it printed."""
        with (
            io.StringIO() as output,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            status = command.main(arguments)
            return status, output.getvalue()

    def keys(self, action, *arguments):
        config = str(self.attestd.config)
        return self.command(
            'keys', '--config-file', config, action, *arguments
        )

    def test_the_commands_for_keys(self):
        signer = samples.signer()
        pem = self.attestd.folder / 'host.pem'
        pem.write_text(hosts.public(signer))
        status, text = self.keys('add', hosts.HOST, str(pem))
        key_id = signer.public_key.keyid
        self.assertEqual((0, key_id), (status, text.strip()))
        said = hosts.statement(key=statements.KeyKind.FILE)
        sealed = json.loads(envelope.seal(said, signer))
        self.assertIn('entry', self.take(sealed)[0])
        self.assertIn(f'{key_id} file active', self.keys('list')[1])
        self.assertEqual(0, self.keys('revoke', key_id, 'it was stolen')[0])
        self.assertEqual('key-revoked', self.take(sealed)[0]['code'])
        self.assertIn('(it was stolen)', self.keys('list')[1])
        status, text = self.keys('add', hosts.HOST, str(pem))
        self.assertEqual(2, status)
        self.assertIn('was revoked', text)
        for arguments in (
            ('revoke', 'unknown', 'why'),
            ('forget', 'unknown'),
            ('add', hosts.HOST, str(self.attestd.config)),
            ('add', hosts.HOST, '/nowhere'),
        ):
            self.assertEqual(2, self.keys(*arguments)[0], arguments)

    def test_the_commands_for_auditors(self):
        public = samples.serialization.load_pem_private_key(
            pathlib.Path(self.log_key.key_file).read_bytes(), None
        ).public_key()
        trusted = self.attestd.folder / 'trust'
        trusted.write_bytes(
            strict_json.dumps(
                {
                    'v': 1,
                    'logs': [samples.pem(public).decode()],
                    'hosts': [],
                    'file_keys': False,
                }
            )
        )

        def check(port=self.port, command=('head', 'kept')):
            return self.command(
                command[0],
                *(str(self.attestd.folder / one) for one in command[1:]),
                *('--url', f'https://127.0.0.1:{port}'),
                *('--trust', str(trusted)),
                *('--ca-file', self.attestd.authority.ca_file),
                *('--cert-file', self.attestd.client.cert_file),
                *('--key-file', self.attestd.client.key_file),
            )

        signer = samples.signer()
        keyring.Keyring(store.Store(self.database)).enroll(hosts.key(signer))
        self.take(json.loads(envelope.seal(hosts.statement(), signer)))
        self.assertIn('nothing was compared', check()[1])
        self.assertEqual(0, check()[0])
        status, text = check(command=['audit'])
        self.assertEqual(0, status)
        self.assertIn('1 statements, 1 about keys', text)
        self.assertIn(f'entry 0: enrolled {signer.public_key.keyid}', text)
        self.assertEqual(2, check(process.free_port())[0])
        # The one who runs the log removes an entry, and signs anew.
        self.attestd.process.terminate()
        self.attestd.process.wait(process.PATIENCE)
        for path in self.attestd.folder.glob('log.sqlite*'):
            path.unlink()
        self.started()
        status, text = check()
        self.assertEqual(1, status)
        self.assertIn('entries were removed', text)

    def test_the_log_stays_over_a_restart(self):
        signer = samples.signer()
        keyring.Keyring(store.Store(self.database)).enroll(hosts.key(signer))
        self.take(json.loads(envelope.seal(hosts.statement(), signer)))
        before = self.get('/head')
        self.attestd.process.terminate()
        self.assertEqual(0, self.attestd.process.wait(process.PATIENCE))
        self.started()
        self.assertEqual(before, self.get('/head'))


class ConfigurationTest(TestCase):
    """What the daemon refuses at its start."""

    def assertRefused(self, text):
        self.attestd.run()
        self.assertEqual(2, self.attestd.process.wait(process.PATIENCE))
        self.assertIn(text, self.attestd.text())

    def test_no_authority_of_clients(self):
        self.attestd.options['client_ca_file'] = None
        self.assertRefused('client_ca_file is not set')

    def test_no_key(self):
        self.attestd.evidence['log_key_file'] = ''
        self.assertRefused('log_key_file is not set')

    def test_a_key_that_others_can_read(self):
        pathlib.Path(self.log_key.key_file).chmod(0o644)
        self.assertRefused('mode 0644')

    def test_no_database(self):
        self.attestd.evidence['database'] = 'sqlite:////nowhere/log'
        self.assertRefused('database of [evidence] failed')
        self.attestd.evidence['database'] = 'nothing'
        self.assertRefused('wanted a URL of SQLAlchemy')

    def test_one_port_twice(self):
        self.attestd.evidence['port'] = self.attestd.port
        self.assertRefused('they must differ')

    def test_a_registrar_without_tls(self):
        self.attestd.evidence['registrar'] = 'http://127.0.0.1:1'
        self.assertRefused('wanted https://HOST:PORT')

    def test_no_log_unless_it_is_configured(self):
        self.attestd.evidence = {}
        self.started()
        self.assertRaises(requests.ConnectionError, self.send, 'GET', '/head')
        self.assertNotIn('log', self.attestd.text().lower().split())
