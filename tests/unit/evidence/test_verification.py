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

"""Bundles: which are accepted, and which are not."""

import copy
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys

from cryptography.hazmat.primitives.asymmetric import ec
import fixtures

from nova_isolation import evidence
from nova_isolation.cmd import evidence as command
from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import kept_head
from nova_isolation.evidence import merkle
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json
from nova_isolation.evidence import trust as trusts
from nova_isolation.evidence import verification
from tests.unit import base
from tests.unit.evidence import samples

_TPM = dataclasses.replace(samples.OPERATOR, key=statements.KeyKind.TPM)
#: How many altered bundles; the whole hundred thousand take minutes.
_ALTERED = int(os.environ.get('ISOLATION_ALTERED', '2000'))


class Log:
    """A log in memory that signs its heads."""

    def __init__(self):
        self.signer = samples.signer()
        self.leaves = []
        self.tree = merkle.Tree(lambda start, end: self.leaves[start:end])

    def add(self, data, time=1_000):
        self.leaves.append(merkle.leaf_hash(data))
        self.tree.append(self.leaves[-1])
        self.head = heads.seal(
            heads.Head(len(self.tree), self.tree.root(), time), self.signer
        )

    def receipt(self, data, index):
        return receipts.dumps(
            receipts.Receipt(
                data, index, tuple(self.tree.inclusion(index)), self.head
            )
        )

    @property
    def trust(self):
        return trusts.Trust(logs=(self.signer.public_key,))


def pem(signer):
    return samples.pem(signer._private_key.public_key()).decode()


class TestCase(base.TestCase):
    """A host with a key, and a log with ten entries; ours is the fifth."""

    def setUp(self):
        super().setUp()
        self.host = samples.signer()
        self.log = Log()
        self.bundle = self.make(_TPM)

    def make(self, statement, **changed):
        sealed = envelope.seal(statement, self.host)
        key = self.host.public_key
        kind = statement.key
        is_tpm = kind is statements.KeyKind.TPM
        entry = receipts.dumps_entry(
            dataclasses.replace(
                receipts.Entry(
                    envelope.read(sealed).digest,
                    pem(self.host),
                    key.keyid,
                    kind,
                    7 if is_tpm else None,
                    1_764_000_000,
                ),
                **changed,
            )
        )
        index = len(self.log.tree) + 4
        for number in range(10):
            self.log.add(entry if number == 4 else b'%d' % number)
        return {
            'envelope': json.loads(sealed),
            'receipt': self.log.receipt(entry, index),
        }

    def verify(self, bundle=None, trust=None, nonce=None):
        return evidence.verify(
            self.bundle if bundle is None else bundle,
            trust or self.log.trust,
            nonce,
        )

    def trust_file(self, **changed):
        return json.dumps(
            {
                'v': 1,
                'logs': [pem(self.log.signer)],
                'hosts': [],
                'file_keys': False,
                **changed,
            }
        ).encode()

    def assertRefused(self, code, **kwargs):
        error = self.assertRaises(errors.BadEvidence, self.verify, **kwargs)
        self.assertIs(code, error.code, str(error))


