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

"""Tests of a key in a file."""

import os
from pathlib import Path

import fixtures

from nova_isolation.attester import errors
from nova_isolation.attester import key_folder
from nova_isolation.evidence import envelope
from nova_isolation.evidence import statement
from tests.unit import base
from tests.unit.attester import test_tpm_key
from tests.unit.evidence import samples


class Options(test_tpm_key.Options):
    signing_key = 'file'


class FileKeyTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path) / 'keys'
        self.keys = key_folder.KeyFolder(Options(self.folder, ''))

    def assertUnusable(self, words):
        with self.assertRaises(errors.AttesterError) as caught:
            self.keys.signer()
        self.assertIn(words, str(caught.exception))

    def test_signs(self):
        self.assertUnusable('evidence-key create')
        self.keys.create(False, '')
        self.assertEqual(statement.KeyKind.FILE, self.keys.kind)
        data = envelope.seal(samples.OPERATOR, self.keys.signer())
        self.assertEqual(
            samples.OPERATOR,
            envelope.open_envelope(data, [self.keys.public()]),
        )
        self.assertEqual(0o700, self.folder.stat().st_mode & 0o777)

    def test_replace(self):
        self.keys.create(False, '')
        before = self.keys.public()
        self.assertRaises(errors.AttesterError, self.keys.create, False, '')
        self.assertEqual(before, self.keys.public())
        self.keys.create(True, '')
        self.assertNotEqual(before, self.keys.public())
        self.keys.signer()

    def test_others_can_read_it(self):
        self.keys.create(False, '')
        private = self.folder / 'private.pem'
        self.assertEqual(0o600, private.stat().st_mode & 0o777)
        private.chmod(0o640)
        self.assertUnusable('0640')

    def test_belongs_to_another_public_key(self):
        self.keys.create(False, '')
        public = (self.folder / 'public.pem').read_bytes()
        self.keys.create(True, '')
        (self.folder / 'public.pem').write_bytes(public)
        self.assertUnusable('--replace')

    def test_is_none(self):
        self.keys.create(False, '')
        (self.folder / 'private.pem').write_text('nothing')
        self.assertUnusable('private.pem')
        (self.folder / 'public.pem').write_text('nothing')
        self.assertUnusable('public.pem')

    def test_no_folder_can_be_made(self):
        blocked = self.folder / 'keys'
        self.folder.mkdir()
        blocked.write_text('')
        keys = key_folder.KeyFolder(Options(blocked / 'more', ''))
        with self.assertRaises(errors.AttesterError) as caught:
            keys.create(False, '')
        self.assertIn(os.fspath(blocked), str(caught.exception))
