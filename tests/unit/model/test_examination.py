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

"""The answer of a host about a running guest."""

import json

from nova_isolation.model import examination
from nova_isolation.model import reasons
from tests.unit import base

KEY = 'isolation:svirt'
AT = '2026-11-26T12:00:00Z'
GOOD = examination.Examination(AT, (examination.Read(KEY, 'svirt_t'),))
UNMET = reasons.Unmet('isolation.svirt.no_label', KEY, 'selinux', 'none')


class ExaminationTest(base.TestCase):
    def test_round(self):
        for one, verified in (
            (GOOD, True),
            (examination.Examination(AT, (), (UNMET,)), False),
            (examination.Examination(AT, GOOD.proofs, (UNMET,)), False),
            # Absence is no fact.
            (examination.Examination(AT), False),
        ):
            self.assertIs(verified, one.verified)
            text = json.dumps(one.dump())
            self.assertEqual(one, examination.load(json.loads(text)))

    def test_what_the_host_does_not_mention_is_not_proven(self):
        self.assertEqual(GOOD, GOOD.asked([KEY]))
        found = GOOD.asked([KEY, 'isolation:qemu_sandbox'])
        self.assertFalse(found.verified)
        self.assertEqual(
            [('isolation.verify.failed', 'isolation:qemu_sandbox')],
            [(one.code, one.key) for one in found.unmet],
        )

    def test_malformed(self):
        good = GOOD.dump()
        for change in (
            {'at': None},
            {'at': '2026-11-26 12:00'},
            {'at': AT + '\n'},
            {'proofs': None},
            {'proofs': [1]},
            {'proofs': [{'requirement': KEY}]},
            {'proofs': [{'requirement': KEY, 'read': 1}]},
            {'proofs': [{'requirement': KEY, 'read': '', 'more': ''}]},
            {'proofs': good['proofs'] * 1000},
            {'unmet': {}},
            {'unmet': [{'code': 'isolation.svirt.no_label'}]},
            # It would show as good what is not.
            {'proofs': []},
            {'verified': False},
            {'verified': 'true'},
            {'verified': None},
        ):
            with self.assertRaises(examination.ExaminationError):
                examination.load(good | change)
        for other in (None, [], 'verified', True):
            with self.assertRaises(examination.ExaminationError):
                examination.load(other)

    def test_words_of_others_are_one_line(self):
        found = examination.load(
            {
                'at': AT,
                'verified': True,
                'proofs': [{'requirement': KEY, 'read': 'a\nb\x1b[2J'}],
                'unmet': [],
            }
        )
        self.assertEqual(r'a\nb\x1b[2J', found.proofs[0].read)
