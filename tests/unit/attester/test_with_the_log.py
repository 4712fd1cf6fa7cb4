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

"""A host with a real TPM, and the daemon with the log: nothing is faked but
what the verifier says.
"""

import base64
import pathlib
import time
import types

from nova_isolation import evidence
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import tpm_key as judge
from nova_isolation.attester import errors
from nova_isolation.attester import key_folder
from nova_isolation.attester import log_client
from nova_isolation.attester import outbox
from nova_isolation.evidence import envelope
from nova_isolation.evidence import statement
from nova_isolation.evidence import trust
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit.attestd.evidence import hosts
from tests.unit.attestd.evidence import test_service
from tests.unit.attester import swtpm
from tests.unit.attester import test_tpm_key
from tests.unit.evidence import samples

OPERATOR = statement.Audience.OPERATOR


class WithTheLogTest(test_service.TestCase):
    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(swtpm.Swtpm())
        self.tpm.launch('hypervisor-A')
        folder = pathlib.Path(self.attestd.folder) / 'keys'
        self.keys = key_folder.KeyFolder(
            test_tpm_key.Options(folder, self.tpm.tcti)
        )
        self.keys.create(False, '')
        self.pcr = (
            self.tpm.run('tpm2_pcrread', 'sha256:17')
            .split()[-1]
            .decode()
            .removeprefix('0x')
            .lower()
        )
        self.registrar.results = {
            'ek_tpm': base64.b64encode(self.make_ek()).decode(),
            'aik_tpm': base64.b64encode(b'the key of quotes').decode(),
        }
        self.say(pcr=self.pcr)
        self.started()
        client = self.attestd.client
        self.options = types.SimpleNamespace(
            url=f'https://127.0.0.1:{self.port}',
            ca_file=self.attestd.authority.ca_file,
            cert_file=client.cert_file,
            key_file=client.key_file,
            timeout=20.0,
            clock_skew=5.0,
        )
        self.client = log_client.LogClient(self.options)
        self.addCleanup(self.client.close)
        pem = samples.serialization.load_pem_private_key(
            pathlib.Path(self.log_key.key_file).read_bytes(), None
        ).public_key()
        self.trust = trust.Trust(logs=(envelope.trusted(samples.pem(pem)),))

    def make_ek(self):
        folder = pathlib.Path(self.attestd.folder)
        self.tpm.run(
            *('tpm2_createek', '-Q', '-G', 'rsa', '-c', test_tpm_key.EK),
            *('-u', folder / 'ek'),
        )
        for handle in self.tpm.handles('transient'):
            if handle != b'-':
                self.tpm.run('tpm2_flushcontext', handle)
        self.tpm.run(
            *('tpm2_readpublic', '-Q', '-c', test_tpm_key.EK),
            *('-f', 'tss', '-o', folder / 'ek'),
        )
        return (folder / 'ek').read_bytes()

    def enroll(self):
        name, credential = self.client.challenge(
            hosts.AGENT, self.keys.tpm_public()
        )
        return self.client.activate(name, self.keys.activate(credential, ''))

    def box(self):
        made = outbox.Outbox(
            self.keys.signer,
            log_client.LogClient(self.options),
            10,
            lambda uuid: None,
        )
        self.addCleanup(made.stop)
        return made

    def test_the_way_of_a_statement(self):
        self.assertEqual(self.keys.public().keyid, self.enroll())
        said = hosts.statement()
        box = self.box()
        box.put(said)
        self.eventually(lambda: not box.waiting)
        bundle = self.client.newest(said.subject.uuid, OPERATOR)
        found = evidence.verify(bundle, self.trust, said.nonce)
        self.assertEqual(said, found.statement)
        self.assertEqual(statement.KeyKind.TPM, found.entry.kind)

        # Another hypervisor: nothing is signed, and what is stated waits.
        self.tpm.launch('hypervisor-B')
        self.assertRaises(
            errors.LaunchedOtherwise, self.keys.signer().sign, b''
        )
        box.put(hosts.statement())
        self.eventually(lambda: 'PCR 17' in box._trouble)
        self.assertEqual(1, box.waiting)
        self.assertEqual(
            bundle, self.client.newest(said.subject.uuid, OPERATOR)
        )

    def test_before_it_is_enrolled(self):
        box = self.box()
        said = hosts.statement()
        box.put(said)
        self.eventually(lambda: 'key-unknown' in box._trouble)
        self.enroll()
        self.eventually(lambda: not box.waiting)
        self.assertTrue(self.client.newest(said.subject.uuid, OPERATOR))

    def test_a_host_that_has_lost_its_standing(self):
        self.enroll()
        self.say(attestation_result.FAILED, self.pcr)
        box = self.box()
        self.eventually(lambda: self.refused(hosts.statement()))
        box.put(hosts.statement())
        self.eventually(lambda: 'key-lost' in box._trouble)
        self.assertEqual(1, box.waiting)

    def refused(self, said):
        (answer,) = self.client.send([envelope.seal(said, self.keys.signer())])
        return isinstance(answer, log_client.Refusal)

    def test_of_another_host(self):
        self.enroll()
        other = statement.Host('compute-2', 'fa' * 32, hosts.AGENT, 3)
        (answer,) = self.client.send(
            [envelope.seal(hosts.statement(host=other), self.keys.signer())]
        )
        self.assertEqual('host', answer.code)

    def test_each_byte_of_the_public_area(self):
        area = self.keys.tpm_public()
        found = judge.judge(area, [17], {17: [self.pcr]})
        self.assertEqual(
            self.keys.public(), envelope.trusted(samples.pem(found.public))
        )
        with self.assertRaises(refusal.Refused):
            judge.judge(area, [17], {17: ['ab' * 32]})

    def test_a_key_that_was_imported(self):
        """It activates, so the public area must be looked at."""
        folder = pathlib.Path(self.attestd.folder)
        area = bytearray(self.keys.tpm_public())
        # fixedTPM and fixedParent clear, as an imported key has them.
        area[6:10] = (0x00040000).to_bytes(4, 'big')
        (folder / 'keys' / 'public.tpm2b').write_bytes(area)
        with self.assertRaises(errors.AttesterError) as caught:
            self.enroll()
        self.assertIn('key-form', str(caught.exception))

    def test_the_daemon_is_away(self):
        self.enroll()
        self.attestd.kill()
        box = self.box()
        begun = time.monotonic()
        said = hosts.statement()
        box.put(said)
        self.assertLess(time.monotonic() - begun, 1)
        self.eventually(lambda: box._trouble)
        self.assertEqual(1, box.waiting)
        self.started()
        self.eventually(lambda: not box.waiting)
        self.assertTrue(self.client.newest(said.subject.uuid, OPERATOR))