class LogTest(TestCase):
    """Statements that a log has countersigned."""

    def test_accepted(self):
        for given in (self.bundle, strict_json.dumps(self.bundle)):
            found = self.verify(given, nonce=_TPM.nonce)
            self.assertEqual(_TPM, found.statement)
            self.assertEqual(self.log.signer.public_key.keyid, found.log)
            self.assertEqual((4, 7), (found.index, found.entry.quote_age))
        proven, unproven = verification.describe(found)
        text = ' '.join(proven)
        self.assertIn('meets its flavor', text)
        self.assertIn('7 s old', text)
        self.assertIn('a host measures itself', ' '.join(unproven))

    def test_a_violated_guest_is_described_as_one(self):
        bundle = self.make(
            dataclasses.replace(samples.OWNER, key=statements.KeyKind.TPM)
        )
        proven, _ = verification.describe(self.verify(bundle))
        self.assertIn('does NOT meet', ' '.join(proven))
        self.assertIn('isolation.svirt.label', ' '.join(proven))

    def test_another_nonce(self):
        self.assertRefused(errors.Code.NONCE, nonce='another-nonce')
        without = self.make(dataclasses.replace(_TPM, nonce=None))
        self.assertRefused(errors.Code.NONCE, bundle=without, nonce=_TPM.nonce)

    def test_another_log(self):
        self.assertRefused(errors.Code.UNKNOWN_KEY, trust=Log().trust)

    def test_the_receipt_of_another_statement(self):
        other = self.make(dataclasses.replace(_TPM, nonce='another-one'))
        self.assertRefused(
            errors.Code.RECEIPT,
            bundle={**self.bundle, 'receipt': other['receipt']},
        )

    def test_a_key_of_another_host(self):
        """The log knows this content by another key than the one signed."""
        other = samples.signer()
        self.assertRefused(
            errors.Code.RECEIPT,
            bundle=self.make(
                _TPM, key=pem(other), key_id=other.public_key.keyid
            ),
        )
        # A public key under the id of another one.
        self.assertRefused(
            errors.Code.RECEIPT, bundle=self.make(_TPM, key=pem(other))
        )

    def test_a_key_in_a_file(self):
        bundle = self.make(samples.OPERATOR)
        self.assertRefused(errors.Code.KEY_KIND, bundle=bundle)
        trust = dataclasses.replace(self.log.trust, file_keys=True)
        found = self.verify(bundle, trust)
        _, unproven = verification.describe(found)
        self.assertIn('the key is in a file', ' '.join(unproven))
        # The log says TPM, the host says file.
        self.assertRefused(
            errors.Code.RECEIPT,
            bundle=self.make(
                samples.OPERATOR, kind=statements.KeyKind.TPM, quote_age=1
            ),
            trust=trust,
        )

    def test_an_entry_that_is_not_in_the_log(self):
        receipt = self.bundle['receipt']
        other = samples.signer()
        forged = heads.seal(heads.Head(10, bytes(32), 1), other)
        for changed in (
            {'index': 5},
            {'index': 10**6},
            {'index': True},
            {'path': receipt['path'][:-1]},
            {'path': [*receipt['path'], '00' * 32]},
            {'path': 65 * ['00' * 32]},
            {'path': None},
            {'entry': '{}'},
            {'head': {}},
            {'head': forged},
            {'more': 1},
        ):
            bundle = {**self.bundle, 'receipt': {**receipt, **changed}}
            self.assertRaises(errors.BadEvidence, self.verify, bundle)

    def test_other_documents(self):
        for bundle in (
            b'',
            b'null',
            b'[]',
            b'{}',
            b'{"envelope":{},"receipt":null}',
            b'{"envelope":{},"receipt":null,"more":1}',
            b'{"envelope":null,"receipt":{}}',
            b'[' * 100_000,
            b' ' * 200_000,
        ):
            self.assertRaises(errors.BadEvidence, self.verify, bundle)

    def test_no_altered_bundle_is_accepted(self):
        good = strict_json.dumps(self.bundle)
        chance = random.Random(14)  # The same ones at each run.
        accepted = []
        for _ in range(_ALTERED):
            altered = bytearray(good)
            for _ in range(chance.choice((1, 1, 1, 2, 5))):
                at = chance.randrange(len(altered))
                what = chance.randrange(4)
                if what == 0:
                    altered[at] ^= 1 << chance.randrange(8)
                elif what == 1:
                    altered[at] = chance.choice(b'0123456789abcdefAZ"{}[]:,')
                elif what == 2:
                    del altered[at : at + chance.randrange(1, 4)]
                else:
                    altered[at:at] = bytes([chance.choice(good)])
            try:
                self.verify(bytes(altered))
            except errors.BadEvidence:
                continue
            # White space and such: the same values.
            if json.loads(altered) != self.bundle:
                accepted.append(bytes(altered))
        self.assertEqual([], accepted)


class KeyTest(TestCase):
    """Statements of keys that are trusted without a log."""

    def test_accepted(self):
        bundle = {**self.bundle, 'receipt': None}
        self.assertRefused(errors.Code.NOT_LOGGED, bundle=bundle)
        trust = trusts.Trust(hosts=(self.host.public_key,))
        found = self.verify(bundle, trust)
        self.assertIsNone(found.log)
        self.assertIn(
            'no log countersigned', ' '.join(verification.describe(found)[1])
        )
        # The receipt of a log that is not trusted makes nothing better.
        self.assertRefused(errors.Code.UNKNOWN_KEY, trust=trust)

    def test_an_altered_statement(self):
        bundle = copy.deepcopy({**self.bundle, 'receipt': None})
        other = envelope.sign(b'{}', envelope.PAYLOAD_TYPE, self.host)
        bundle['envelope']['payload'] = other['payload']
        self.assertRefused(
            errors.Code.SIGNATURE,
            bundle=bundle,
            trust=trusts.Trust(hosts=(self.host.public_key,)),
        )


class HeadTest(TestCase):
    """A head that was kept, and a newer one."""

    def read(self, log):
        return heads.read(log.head, [log.signer.public_key])[0]

    def test_a_log_that_has_grown(self):
        kept = self.read(self.log)
        self.log.add(b'more')
        path = [one.hex() for one in self.log.tree.consistency(10)]
        heads.check_newer(kept, self.read(self.log), path)

    def test_a_removed_entry_and_a_fork(self):
        kept = self.read(self.log)
        forked = Log()
        forked.signer = self.log.signer
        for number in range(12):
            forked.add(b'%d' % number)
        for newer, path in (
            (forked, [one.hex() for one in forked.tree.consistency(10)]),
            (forked, []),
            (forked, ['no hash']),
            (self.log, ['00' * 32]),
        ):
            error = self.assertRaises(
                errors.BadEvidence,
                heads.check_newer,
                kept,
                self.read(newer),
                path,
            )
            self.assertIs(errors.Code.FORK, error.code)

    def test_what_is_signed_is_no_head(self):
        for payload in (b'{}', b'[]', b'1', b'{"v":1}', b'x' * 1000):
            self.log.head = envelope.sign(
                payload, heads.PAYLOAD_TYPE, self.log.signer
            )
            self.assertRaises(errors.BadEvidence, self.read, self.log)

    def test_a_statement_is_no_head(self):
        self.log.head = self.bundle['envelope']
        self.assertRaises(errors.BadEvidence, self.read, self.log)


