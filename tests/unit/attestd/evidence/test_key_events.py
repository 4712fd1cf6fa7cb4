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

"""What becomes of keys is in the log, and an auditor finds it there."""

import json
from urllib import parse

import ddt
import sqlalchemy as sa

from nova_isolation.attestd.evidence import keyring
from nova_isolation.attestd.evidence import store as stores
from nova_isolation.evidence import errors
from nova_isolation.evidence import key_event
from nova_isolation.evidence import log_audit
from nova_isolation.evidence import trust
from tests.unit import base
from tests.unit.attestd.evidence import hosts
from tests.unit.evidence import samples


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.hosts = self.useFixture(hosts.Hosts())
        self.trust = trust.Trust(
            (self.hosts.log_signer.public_key,), (), False
        )
        #: index -> what the log says in place of its entry
        self.lies = {}

    def ask(self, path):
        """As the log answers."""
        url = parse.urlsplit(path)
        query = dict(parse.parse_qsl(url.query))
        if url.path.endswith('/head'):
            return 200, json.dumps({'head': self.hosts.log.head}).encode()
        first, count = int(query['first']), int(query['count'])
        found = self.hosts.log.entries(first, count)
        for index, lie in self.lies.items():
            if first <= index < first + len(found):
                found[index - first] |= lie
        return 200, json.dumps({'entries': found}).encode()

    def audit(self):
        return log_audit.audit(self.ask, self.trust)

    def events(self):
        return [
            (one.event.value, one.key_id) for _, one in self.audit().events
        ]


