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

import base64
import hashlib
import importlib.util
import itertools
import json
from pathlib import Path
import subprocess
import sys
import textwrap

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import utils
import ddt
import fixtures
from securesystemslib import dsse
from securesystemslib import signer as signers

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import statement_form
from tests.unit import base
from tests.unit.evidence import samples

_PATH = Path(__file__).parents[3] / 'tools' / 'fuzz_evidence.py'
_SPEC = importlib.util.spec_from_file_location('fuzz_evidence', _PATH)
assert _SPEC and _SPEC.loader
fuzz_evidence = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz_evidence)


class OtherKey(signers.CryptoSigner):
    """Says that it has another key than the one with which it signs."""

    def __init__(self, one, other):
        super().__init__(one._private_key, one.public_key)
        self._other = other

    @property
    def public_key(self):
        return self._other.public_key


@ddt.ddt
class EnvelopeTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.signer = samples.signer()
        self.keys = [self.signer.public_key]
        self.data = envelope.seal(samples.OPERATOR, self.signer)

    def assertRefused(self, code, data, keys=None):
        with self.assertRaises(errors.BadEvidence) as caught:
            envelope.open_envelope(data, keys or self.keys)
        self.assertEqual(code, caught.exception.code, caught.exception)

    def test_opens(self):
        for given in (self.data, json.loads(self.data)):
            self.assertEqual(
                samples.OPERATOR, envelope.open_envelope(given, self.keys)
            )
        both = [samples.signer().public_key, *self.keys]
        self.assertEqual(
            samples.OPERATOR, envelope.open_envelope(self.data, both)
        )

    def test_given_values_are_not_changed(self):
        value = json.loads(self.data)
        envelope.open_envelope(value, self.keys)
        self.assertEqual(json.loads(self.data), value)

    def test_digest_is_that_of_the_content(self):
        """Two signatures over one content are one statement."""
        again = envelope.seal(samples.OPERATOR, self.signer)
        self.assertNotEqual(self.data, again)
        one, other = envelope.read(self.data), envelope.read(again)
        self.assertEqual(one.digest, other.digest)
        payload = statement_form.dumps(samples.OPERATOR)
        self.assertEqual(
            hashlib.sha256(
                b'DSSEv1 28 application/vnd.in-toto+json %d %b'
                % (len(payload), payload)
            ).hexdigest(),
            one.digest,
        )

    def test_key_id(self):
        self.assertEqual(
            self.signer.public_key.keyid, envelope.read(self.data).key_id
        )
        self.assertRegex(self.signer.public_key.keyid, '^[0-9a-f]{64}$')

    def test_securesystemslib_alone(self):
        """The check of somebody who has nothing of ours."""
        value = json.loads(self.data)
        key = signers.SSlibKey(
            value['signatures'][0]['keyid'],
            'ecdsa',
            'ecdsa-sha2-nistp256',
            {'public': self.signer.public_key.keyval['public']},
        )
        found = dsse.Envelope.from_dict(json.loads(self.data))
        self.assertEqual({key.keyid: key}, found.verify([key], 1))
        self.assertEqual(
            'isolation:svirt',
            json.loads(found.payload)['predicate']['proofs'][0]['requirement'],
        )

    def test_openssl_alone(self):
        """The commands of the documentation, as they are there."""
        page = _PATH.parents[1] / 'doc/source/reference/evidence-statement.rst'
        lines = page.read_text().splitlines()
        first = lines.index('   import base64, json')
        program = textwrap.dedent(
            '\n'.join(
                itertools.takewhile(
                    lambda line: not line or line.startswith('   '),
                    lines[first:],
                )
            )
        )
        (check,) = [one[5:] for one in lines if one.startswith('   $ openssl')]
        folder = Path(self.useFixture(fixtures.TempDir()).path)
        value = {'envelope': json.loads(self.data), 'receipt': None}
        (folder / 'statement.json').write_text(json.dumps(value))
        (folder / 'host.pem').write_text(
            self.signer.public_key.keyval['public']
        )
        subprocess.run(
            [sys.executable, '-c', program],
            cwd=folder,
            check=True,
            timeout=60,
        )

        def openssl():
            return subprocess.run(
                check.split(),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout.strip()

        self.assertEqual('Verified OK', openssl())
        self.assertIn('Verified OK', page.read_text())
        signed = folder / 'signed'
        signed.write_bytes(signed.read_bytes() + b' ')
        self.assertNotIn('OK', openssl())

    def test_other_keys(self):
        other = samples.signer()
        self.assertRefused(
            errors.Code.UNKNOWN_KEY, self.data, [other.public_key]
        )
        value = json.loads(self.data)
        value['signatures'][0]['keyid'] = other.public_key.keyid
        self.assertRefused(
            errors.Code.SIGNATURE,
            json.dumps(value).encode(),
            [*self.keys, other.public_key],
        )

    def test_no_keys(self):
        with self.assertRaises(errors.BadEvidence):
            envelope.open_envelope(self.data, [])

    def test_signer_of_another_key(self):
        wrong = OtherKey(self.signer, samples.signer())
        with self.assertRaises(errors.BadEvidence) as caught:
            envelope.seal(samples.OPERATOR, wrong)
        self.assertEqual(errors.Code.SIGNATURE, caught.exception.code)

    def test_other_value_of_s(self):
        """It verifies too, and is refused: an envelope has one form."""
        value = json.loads(self.data)
        one = value['signatures'][0]
        r, s = utils.decode_dss_signature(base64.b64decode(one['sig']))
        one['sig'] = base64.b64encode(
            utils.encode_dss_signature(r, envelope._ORDER - s)
        ).decode()
        data = json.dumps(value)
        dsse.Envelope.from_dict(json.loads(data)).verify(self.keys, 1)
        self.assertRefused(errors.Code.ENVELOPE, data.encode())

    @ddt.data(
        {'payloadType': 'application/json'},
        {'payloadType': None},
    )
    def test_payload_type(self, other):
        value = {**json.loads(self.data), **other}
        self.assertRefused(
            errors.Code.PAYLOAD_TYPE, json.dumps(value).encode()
        )

    @ddt.data(
        {'more': 1},
        {'payload': 1},
        {'payload': 'eA==\n'},
        {'payload': 'eB=='},
        {'signatures': []},
        {'signatures': [1]},
        {'signatures': {}},
    )
    def test_form(self, other):
        value = {**json.loads(self.data), **other}
        self.assertRefused(errors.Code.ENVELOPE, json.dumps(value).encode())

    def test_too_long(self):
        data = self.data[:-1] + b' ' * envelope.MAX_BYTES + b'}'
        self.assertRefused(errors.Code.SIZE, data)

    def test_signed_but_no_statement(self):
        made = dsse.Envelope(b'{}', envelope.PAYLOAD_TYPE, {})
        while True:
            made.sign(self.signer)
            value = made.to_dict()
            raw = base64.b64decode(value['signatures'][0]['sig'])
            if envelope._unique(raw) == raw:
                break
        self.assertRefused(
            errors.Code.STATEMENT_TYPE, json.dumps(value).encode()
        )

    @ddt.data(
        samples.pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        samples.pem(ed25519.Ed25519PrivateKey.generate().public_key()),
        b'',
        b'-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
    )
    def test_unusable_key(self, pem):
        with self.assertRaises(errors.BadEvidence) as caught:
            envelope.trusted(pem)
        self.assertEqual(errors.Code.KEY, caught.exception.code)


class FuzzTest(base.TestCase):
    """The whole is ``tools/fuzz_evidence.py``, with 100,000."""

    def test_no_altered_envelope_is_accepted(self):
        accepted, codes = fuzz_evidence.run(3000, 14)
        self.assertEqual([], accepted)
        self.assertEqual(3000, sum(codes.values()))
        # What passes the reader must be stopped by the signature.
        self.assertGreater(codes[errors.Code.SIGNATURE.value], 300)

    def test_would_notice(self):
        """Who checks no signature accepts many of them."""
        opened = self.mock_signature()
        accepted, _ = fuzz_evidence.run(300, 14)
        self.assertTrue(opened)
        self.assertTrue(accepted)

    def mock_signature(self):
        seen = []
        original = dsse.Envelope.verify
        dsse.Envelope.verify = lambda *args: seen.append(args)
        self.addCleanup(setattr, dsse.Envelope, 'verify', original)
        return seen
