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

"""The log: receipts, restarts, and what was altered."""

import dataclasses
import pathlib
import sqlite3
import time

from nova_isolation.attestd.evidence import log
from nova_isolation.attestd.evidence import store
from nova_isolation.evidence import errors
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import merkle
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from tests.unit import base
from tests.unit.attestd.evidence import hosts
from tests.unit.evidence import samples


class TestCase(base.TestCase):
    """A log, and entries for it."""

    def setUp(self):
        super().setUp()
        self.hosts = self.useFixture(hosts.Hosts())
        self.log = self.hosts.log
        self.keys = [self.hosts.log_signer.public_key]
        self.count = 0

    def new(self, time_=None, server='server-1', **changed):
        self.count += 1
        entry = receipts.Entry(
            f'{self.count:064x}',
            hosts.public(self.hosts.signer),
            self.hosts.signer.public_key.keyid,
            statements.KeyKind.FILE,
            None,
            int(time.time() if time_ is None else time_),
        )
        return log.New(
            dataclasses.replace(entry, **changed),
            server,
            'owner',
            f'{{"number":{self.count}}}',
        )

    def append(self, number, **changed):
        return self.log.append([self.new(**changed) for _ in range(number)])

    def reopened(self, signer=None):
        return log.Log(
            store.Store(self.hosts.url), signer or self.hosts.log_signer
        )

    def sql(self, text):
        with sqlite3.connect(f'{self.hosts.folder}/log.sqlite') as connection:
            connection.execute(text)

    def head(self, of=None):
        return heads.read((of or self.log).head, self.keys)[0]


class AppendTest(TestCase):
    """What is added, and the receipts for it."""

    def test_receipts_hold(self):
        for size in (1, 2, 300, 7):
            made = self.append(size)
            self.assertEqual(self.count, self.head().size)
            for number, one in enumerate(made, self.count - size):
                entry, head, _ = one.open(self.keys)
                self.assertEqual(f'{number + 1:064x}', entry.content)
                self.assertEqual((number, self.count), (one.index, head.size))

    def test_a_statement_is_added_once(self):
        new = self.new()
        [first] = self.log.append([new])
        self.append(3)
        later = self.new()
        again = self.log.append([new, later, later])
        self.assertEqual([0, 4, 4], [one.index for one in again])
        self.assertEqual(first.entry, again[0].entry)
        again[0].open(self.keys)
        self.assertEqual(5, self.head().size)

    def test_the_newest_of_a_server(self):
        self.assertIsNone(self.log.newest('server-1', 'owner'))
        self.append(2)
        self.append(1, server='server-2')
        found = self.log.newest('server-1', 'owner')
        self.assertEqual({'number': 2}, found['envelope'])
        receipt = receipts.loads(found['receipt'])
        self.assertEqual(f'{2:064x}', receipt.open(self.keys)[0].content)
        self.assertIsNone(self.log.newest('server-1', 'operator'))

    def test_an_entry_does_not_take_a_page_of_its_own(self):
        path = pathlib.Path(self.hosts.folder, 'log.sqlite')
        before = path.stat().st_size
        text = 'x' * 1600
        self.log.append(
            [self.new()._replace(envelope=text) for _ in range(500)]
        )
        # What is in the journal becomes part of the file.
        self.sql('PRAGMA wal_checkpoint(TRUNCATE)')
        self.assertLess((path.stat().st_size - before) / 500, 3000)

    def test_nothing_is_added_where_the_storage_fails(self):
        self.append(3)
        before = self.log.head
        self.sql(
            'CREATE TRIGGER no BEFORE INSERT ON evidence_head '
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        self.assertRaisesRegex(store.StoreError, 'disk full', self.append, 2)
        self.assertEqual(before, self.log.head)
        self.sql('DROP TRIGGER no')
        [receipt] = self.append(1)
        self.assertEqual(3, receipt.index)
        receipt.open(self.keys)
        self.assertEqual(4, self.head(self.reopened()).size)


class RestartTest(TestCase):
    """A log that is opened again, perhaps after somebody altered it."""

    def test_it_goes_on(self):
        self.append(600)
        kept = self.head()
        self.log = self.reopened()
        self.assertEqual(kept, self.head())
        self.append(1)
        found = self.log.consistency(kept.size)
        heads.check_newer(
            kept, heads.read(found['head'], self.keys)[0], found['path']
        )

    def test_an_altered_log_is_refused(self):
        for alteration in (
            'DELETE FROM evidence_entries WHERE "index" = 3',
            'DELETE FROM evidence_entries WHERE "index" = 9',
            'UPDATE evidence_entries SET leaf = zeroblob(32) WHERE time > 0',
            'DELETE FROM evidence_head',
        ):
            copy = TestCase('run')
            copy.hosts = self.useFixture(hosts.Hosts())
            copy.log, copy.count = copy.hosts.log, 0
            copy.append(10)
            copy.reopened()
            copy.sql(alteration)
            self.assertRaisesRegex(log.LogError, 'altered', copy.reopened)

    def test_another_key_is_refused(self):
        self.append(1)
        self.assertRaisesRegex(
            log.LogError, 'new key', self.reopened, samples.signer()
        )

    def test_a_log_that_was_made_anew_is_found_out_by_who_kept_a_head(self):
        """The service itself forges: it has the key."""
        self.append(10)
        kept = self.head()
        self.sql('DELETE FROM evidence_entries')
        self.sql('DELETE FROM evidence_head')
        self.log = self.reopened()
        self.append(20, key_id='0' * 64)
        found = self.log.consistency(kept.size)
        error = self.assertRaises(
            errors.BadEvidence,
            heads.check_newer,
            kept,
            heads.read(found['head'], self.keys)[0],
            found['path'],
        )
        self.assertIs(errors.Code.FORK, error.code)


class RetentionTest(TestCase):
    """The content of old entries is removed, and nothing else."""

    def test_proofs_stay(self):
        self.append(4, time_=1000, server='old')
        kept = self.head()
        [receipt] = self.append(1)
        self.assertEqual(4, self.log.remove_content(2000))
        self.assertEqual(0, self.log.remove_content(2000))
        self.assertIsNone(self.log.newest('old', 'owner'))
        self.assertIsNotNone(self.log.newest('server-1', 'owner'))
        entries = self.log.entries(0, 10)
        self.assertEqual(
            4 * [None] + [receipt.entry.decode()],
            [one['entry'] for one in entries],
        )
        # Anybody can compute the head from the hashes.
        tree = merkle.Tree(lambda start, end: [])
        tree.extend(bytes.fromhex(one['leaf']) for one in entries)
        self.assertEqual(self.head().root, tree.root())
        self.log = self.reopened()
        self.append(2)
        found = self.log.consistency(4)
        heads.check_newer(
            kept, heads.read(found['head'], self.keys)[0], found['path']
        )
        receipt.open(self.keys)
