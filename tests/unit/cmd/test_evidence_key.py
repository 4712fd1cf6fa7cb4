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

"""Tests of nova_isolation.cmd.evidence_key, with a real TPM of swtpm."""

import argparse
import base64
import contextlib
import hashlib
import io
from pathlib import Path
from unittest import mock

import fixtures
from oslo_config import cfg

from nova_isolation.attester import opts
from nova_isolation.cmd import error
from nova_isolation.cmd import evidence_key
from nova_isolation.evidence import envelope
from tests.unit import base
from tests.unit.attester import log_server
from tests.unit.attester import swtpm
from tests.unit.attester import test_tpm_key

KEYS = '/v1/evidence/keys'


class CommandCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)
        self.conf = cfg.ConfigOpts()
        opts.register(self.conf)
        self.conf([], project='nova')
        patch = mock.patch.object(evidence_key, 'CONF', self.conf)
        patch.start()
        self.addCleanup(patch.stop)

    def configure(self, **given):
        given.setdefault('key_dir', str(self.folder / 'keys'))
        for name, value in given.items():
            self.conf.set_override(name, value, 'isolation_evidence')

    def run_command(self, *words):
        parser = argparse.ArgumentParser()
        evidence_key.add(parser.add_subparsers())
        given = parser.parse_args(['evidence-key', *words])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(0, given.run(given))
        return out.getvalue()

    def refused(self, words, *command):
        with self.assertRaises(error.CommandError) as caught:
            self.run_command(*command)
        self.assertIn(words, str(caught.exception))


class FileKeyTest(CommandCase):
    def test_create_and_show(self):
        self.configure(signing_key='file')
        self.refused('evidence-key create', 'show')
        made = self.run_command('create')
        self.assertEqual(made, self.run_command('show'))
        first, pem = made.split('\n', 1)
        key = envelope.trusted(pem.encode())
        self.assertEqual(f'file key {key.keyid}', first)
        self.assertNotIn('PRIVATE', made)
        self.refused('--replace', 'create')
        self.assertNotEqual(made, self.run_command('create', '--replace'))

    def test_enroll(self):
        self.configure(signing_key='file')
        self.run_command('create')
        self.refused('administrator', 'enroll', '--agent', 'a')

    def test_not_configured(self):
        self.refused('signing_key', 'create')


class TpmKeyTest(CommandCase):
    """The log's part is that of tpm2_makecredential."""

    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(swtpm.Swtpm())
        self.tpm.launch('hypervisor-A')
        self.tpm.run(
            *('tpm2_createek', '-Q', '-G', 'rsa'),
            *('-c', test_tpm_key.EK, '-u', '/dev/null'),
        )
        for handle in self.tpm.handles('transient'):
            if handle != b'-':
                self.tpm.run('tpm2_flushcontext', handle)
        self.log = self.useFixture(log_server.Log())
        self.configure(
            signing_key='tpm', tpm_tcti=self.tpm.tcti, **self.log.options()
        )

    def challenge(self, public):
        """A credential for a key, and the secret in it."""
        ek, secret, credential = (
            self.folder / name for name in ('ek', 'secret', 'credential')
        )
        self.tpm.run(
            *('tpm2_readpublic', '-Q', '-c', test_tpm_key.EK),
            *('-f', 'pem', '-o', ek),
        )
        secret.write_bytes(b's' * 32)
        name = hashlib.sha256(public[2:]).hexdigest()
        self.tpm.run(
            *('tpm2_makecredential', '-Q', '-T', 'none', '-G', 'rsa'),
            *('-u', ek, '-s', secret, '-n', f'000b{name}', '-o', credential),
        )
        return credential.read_bytes()

    def test_enroll(self):
        made = self.run_command('create')
        key_id = made.split()[2]
        public = (self.folder / 'keys' / 'public.tpm2b').read_bytes()
        self.log.answers = {
            KEYS: (
                201,
                {
                    'id': 'c1',
                    'credential': base64.b64encode(
                        self.challenge(public)
                    ).decode(),
                    'expires_in': 60,
                },
            ),
            f'{KEYS}/c1/activation': (200, {'keyid': key_id}),
        }
        said = self.run_command('enroll', '--agent', 'agent-1')
        self.assertIn(key_id, said)
        (_, first), (_, second) = self.log.requests
        self.assertEqual(
            {
                'kind': 'tpm',
                'agent': 'agent-1',
                'public': base64.b64encode(public).decode(),
            },
            first,
        )
        self.assertEqual(b's' * 32, base64.b64decode(second['secret']))

        # The log has another key than this host by now.
        self.log.answers[f'{KEYS}/c1/activation'] = (200, {'keyid': 'x'})
        self.refused('--replace', 'enroll', '--agent', 'agent-1')

    def test_refused(self):
        self.run_command('create')
        for answer, words in (
            (
                (403, {'code': 'key-policy', 'detail': 'PCR 17 is another'}),
                'PCR 17 is another [key-policy]',
            ),
            ((201, {'id': '../x', 'credential': 'eA=='}), 'a credential'),
            ((201, {'id': 'c1', 'credential': '!'}), 'a credential'),
            # Made for another TPM.
            ((201, {'id': 'c1', 'credential': 'eHh4eA=='}), 'tpm2_activ'),
        ):
            self.log.answers = {KEYS: answer}
            self.refused(words, 'enroll', '--agent', 'agent-1')

    def test_without_a_key(self):
        self.refused('evidence-key create', 'enroll', '--agent', 'a')