class TrustTest(TestCase):
    """The trust file."""

    def test_it_is_read(self):
        self.assertEqual(
            [self.log.signer.public_key.keyid],
            [one.keyid for one in trusts.loads(self.trust_file()).logs],
        )

    def test_malformed(self):
        p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
        for changed in (
            {'v': 2},
            {'logs': []},
            {'logs': ['x']},
            {'logs': [1]},
            {'logs': None},
            {'file_keys': 1},
            {'more': 1},
            {'hosts': [samples.pem(p384).decode()]},
        ):
            self.assertRaises(
                errors.BadEvidence, trusts.loads, self.trust_file(**changed)
            )


class CommandTest(TestCase):
    """nova-isolation-evidence verify."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.write('trust', self.trust_file())
        self.write('bundle', strict_json.dumps(self.bundle))

    def write(self, name, data):
        with open(f'{self.folder}/{name}', 'wb') as file:
            file.write(data)

    def run_command(self, *more):
        output = self.useFixture(fixtures.StringStream('stdout'))
        self.useFixture(fixtures.MonkeyPatch('sys.stdout', output.stream))
        return command.main(
            [
                'verify',
                f'{self.folder}/bundle',
                '--trust',
                f'{self.folder}/trust',
                *more,
            ]
        )

    def test_statuses(self):
        self.assertEqual(0, self.run_command('--nonce', _TPM.nonce))
        self.assertEqual(1, self.run_command('--nonce', 'another-nonce'))
        self.write(
            'bundle',
            strict_json.dumps(
                self.make(
                    dataclasses.replace(
                        samples.OWNER, key=statements.KeyKind.TPM
                    )
                )
            ),
        )
        self.assertEqual(3, self.run_command())
        self.write('trust', b'{}')
        self.assertEqual(2, self.run_command())
        os.remove(f'{self.folder}/bundle')
        self.assertEqual(2, self.run_command())

    def test_it_needs_only_two_packages(self):
        """Nothing else is imported that is not Python's own."""
        found = subprocess.run(
            [
                sys.executable,
                '-c',
                'import sys\n'
                'from nova_isolation.cmd import evidence\n'
                'status = evidence.main(sys.argv[1:])\n'
                'print(status, *sorted({one.partition(".")[0] for one in '
                'sys.modules if one.partition(".")[0] not in '
                'sys.stdlib_module_names}))',
                'verify',
                f'{self.folder}/bundle',
                '--trust',
                f'{self.folder}/trust',
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        status, *names = found.stdout.splitlines()[-1].split()
        self.assertEqual('0', status)
        for name in ('oslo_config', 'nova', 'requests', 'lxml', 'sqlalchemy'):
            self.assertNotIn(name, names)
        self.assertIn('securesystemslib', names)


class KeptHeadTest(TestCase):
    """The head that an auditor keeps."""

    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.path = pathlib.Path(folder) / 'head'

    def ask(self, path):
        name, _, query = path.removeprefix('/v1/evidence/').partition('?')
        answer = {'head': self.log.head}
        if name == 'consistency':
            old = int(query.removeprefix('from='))
            if old > len(self.log.tree):
                return 400, b'{}'
            proof = self.log.tree.consistency(old) if old else []
            answer['path'] = [one.hex() for one in proof]
        return 200, strict_json.dumps(answer)

    def renew(self):
        return kept_head.renew(self.path, self.ask, self.log.trust)

    def test_a_log_that_grows(self):
        self.assertIn('nothing was compared', self.renew())
        self.assertIn('all of the 10', self.renew())
        self.log.add(b'more')
        self.assertIn('has 11 entries, and all of the 10', self.renew())
        self.assertIn('all of the 11', self.renew())

    def test_a_fork_and_a_shorter_log(self):
        self.renew()
        kept = self.path.read_bytes()
        signer = self.log.signer
        for size in (10, 12, 3):
            self.log = Log()
            self.log.signer = signer
            for number in range(size):
                self.log.add(b'other %d' % number)
            error = self.assertRaises(errors.BadEvidence, self.renew)
            self.assertIs(errors.Code.FORK, error.code)
            # It is the proof, so it stays.
            self.assertEqual(kept, self.path.read_bytes())

    def test_other_answers(self):
        for answer in (
            (500, b'{}'),
            (200, b'[]'),
            (200, b'{}'),
            (200, b'{"head":{},"path":[]}'),
            (400, b'{}'),
        ):
            self.assertRaises(
                errors.BadEvidence,
                kept_head.renew,
                self.path,
                lambda path, answer=answer: answer,
                self.log.trust,
            )
        self.assertFalse(self.path.exists())
