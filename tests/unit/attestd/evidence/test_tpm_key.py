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

"""Which keys of a TPM may sign statements, by a real TPM in software."""

import hashlib
import secrets
import subprocess

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from nova_isolation.attestd.evidence import credential
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import tpm_key
from tests.unit import base
from tests.unit.attestd.evidence import tpm

_SECRET = bytes(range(32))


class TestCase(base.TestCase):
    """A host with a TPM, whose verifier approves what was launched."""

    def setUp(self):
        super().setUp()
        self.tpm = self.useFixture(tpm.Tpm())
        self.ek = self.tpm.make_ek()
        self.tpm.make_parent()
        self.approved = {17: (self.tpm.pcr().hex(),)}

    def judge(self, public, **kwargs):
        return tpm_key.judge(
            public, [17], **{'approved': self.approved, **kwargs}
        )

    def challenge(self, name, ek=None):
        return credential.make(
            credential.endorsement_key(ek or self.ek), name, _SECRET
        )

    def assertRefused(self, code, call, *args, **kwargs):
        error = self.assertRaises(refusal.Refused, call, *args, **kwargs)
        self.assertIs(code, error.code)
        return str(error)

    def name(self, public):
        return b'\0\x0b' + hashlib.sha256(public[2:]).digest()


class GoodKeyTest(TestCase):
    """A key as it must be."""

    def test_it_is_taken_and_activates_and_signs(self):
        key = self.judge(self.tpm.make_key('key'))
        self.assertEqual(
            _SECRET, self.tpm.activate('key', self.challenge(key.name))
        )
        signature = self.tpm.sign('key', hashlib.sha256(b'text').digest())
        key.public.verify(signature, b'text', ec.ECDSA(hashes.SHA256()))
        # Another hypervisor: the TPM refuses.
        self.tpm.launch('another hypervisor')
        error = self.assertRaises(
            tpm.ToolError, self.tpm.sign, 'key', bytes(32)
        )
        self.assertIn('0x99D', str(error))

    def test_an_ecc_endorsement_key(self):
        self.tpm.run(
            'tpm2_evictcontrol', '-C', 'o', '-c', '0x81010001', flush=False
        )
        ek = self.tpm.make_ek('ecc')
        key = self.judge(self.tpm.make_key('key'))
        self.assertEqual(
            _SECRET, self.tpm.activate('key', self.challenge(key.name, ek))
        )

    def test_one_of_several_approved_values(self):
        approved = {17: ('11' * 32, 'ab' * 20, *self.approved[17])}
        self.judge(self.tpm.make_key('key'), approved=approved)

    def test_the_policy_is_the_one_of_the_tools(self):
        self.assertEqual(
            self.tpm.read('policy'), tpm_key.policy({17: self.tpm.pcr()})
        )
        self.tpm.run('tpm2_startauthsession', '-S', 't.ctx', flush=False)
        self.tpm.run(
            *('tpm2_policypcr', '-S', 't.ctx', '-l', 'sha256:0,17,18'),
            *('-L', 'several'),
            flush=False,
        )
        self.assertEqual(
            self.tpm.read('several'),
            tpm_key.policy({n: self.tpm.pcr(n) for n in (18, 0, 17)}),
        )