@ddt.ddt
class KeyEventTest(TestCase):
    def test_before_the_first_statement(self):
        self.hosts.take(self.hosts.seal())
        found = self.audit()
        ((index, event),) = found.events
        self.assertEqual((0, 1, 2), (index, found.statements, found.head.size))
        self.assertEqual(key_event.Event.ENROLLED, event.event)
        self.assertEqual(self.hosts.signer.public_key.keyid, event.key_id)
        self.assertEqual((hosts.HOST, hosts.AGENT), (event.host, event.agent))
        self.assertEqual((), found.faults)
        text = '\n'.join(log_audit.describe(found))
        self.assertIn('1 statements, 1 about keys', text)
        self.assertIn(f'enrolled {event.key_id} (tpm, host compute-1', text)

    def test_a_key_that_was_enrolled_for_an_hour(self):
        old = self.hosts.signer.public_key.keyid
        other = samples.signer()
        new = other.public_key.keyid
        self.hosts.keyring.enroll(hosts.key(other))
        self.hosts.keyring.lose({hosts.AGENT: 'invalid quote'})
        self.hosts.keyring.enroll(hosts.key(other))
        self.hosts.keyring.revoke(new, 'stolen')
        self.hosts.log.append_key_events()
        self.assertEqual(
            [
                ('enrolled', old),
                ('replaced', old),
                ('enrolled', new),
                ('lost', new),
                ('enrolled', new),
                ('revoked', new),
            ],
            self.events(),
        )
        self.assertEqual('stolen', self.audit().events[-1][1].why)
        # Each once.
        self.assertEqual(0, self.hosts.log.append_key_events())

    def test_a_key_that_is_enrolled_again_is_not_replaced(self):
        self.hosts.keyring.enroll(hosts.key(self.hosts.signer))
        self.hosts.log.append_key_events()
        self.assertEqual(['enrolled'] * 2, [one for one, _ in self.events()])
        self.hosts.keyring.lose({})
        self.assertFalse(self.hosts.keyring.revoke('00' * 32, 'unknown'))
        self.assertEqual(0, self.hosts.log.append_key_events())

    def test_a_statement_by_a_key_that_was_not_enrolled(self):
        """The log itself takes one, and cannot hide it."""
        self.hosts.take(self.hosts.seal())
        self.hosts.keyring.revoke(self.hosts.signer.public_key.keyid, 'stolen')
        self.hosts.log.append_key_events()
        with self.hosts.store.begin() as connection:
            connection.execute(
                sa.update(stores.KEYS).values(state=keyring.State.ACTIVE.value)
            )
        self.hosts.take(self.hosts.seal())
        (fault,) = self.audit().faults
        self.assertRegex(fault, 'Entry 3 is a statement .* not enrolled then')
        self.assertIn('FAULT: ', log_audit.describe(self.audit())[-1])

    def test_a_revocation_while_statements_are_taken(self):
        """The keys by which a batch is judged are those of the log."""
        find = self.hosts.keyring.find

        def revoked(ids):
            found = find(ids)
            self.hosts.keyring.find = find
            self.hosts.keyring.revoke(*ids, 'stolen')
            return found

        self.hosts.keyring.find = revoked
        (code,) = self.hosts.take(self.hosts.seal())
        self.assertEqual('key-revoked', code.value)
        self.assertEqual(0, self.audit().statements)

    def test_retention_keeps_them(self):
        self.hosts.take(self.hosts.seal())
        self.assertEqual(1, self.hosts.log.remove_content(2**40))
        found = self.audit()
        self.assertEqual(
            (1, 1, 0), (len(found.events), found.removed, found.statements)
        )

    def test_nothing_is_added_where_the_storage_fails(self):
        insert = self.hosts.log._write_head
        self.hosts.log._write_head = self.fail_
        with self.assertRaises(stores.StoreError):
            self.hosts.log.append_key_events()
        self.hosts.log._write_head = insert
        self.assertEqual(1, self.hosts.log.append_key_events())
        self.assertEqual(1, self.audit().head.size)

    def fail_(self, *args):
        raise stores.StoreError('full')

    @ddt.data(
        {'event': 'invented'},
        {'keyid': '00' * 32},
        {'key': 'no key'},
        {'time': -1},
        {'host': 'a\nb'},
        {'why': 'x' * 256},
        {'kind': 'paper'},
        {'v': 2},
        {'more': 1},
    )
    def test_malformed(self, change):
        self.hosts.log.append_key_events()
        ((_, event),) = self.audit().events
        data = key_event.dumps(event)
        self.assertEqual(event, key_event.loads(data))
        value = json.loads(data) | change
        with self.assertRaises(errors.BadEvidence):
            key_event.loads(
                json.dumps(
                    value, sort_keys=True, separators=(',', ':')
                ).encode()
            )


class AuditTest(TestCase):
    """A log that says something else than it has signed."""

    def setUp(self):
        super().setUp()
        self.hosts.take(*[self.hosts.seal() for _ in range(3)])
        self.assertEqual(4, self.audit().head.size)

    def refused(self):
        with self.assertRaises(errors.BadEvidence) as caught:
            self.audit()
        return caught.exception.code

    def test_an_altered_entry(self):
        entry = self.hosts.log.entries(2, 1)[0]['entry']
        self.lies[2] = {'entry': entry.replace('"v":1', '"v":2')}
        self.assertEqual(errors.Code.FORK, self.refused())

    def test_another_entry(self):
        self.lies[2] = self.hosts.log.entries(1, 1)[0]
        self.assertEqual(errors.Code.FORK, self.refused())

    def test_an_event_that_is_hidden(self):
        self.lies[0] = {'leaf': '00' * 32, 'entry': None}
        self.assertEqual(errors.Code.FORK, self.refused())

    def test_entries_that_are_missing(self):
        entries = self.hosts.log.entries
        self.hosts.log.entries = lambda first, count: entries(first, 2)
        self.assertEqual(errors.Code.FORK, self.refused())

    def test_other_answers(self):
        for lie in ({'leaf': None}, {'leaf': 'x'}, {'entry': 7}):
            self.lies[1] = lie
            self.assertEqual(errors.Code.RECEIPT, self.refused())
