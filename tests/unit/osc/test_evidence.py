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

"""Signed statements: how they are asked for, and verified."""

import json
import pathlib
from unittest import mock

import fixtures

from nova_isolation.evidence import envelope
from tests.unit.evidence import samples
from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_ASK = ('server', 'isolation', 'evidence')
_VERIFY = ('isolation', 'evidence', 'verify')


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file, self.trust = folder / 'statement', folder / 'trust'
        self.signer = samples.signer()
        self.trust.write_text(
            json.dumps(
                {
                    'v': 1,
                    'logs': [],
                    'hosts': [self.signer.public_key.keyval['public']],
                    'file_keys': False,
                }
            )
        )

    def bundle(self, stated=samples.OPERATOR):
        sealed = envelope.seal(stated, self.signer)
        return {'envelope': json.loads(sealed), 'receipt': None}


class AskTest(TestCase):
    def setUp(self):
        super().setUp()
        self.uuid = fake_cloud.uuid(7)
        self.cloud.servers = {self.uuid: {'id': self.uuid, 'name': 'vm'}}
        self.answer = {
            'server': self.uuid,
            'audience': 'operator',
            'bundle': self.bundle(),
            'code': '',
            'detail': '',
        }
        self.cloud.statements = {self.uuid: self.answer}

    def test_newest_and_now(self):
        for name in (self.uuid, 'vm'):
            out = self.run_ok(*_ASK, name)
            self.assertEqual(self.answer['bundle'], json.loads(out))
        self.run_ok(*_ASK, 'vm', '--nonce', 'a-nonce-of-mine')
        self.assertEqual([None, None, 'a-nonce-of-mine'], self.cloud.nonces)

    def test_to_a_file_and_verified(self):
        """Not a letter of what is signed is changed on the way."""
        self.assertEqual(
            '', self.run_ok(*_ASK, 'vm', '--output', str(self.file))
        )
        # More than other texts of the service may have.
        self.answer['bundle']['receipt'] = {'entry': 'x' * 9000}
        out = self.run_ok(*_ASK, 'vm')
        self.assertEqual(self.answer['bundle'], json.loads(out))
        self.run_ok(*_VERIFY, str(self.file), '--trust', str(self.trust))

    def test_not_countersigned(self):
        self.answer |= {'code': 'away', 'detail': 'The log is away.'}
        result = self.openstack(*_ASK, 'vm')
        self.assertEqual(1, result.status)
        self.assertIn('The log is away. [away]', result.stderr)
        self.assertEqual(self.answer['bundle'], json.loads(result.stdout))

    def test_none(self):
        self.answer |= {'bundle': None, 'code': 'none', 'detail': 'None yet.'}
        self.assertIn('None yet', self.fails(*_ASK, 'vm', status=1))

    def test_unknown(self):
        self.assertIn('no such server', self.fails(*_ASK, fake_cloud.uuid(8)))

    def test_away(self):
        self.away()
        self.assertIn('does not answer', self.fails(*_ASK, self.uuid))


class VerifyTest(TestCase):
    def verify(self, status, *more):
        self.file.write_text(json.dumps(self.value))
        # Nobody is asked.
        self.cloud.broken['GET', '.*'] = 500
        return self.run_ok(
            *_VERIFY,
            str(self.file),
            '--trust',
            str(self.trust),
            *more,
            status=status,
        )

    def test_met_and_not_met(self):
        self.value = self.bundle()
        out = self.verify(0, '--nonce', samples.OPERATOR.nonce)
        self.assertIn('found that the guest meets its flavor', out)
        self.value = self.bundle(samples.OWNER)
        self.assertIn('does NOT meet', self.verify(3))

    def test_not_accepted(self):
        self.value = self.bundle()
        self.assertIn(
            'evidence.nonce', self.verify(1, '--nonce', 'another-nonce')
        )
        self.value['envelope']['payload'] += 'AAAA'
        self.assertIn('NOT ACCEPTED', self.verify(1))

    def test_files_and_libraries(self):
        self.file.write_text('{}')
        for trust in ('/nonexistent', str(self.file)):
            self.assertTrue(
                self.fails(*_VERIFY, str(self.file), '--trust', trust)
            )
        with mock.patch.dict('sys.modules', {'nova_isolation.evidence': None}):
            self.assertIn(
                'nova-isolation[evidence]',
                self.fails(
                    *_VERIFY, str(self.file), '--trust', str(self.trust)
                ),
            )