class AttackTest(TestCase):
    """Keys that must not be taken; some of them activate."""

    def soft(self):
        """Make a key outside of the TPM."""
        subprocess.run(
            'openssl ecparam -name prime256v1 -genkey -noout -out soft.pem',
            shell=True,
            cwd=self.tpm.folder,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def test_an_imported_key_activates_and_is_refused(self):
        self.soft()
        self.tpm.run(
            *('tpm2_import', '-C', 'parent.ctx', '-G', 'ecc'),
            *('-i', 'soft.pem', '-u', 'key.pub', '-r', 'key.priv'),
            *('-L', 'policy', '-a', 'sign'),
        )
        self.tpm.load('key')
        public = self.tpm.read('key.pub')
        self.assertEqual(
            _SECRET,
            self.tpm.activate('key', self.challenge(self.name(public))),
        )
        self.assertRefused(refusal.Code.KEY_FORM, self.judge, public)

    def test_a_key_that_signs_without_the_register_is_refused(self):
        public = self.tpm.make_key('key', f'{tpm.ATTRIBUTES}|userwithauth')
        self.assertEqual(
            _SECRET,
            self.tpm.activate('key', self.challenge(self.name(public))),
        )
        text = self.assertRefused(refusal.Code.KEY_FORM, self.judge, public)
        self.assertIn('found 0x00040072', text)

    def test_other_attributes_are_refused(self):
        for more in ('adminwithpolicy', 'decrypt', 'noda', 'stclear'):
            kind = 'ecc256' if more == 'decrypt' else 'ecc256:ecdsa-sha256'
            public = self.tpm.make_key('key', f'{tpm.ATTRIBUTES}|{more}', kind)
            self.assertRefused(refusal.Code.KEY_FORM, self.judge, public)

    def test_other_kinds_are_refused(self):
        for kind in (
            'rsa2048:rsassa-sha256',
            'ecc384:ecdsa-sha256',
            'ecc256:ecdsa-sha1',
            'ecc256:ecschnorr-sha256',
            'ecc256',
        ):
            try:
                public = self.tpm.make_key('key', kind=kind)
            except tpm.ToolError:
                # The TPM does not have it.
                self.assertIn(kind, ('ecc256:ecschnorr-sha256',))
                continue
            self.assertRefused(refusal.Code.KEY_FORM, self.judge, public)

    def test_a_forged_public_area_does_not_activate(self):
        """The key is outside, the public area says what ours says."""
        good = self.tpm.make_key('good')
        outside = ec.generate_private_key(ec.SECP256R1()).public_key()
        numbers = outside.public_numbers()
        forged = good[:-68] + b''.join(
            b'\0\x20' + one.to_bytes(32, 'big')
            for one in (numbers.x, numbers.y)
        )
        key = self.judge(forged)
        self.tpm.write('forged.pub', forged)
        self.tpm.run(
            *('tpm2_loadexternal', '-C', 'o', '-u', 'forged.pub'),
            *('-c', 'forged.ctx'),
        )
        challenge = self.challenge(key.name)
        for name, code in (('forged', '0x12F'), ('good', '0x1DF')):
            error = self.assertRaises(
                tpm.ToolError, self.tpm.activate, name, challenge
            )
            self.assertIn(code, str(error))

    def test_another_tpm_does_not_activate(self):
        key = self.judge(self.tpm.make_key('key'))
        other = self.useFixture(tpm.Tpm())
        ek = other.make_ek()
        self.assertNotEqual(self.ek, ek)
        self.assertRaises(
            tpm.ToolError,
            self.tpm.activate,
            'key',
            self.challenge(key.name, ek),
        )

    def test_a_register_that_is_not_approved(self):
        public = self.tpm.make_key('key')
        for approved in (
            {},
            {17: ()},
            {17: ('11' * 32,)},
            {17: ('ff' * 32,)},
            {17: ('00' * 32,)},
            {18: self.approved[17]},
        ):
            self.assertRefused(
                refusal.Code.KEY_POLICY,
                self.judge,
                public,
                approved=approved,
            )

    def test_a_policy_of_the_register_before_any_launch(self):
        """Even if the verifier approves that value."""
        unlaunched = bytes.fromhex('ff' * 32)
        public = self.tpm.make_key('key')
        altered = public[:12] + tpm_key.policy({17: unlaunched}) + public[44:]
        self.assertRefused(
            refusal.Code.KEY_POLICY,
            self.judge,
            altered,
            approved={17: (unlaunched.hex(), *self.approved[17])},
        )

    def test_a_register_that_any_program_can_reset(self):
        public = self.tpm.make_key('key')
        altered = public[:12] + tpm_key.policy({23: bytes(31) + b'1'})
        self.assertRefused(
            refusal.Code.KEY_POLICY,
            tpm_key.judge,
            altered + public[44:],
            [23],
            {23: ((bytes(31) + b'1').hex(),)},
        )

    def test_no_altered_public_area_is_taken(self):
        public = self.tpm.make_key('key')
        name = self.judge(public).name
        for at in range(len(public)):
            for bit in range(8):
                altered = bytearray(public)
                altered[at] ^= 1 << bit
                try:
                    key = self.judge(bytes(altered))
                except refusal.Refused:
                    continue
                # Another point of the curve is another key.
                self.assertNotEqual(name, key.name)
                self.assertGreaterEqual(at, len(public) - 68)
        for length in range(len(public)):
            self.assertRaises(refusal.Refused, self.judge, public[:length])
        self.assertRaises(refusal.Refused, self.judge, public + b'\0')

    def test_other_endorsement_keys_are_refused(self):
        key = self.tpm.make_key('key')
        for data in (
            b'',
            key,
            self.tpm.read('ek.pub')[:-1],
            self.tpm.read('ek.pub') + b'\0',
            secrets.token_bytes(316),
        ):
            self.assertRefused(
                refusal.Code.REGISTRAR, credential.endorsement_key, data
            )
