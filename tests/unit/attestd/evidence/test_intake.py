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

"""Which statements are taken, and what becomes of keys."""

import datetime

from nova_isolation.attestation import snapshot
from nova_isolation.attestation.keylime import registrar_api
from nova_isolation.attestd.evidence import keyring
from nova_isolation.attestd.evidence import refusal
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base
from tests.unit.attestd.evidence import hosts
from tests.unit.evidence import samples

_CODES = refusal.Code
_TPM = registrar_api.TpmKeys(b'ek', b'ak')


class TestCase(base.TestCase):
    """One host in good standing, with a key."""

    def setUp(self):
        super().setUp()
        self.hosts = self.useFixture(hosts.Hosts())
        self.keyring = self.hosts.keyring

    def assertTaken(self, *envelopes):
        for one in self.hosts.take(*envelopes):
            self.assertIsInstance(one, receipts.Receipt)

    def assertRefused(self, code, *envelopes):
        self.assertEqual([code] * len(envelopes), self.hosts.take(*envelopes))


class StatementTest(TestCase):
    """Statements by keys that are known."""

    def test_taken_with_the_age_of_the_quote(self):
        [receipt] = self.hosts.take(self.hosts.seal())
        entry, _, _ = receipt.open([self.hosts.log_signer.public_key])
        self.assertEqual(statements.KeyKind.TPM, entry.kind)
        self.assertEqual(3, entry.quote_age)

    def test_of_an_owner(self):
        owner = hosts.statement(
            audience=statements.Audience.OWNER,
            proofs=(statements.Proof('isolation:svirt', None),),
            host=None,
        )
        self.assertTaken(self.hosts.seal(owner))

    def test_some_of_a_batch(self):
        good, more = self.hosts.seal(), self.hosts.seal()
        stranger = self.hosts.seal(signer=samples.signer())
        found = self.hosts.take(good, stranger, {}, more)
        self.assertEqual([_CODES.KEY_UNKNOWN, _CODES.MALFORMED], found[1:3])
        self.assertEqual([1, 2], [found[0].index, found[3].index])

    def test_malformed(self):
        good = self.hosts.seal()
        for bad in (None, [], {}, {**good, 'more': 1}, 'x', 1):
            self.assertRefused(_CODES.MALFORMED, bad)
        other = self.hosts.seal()
        self.assertRefused(
            _CODES.SIGNATURE, {**good, 'payload': other['payload']}
        )

    def test_another_host_or_agent_or_kind(self):
        for changed in (
            {'host': statements.Host('compute-2', 'fa' * 32, hosts.AGENT)},
            {'host': statements.Host(hosts.HOST, 'fa' * 32, 'another')},
            {'host': statements.Host(hosts.HOST, 'fa' * 32)},
            {'key': statements.KeyKind.FILE},
        ):
            self.assertRefused(
                _CODES.HOST, self.hosts.seal(hosts.statement(**changed))
            )

    def test_too_old_or_in_the_future(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        for seconds, code in ((-601, _CODES.LATE), (60, _CODES.LATE)):
            then = now + datetime.timedelta(seconds=seconds)
            text = f'{then:%FT%TZ}'
            self.assertRefused(
                code, self.hosts.seal(hosts.statement(finished=text))
            )
        then = now - datetime.timedelta(seconds=500)
        self.assertTaken(
            self.hosts.seal(hosts.statement(finished=f'{then:%FT%TZ}'))
        )
        self.assertRefused(
            _CODES.MALFORMED,
            self.hosts.seal(hosts.statement(finished='2026-13-41T99:99:99Z')),
        )


class StandingTest(TestCase):
    """A host whose standing is not good."""

    def test_refused(self):
        sealed = self.hosts.seal()
        for verdicts in (
            {},
            {'compute_1': hosts.verdict(ago=121)},
            {'compute_1': hosts.verdict(agent='another')},
            {'compute_1': hosts.verdict(), 'compute_2': hosts.verdict()},
            *(
                {'compute_1': hosts.verdict(document=hosts.result(state))}
                for state in (
                    attestation_result.PENDING,
                    attestation_result.FAILED,
                    attestation_result.REVOKED,
                    attestation_result.AMBIGUOUS,
                )
            ),
        ):
            self.hosts.say(**verdicts)
            self.assertRefused(_CODES.STANDING, sealed)
        self.hosts.say(compute_1=hosts.verdict())
        self.assertTaken(sealed)

    def test_a_host_that_is_named_by_its_node(self):
        self.hosts.provider.known = hosts.known(
            by=snapshot.BY_NODE, node=hosts.verdict()
        )
        self.hosts.refresher.refresh()
        self.assertEqual('', self.hosts.standings.of(hosts.AGENT).host)

    def test_only_a_failure_is_a_fall(self):
        for state, falls in (
            (attestation_result.FAILED, True),
            (attestation_result.REVOKED, True),
            (attestation_result.PENDING, False),
            (attestation_result.AMBIGUOUS, False),
            (attestation_result.GOOD, False),
        ):
            document = hosts.result(state)
            self.hosts.say(compute_1=hosts.verdict(document=document))
            self.assertEqual(
                falls, hosts.AGENT in self.hosts.standings.fallen()
            )


class KeyTest(TestCase):
    """Replacement, revocation and loss."""

    def test_unknown(self):
        other = samples.signer()
        self.assertRefused(_CODES.KEY_UNKNOWN, self.hosts.seal(signer=other))

    def test_replaced(self):
        newer = samples.signer()
        self.keyring.enroll(hosts.key(newer))
        self.assertRefused(_CODES.KEY_REVOKED, self.hosts.seal())
        self.assertTaken(self.hosts.seal(signer=newer))
        # The older one can come back: it is in the TPM still.
        self.keyring.enroll(hosts.key(self.hosts.signer))
        self.assertTaken(self.hosts.seal())

    def test_revoked_for_ever(self):
        key = hosts.key(self.hosts.signer)
        self.assertTrue(self.keyring.revoke(key.key_id, 'stolen'))
        self.assertRefused(_CODES.KEY_REVOKED, self.hosts.seal())
        error = self.assertRaises(refusal.Refused, self.keyring.enroll, key)
        self.assertIs(_CODES.KEY_REVOKED, error.code)
        self.assertFalse(self.keyring.revoke('0' * 64, 'unknown'))

    def test_lost_and_enrolled_again(self):
        self.keyring.lose({'another': 'x'})
        self.assertTaken(self.hosts.seal())
        self.keyring.lose({hosts.AGENT: 'another hypervisor'})
        # Good standing alone does not give it back.
        self.assertRefused(_CODES.KEY_LOST, self.hosts.seal())
        self.keyring.enroll(hosts.key(self.hosts.signer))
        self.assertTaken(self.hosts.seal())

    def test_a_revoked_key_is_not_merely_lost(self):
        self.keyring.revoke(self.hosts.signer.public_key.keyid, 'stolen')
        self.keyring.lose({hosts.AGENT: 'x'})
        self.assertRefused(_CODES.KEY_REVOKED, self.hosts.seal())

    def test_a_key_of_another_host(self):
        for changed in ({'host': 'compute-2'}, {'agent': 'another'}):
            error = self.assertRaises(
                refusal.Refused,
                self.keyring.enroll,
                hosts.key(self.hosts.signer, **changed),
            )
            self.assertIs(_CODES.KEY_FORM, error.code)

    def test_a_key_in_a_file(self):
        """No verifier is asked, and the receipt says so."""
        self.hosts.say()
        signer = samples.signer()
        said = hosts.statement(key=statements.KeyKind.FILE)
        sealed = self.hosts.seal(said, signer)
        self.assertRefused(_CODES.KEY_UNKNOWN, sealed)
        self.keyring.add_file(hosts.HOST, hosts.public(signer))
        [receipt] = self.hosts.take(sealed)
        entry, _, _ = receipt.open([self.hosts.log_signer.public_key])
        self.assertEqual(
            (statements.KeyKind.FILE, None), (entry.kind, entry.quote_age)
        )
        # It stays beside the key in the TPM.
        states = {one.kind: one.state for one in self.keyring.all()}
        self.assertEqual({keyring.State.ACTIVE}, set(states.values()))
        self.assertRefused(
            _CODES.HOST, self.hosts.seal(hosts.statement(), signer)
        )
        for pem in ('', 'x', hosts.public(signer)[:-60]):
            self.assertRaises(
                refusal.Refused, self.keyring.add_file, 'host', pem
            )


class PinTest(TestCase):
    """The keys of the TPM at the first enrollment."""

    def test_other_keys_are_refused_until_forgotten(self):
        self.keyring.check_pin(hosts.AGENT, _TPM)
        self.keyring.enroll(hosts.key(self.hosts.signer), _TPM)
        self.keyring.check_pin(hosts.AGENT, _TPM)
        for other in (
            _TPM._replace(ek=b'another'),
            _TPM._replace(ak=b'another'),
        ):
            error = self.assertRaises(
                refusal.Refused, self.keyring.check_pin, hosts.AGENT, other
            )
            self.assertIs(_CODES.PIN, error.code)
        self.assertTrue(self.keyring.forget(hosts.AGENT))
        self.assertFalse(self.keyring.forget(hosts.AGENT))
        self.keyring.check_pin(hosts.AGENT, other)
