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

"""What is asked of a host, and what is read of its answer."""

import copy
import dataclasses
import json

import ddt

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import question
from nova_isolation.evidence import statement
from tests.unit import base
from tests.unit.evidence import samples

OPERATOR = statement.Audience.OPERATOR
UUID = samples.OPERATOR.subject.uuid
ASKED = question.Question(OPERATOR, samples.OPERATOR.nonce)


def bundle(stated=samples.OPERATOR, receipt=None):
    sealed = json.loads(envelope.seal(stated, samples.signer()))
    return {'envelope': sealed, 'receipt': receipt}


@ddt.ddt
class QuestionTest(base.TestCase):
    def test_there_and_back(self):
        for audience in statement.Audience:
            one = question.Question(audience, 'a-nonce_of.some~body')
            self.assertEqual(one, question.loads(one.dumps()))

    @ddt.data(
        None,
        7,
        '',
        'req-5d0c3a6e-0000-4000-8000-000000000001',
        'isolation-evidence',
        'isolation-evidence:operator',
        'isolation-evidence:operator:short',
        'isolation-evidence:operator:a nonce with spaces',
        'isolation-evidence:operator:a-nonce-of-somebody\n',
        'isolation-evidence:root:a-nonce-of-somebody',
        'isolation-evidence:operator:a-nonce-of-somebody:',
        'other:operator:a-nonce-of-somebody',
    )
    def test_no_question(self, text):
        self.assertIsNone(question.loads(text))


@ddt.ddt
class AnswerTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.answer = question.Answer(bundle(receipt={'index': 0}))

    def refused(self, answer, uuid=UUID, asked=ASKED):
        with self.assertRaises(errors.BadEvidence):
            question.load(answer, uuid, asked)

    def test_there_and_back(self):
        for one in (
            self.answer,
            question.Answer(bundle(), question.AWAY, 'connection refused'),
        ):
            self.assertEqual(one, question.load(one.dump(), UUID, ASKED))

    def test_an_answer_to_another_question(self):
        given = self.answer.dump()
        self.refused(given, uuid=UUID.replace('1', '2'))
        self.refused(
            given, asked=dataclasses.replace(ASKED, nonce='another-nonce')
        )
        self.refused(
            given,
            asked=dataclasses.replace(
                ASKED, audience=statement.Audience.OWNER
            ),
        )

    @ddt.data(
        {'bundle': None},
        {'bundle': {}},
        {'bundle': {'envelope': None, 'receipt': {}}},
        {'bundle': {'envelope': {'payload': '!'}, 'receipt': {}}},
        {'bundle': {'envelope': {'payload': 'e30='}, 'receipt': {}}},
        {'bundle': {'envelope': {'payload': 'A' * 10**6}, 'receipt': {}}},
        {'code': 'away'},
        {'code': None},
        {'detail': 7},
        {'more': ''},
    )
    def test_malformed(self, change):
        self.refused(copy.deepcopy(self.answer.dump()) | change)
        self.refused(list(self.answer.dump()))

    def test_a_host_that_cannot(self):
        answer = question.failed(OSError('PCR 17\nis another one'))
        with self.assertRaises(question.NotStatedError) as caught:
            question.load(answer, UUID, ASKED)
        self.assertIn('PCR 17', str(caught.exception))
        self.assertEqual(1, len(str(caught.exception).splitlines()))

    def test_neither_receipt_nor_code(self):
        self.refused(question.Answer(bundle()).dump())
