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


import types

import fixtures

from nova_isolation.attestation import revocations
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms.attested import attestation_result
from tests.unit import base

GOOD = attestation_result.AttestationResult(
    attestation_result.GOOD, '', ('17=ab',), True, True
)
FAILED = attestation_result.AttestationResult(
    attestation_result.FAILED, 'invalid quote (state 9)'
)
SKEW = 5.0
#: What the clock that is never set showed at the epoch.
EPOCH = 1000.0


def known(one=GOOD, good_at=100.0, **others):
    """A snapshot of host ``h`` with agent ``a``, and others."""
    verdicts = {
        'h': snapshot.Verdict(
            attestation_result.dumps(one), good_at, 100.0, 'a', 'v'
        ),
    }
    for host, agent in others.items():
        verdicts[host] = verdicts['h']._replace(agent=agent)
    return snapshot.Snapshot(
        verdicts=types.MappingProxyType(verdicts), trouble='t', serial='s'
    )


class RevocationsTest(base.TestCase):
    """Trust that was called back, until it is earned again."""

    def setUp(self):
        super().setUp()
        self.revoked = revocations.Revocations(SKEW)

    def add(self, agent, at, found):
        """Revoke at a time since the epoch."""
        self.revoked.add(agent, at + EPOCH, found)

    def standing(self, before, host='h'):
        found = self.revoked.apply(before, EPOCH)
        return attestation_result.loads(found.verdicts[host].document)

    def test_nobody(self):
        before = known()
        self.assertIs(before, self.revoked.apply(before, EPOCH))
        self.add('another', 100.0, 'x')
        self.assertIs(before, self.revoked.apply(before, EPOCH))

    def test_revoked(self):
        before = known(i='b')
        self.add('a', 101.0, 'revoked by its verifier')
        after = self.revoked.apply(before, EPOCH)
        one = after.verdicts['h']
        self.assertEqual(
            attestation_result.AttestationResult(
                attestation_result.REVOKED, 'revoked by its verifier',
                ('17=ab',), True, True,
            ),
            attestation_result.loads(one.document),
        )  # fmt: skip
        self.assertEqual((100.0, 101.0), (one.good_at, one.reported_at))
        self.assertEqual(('a', 'v'), (one.agent, one.verifier))
        self.assertEqual(before.verdicts['i'], after.verdicts['i'])
        self.assertEqual(('t', 's'), (after.trouble, after.serial))
        # What was handed out is as it was.
        self.assertEqual(
            GOOD, attestation_result.loads(before.verdicts['h'].document)
        )

    def test_trusted_again(self):
        """By a good quote that is newer, whichever clock is ahead."""
        self.add('a', 101.0, 'x')
        for good_at in (None, 0.0, 100.0, 101.0, 103.0, 107.0):
            self.assertEqual(
                attestation_result.REVOKED,
                self.standing(known(good_at=good_at)).state,
            )
        # The skew, and the second that the comparison of clocks grants.
        self.assertEqual(GOOD, self.standing(known(good_at=107.1)))
        # And it is over.
        self.assertEqual(GOOD, self.standing(known(good_at=107.1)))

    def test_older_quote_after_that(self):
        """It is over for a newer quote, so there is no older one."""
        self.add('a', 101.0, 'x')
        self.standing(known(good_at=110.0))
        self.add('a', 120.0, 'y')
        self.assertEqual('y', self.standing(known(good_at=110.0)).found)

    def test_a_failure_says_more(self):
        self.add('a', 101.0, 'x')
        self.assertEqual(FAILED, self.standing(known(FAILED)))
        # It goes on: a failure is no newer success.
        self.assertEqual(FAILED, self.standing(known(FAILED, good_at=200.0)))
        self.assertEqual(
            attestation_result.REVOKED, self.standing(known()).state
        )

    def test_seen_to_have_failed(self):
        """Nobody called; and Keylime says PASS of who is only reactivated."""
        self.standing(known(FAILED, good_at=100.0))
        for good_at in (None, 99.0, 100.0):
            found = self.standing(known(good_at=good_at))
            self.assertEqual(
                (attestation_result.FAILED, 'no good quote since the failure'),
                (found.state, found.found),
            )
        # Of one that had none before, the first one counts.
        self.assertEqual(GOOD, self.standing(known(good_at=101.0)))
        self.assertEqual(GOOD, self.standing(known(good_at=101.0)))
        self.standing(known(FAILED, good_at=None))
        self.assertEqual(GOOD, self.standing(known(good_at=1.0)))

    def test_seen_to_be_revoked(self):
        """By a daemon that has forgotten it since."""
        revoked = attestation_result.AttestationResult(
            attestation_result.REVOKED, 'x'
        )
        self.standing(known(revoked, good_at=100.0))
        self.assertEqual(
            attestation_result.FAILED, self.standing(known()).state
        )
        self.assertEqual(GOOD, self.standing(known(good_at=101.0)))

    def test_last_call_counts(self):
        self.add('a', 200.0, 'second')
        self.add('a', 101.0, 'first')
        self.assertEqual('second', self.standing(known(good_at=150.0)).found)

    def test_two_agents(self):
        self.add('a', 101.0, 'x')
        self.add('b', 102.0, 'y')
        after = self.revoked.apply(known(i='b', j='c'), EPOCH)
        self.assertEqual(
            ['revoked', 'revoked', 'good'],
            [
                attestation_result.loads(after.verdicts[host].document).state
                for host in 'hij'
            ],
        )

    def test_clock_that_was_wrong(self):
        """It is dated by the right clock as soon as that one is known."""
        self.add('a', 101.0, 'x')
        # For an hour too early.
        found = self.revoked.apply(known(good_at=200.0), EPOCH - 3600)
        self.assertEqual(3701.0, found.verdicts['h'].reported_at)
        self.assertEqual(GOOD, self.standing(known(good_at=200.0)))

    def test_estimate_of_the_clock_is_no_news(self):
        """Otherwise each fetch would be news for all clients."""
        self.add('a', 101.0, 'x')
        before = known()
        first = self.revoked.apply(before, EPOCH)
        self.assertEqual(first, self.revoked.apply(before, EPOCH + 0.001))
        self.assertNotEqual(first, self.revoked.apply(before, EPOCH - 60))

    def test_agents_without_a_host_are_bounded(self):
        limit = revocations.MAX_ABSENT
        for number in range(3 * limit):
            self.add(f'{number}', 100.0 + number, 'x' * 10_000)
        self.assertEqual(limit, len(self.revoked._revoked))
        self.assertEqual(limit, len(self.revoked._absent))
        self.assertLess(
            sum(len(one.found) for one in self.revoked._revoked.values()),
            limit * 1000,
        )

    def test_forgotten_agent_is_not_trusted(self):
        """Whoever becomes known may be the one that was forgotten."""
        self.useFixture(fixtures.MockPatchObject(revocations, 'MAX_ABSENT', 2))
        self.standing(known())
        self.add('lost', 150.0, 'x')
        for number in range(2):
            self.add(f'{number}', 160.0, 'x')
        # Who was known then, was not forgotten.
        self.assertEqual(GOOD, self.standing(known(good_at=101.0)))
        both = known(good_at=151.0, i='lost', j='0')
        for host, state in (('h', 'good'), ('i', 'revoked'), ('j', 'revoked')):
            self.assertEqual(state, self.standing(both, host).state)
        self.assertIn('forgotten', self.standing(both, 'i').found)
        both = known(good_at=157.0, i='lost', j='0')
        self.assertEqual(GOOD, self.standing(both, 'i'))
        self.assertEqual('revoked', self.standing(both, 'j').state)

    def test_failure_that_was_forgotten(self):
        self.useFixture(fixtures.MockPatchObject(revocations, 'MAX_ABSENT', 2))
        self.standing(known(FAILED, good_at=100.0))
        # It is gone, and two others come and go after it.
        for agent in 'bcd':
            self.revoked.apply(known(FAILED, good_at=50.0, h=agent), EPOCH)
        self.assertEqual(2, len(self.revoked._absent))
        self.assertEqual(3, len(self.revoked._failed))
        self.assertEqual(
            attestation_result.FAILED,
            self.standing(known(good_at=100.0)).state,
        )
        self.assertEqual(GOOD, self.standing(known(good_at=101.0)))

    def test_long_name_is_not_kept(self):
        name = 'x' * 2**20
        self.add(name, 150.0, 'x')
        self.assertEqual({}, self.revoked._revoked)
        self.assertEqual('revoked', self.standing(known(h=name), 'h').state)

    def test_applied_twice(self):
        self.add('a', 101.0, 'x')
        once = self.revoked.apply(known(), EPOCH)
        self.assertEqual(once, self.revoked.apply(once, EPOCH))
