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


import functools
import json

import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import facts
from tests.unit import base

standings = st.builds(
    attestation_result.AttestationResult,
    st.sampled_from(sorted(attestation_result.STATES)),
    st.text(max_size=20),
    st.lists(
        st.builds(
            '{}={}'.format,
            st.integers(0, 23),
            st.sampled_from(('ab' * 20, f'{"cd" * 32},{"ef" * 32}')),
        ),
        max_size=3,
    ).map(tuple),
    st.booleans(),
    st.booleans(),
)


class StandingTest(base.TestCase):
    """A standing and its text."""

    @hypothesis.given(standings)
    def test_round_trip(self, one):
        text = attestation_result.dumps(one)
        self.assertEqual(one, attestation_result.loads(text))
        self.assertEqual(
            text, attestation_result.dumps(attestation_result.loads(text))
        )
        self.assertTrue(text.isascii())

    @hypothesis.given(st.text(max_size=80) | st.binary(max_size=40))
    def test_garbage(self, text):
        """Never anything but FactsError."""
        self.assertRaises(facts.FactsError, attestation_result.loads, text)

    def test_malformed(self):
        good = json.loads(
            attestation_result.dumps(
                attestation_result.AttestationResult(attestation_result.GOOD)
            )
        )
        self.assertEqual(
            'good', attestation_result.loads(json.dumps(good)).state
        )
        for changes in (
            {'state': 'Good'},
            {'state': None},
            {'state': ['good']},
            {'found': None},
            {'pcrs': '17=ab'},
            {'pcrs': [17]},
            {'pcrs': None},
            {'boot': 1},
            {'runtime': 'true'},
            {'more': 1},
        ):
            self.assertRaises(
                facts.FactsError,
                attestation_result.loads,
                json.dumps({**good, **changes}),
            )
        for name in good:
            less = {key: good[key] for key in good if key != name}
            self.assertRaises(
                facts.FactsError, attestation_result.loads, json.dumps(less)
            )
        for text in ('null', '[]', '"good"', '[' * 10**5, None, 7):
            self.assertRaises(facts.FactsError, attestation_result.loads, text)

    def test_approved(self):
        one = attestation_result.AttestationResult(
            'good', pcrs=('9=ab', '17=cd,ef')
        )
        self.assertEqual({9: ('ab',), 17: ('cd', 'ef')}, one.approved())
        for entry in ('17', '17=', '=ab', 'x=ab', '-1=ab', '\u0661=ab', ''):
            self.assertRaises(
                facts.FactsError,
                attestation_result.AttestationResult(
                    'good', pcrs=('9=ab', entry)
                ).approved,
            )

    def test_launched(self):
        for size in (40, 64, 96, 128):
            for number in range(24):
                launched = functools.partial(
                    attestation_result.is_launched, number
                )
                # Nobody's hash.
                self.assertFalse(launched('f' * size))
                self.assertFalse(launched('F' * size))
                self.assertTrue(launched('e' + 'f' * (size - 1)))
                self.assertTrue(launched('1' + '0' * (size - 1)))
                # All but these two begin with it, or can be set to it.
                self.assertEqual(number in (18, 19), launched('0' * size))
                for locality in '1234':
                    self.assertEqual(
                        number != 0, launched('0' * (size - 1) + locality)
                    )
                self.assertTrue(launched('0' * (size - 1) + '5'))
