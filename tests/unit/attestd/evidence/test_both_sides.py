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

"""Both sides together: a host with its TPM, and the log of a real daemon."""

import base64
import pathlib
import types

from nova_isolation import evidence
from nova_isolation.attester import errors
from nova_isolation.attester import key_folder
from nova_isolation.attester import log_client
from nova_isolation.evidence import envelope
from nova_isolation.evidence import trust
from tests.unit.attestd.evidence import hosts
from tests.unit.attestd.evidence import test_service
from tests.unit.attester import swtpm
from tests.unit.attester import test_tpm_key
from tests.unit.evidence import samples


class HostTest(test_service.TestCase):
    """What a host does, without a stand-in for the log."""

    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(swtpm.Swtpm())
        self.tpm.launch('hypervisor')
        self.tpm.run(
            *('tpm2_createek', '-Q', '-G', 'rsa'),
            *('-c', test_tpm_key.EK, '-u', '/dev/null'),
        )
        ek = self.attestd.folder / 'ek.pub'
        self.tpm.run(
            *('tpm2_readpublic', '-Q', '-c', test_tpm_key.EK),
            *('-f', 'tss', '-o', str(ek)),
        )
        self.tpm.run('tpm2_flushcontext', '-t')
        self.registrar.results = {
            'ek_tpm': base64.b64encode(ek.read_bytes()).decode(),
            'aik_tpm': base64.b64encode(b'the key of quotes').decode(),
        }
        pcr = self.attestd.folder / 'pcr'
        self.tpm.run('tpm2_pcrread', '-Q', 'sha256:17', '-o', str(pcr))
        self.say(pcr=pcr.read_bytes().hex())
        client = self.attestd.client
        options = types.SimpleNamespace(
            signing_key='tpm',
            key_dir=str(self.attestd.folder / 'keys'),
            tpm_tcti=self.tpm.tcti,
            tpm_key_handle='0x81020001',
            tpm_ek_handle=test_tpm_key.EK,
            url=f'https://127.0.0.1:{self.port}',
            ca_file=self.attestd.authority.ca_file,
            cert_file=client.cert_file,
            key_file=client.key_file,
            timeout=30.0,
            clock_skew=5.0,
        )
        self.keys = key_folder.KeyFolder(options)
        self.client = log_client.LogClient(options)
        self.started()

    def enroll(self):
        challenge, credential = self.client.challenge(
            hosts.AGENT, self.keys.tpm_public()
        )
        return self.client.activate(
            challenge, self.keys.activate(credential, '')
        )

    def test_from_the_key_to_the_verified_statement(self):
        self.keys.create(False, '')
        said = hosts.statement()
        sealed = envelope.seal(said, self.keys.signer())
        [refused] = self.client.send([sealed])
        self.assertEqual('key-unknown', refused.code)
        self.assertEqual(self.keys.public().keyid, self.enroll())
        [receipt] = self.client.send([sealed])
        private = samples.serialization.load_pem_private_key(
            pathlib.Path(self.log_key.key_file).read_bytes(), None
        )
        log = envelope.trusted(samples.pem(private.public_key()))
        bundle = {'envelope': envelope.read(sealed).value, 'receipt': receipt}
        found = evidence.verify(bundle, trust.Trust((log,)), said.nonce)
        self.assertEqual(said, found.statement)

    def test_a_key_of_another_launch(self):
        """The key is bound to what the verifier does not approve."""
        self.tpm.launch('another hypervisor')
        self.keys.create(False, '')
        error = self.assertRaises(errors.AttesterError, self.enroll)
        self.assertIn('key-policy', str(error))
