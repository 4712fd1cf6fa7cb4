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

"""Tests of nova_isolation.attestation.keylime.revocation_message."""

import json

import ddt
import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import revocation_message
from tests.unit import base
from tests.unit.attestation.keylime import messages

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(['msg', 'type', 'agent_id', 'event_id']), inner
        )
    ),
)


@ddt.ddt
class ReadTest(base.TestCase):
    """What is a message."""

    def test_revocation(self):
        self.assertEqual(
            provider.Revocation(
                messages.AGENT,
                'revoked by its verifier (pcr_validation.invalid_pcr_17)',
            ),
            revocation_message.read(messages.message().encode()),
        )

    def test_comm_error(self):
        self.assertEqual(
            provider.Revocation(
                messages.AGENT, 'its verifier cannot reach it (no_quote)'
            ),
            revocation_message.read(
                messages.message(
                    type_='comm_error', event_id='no_quote'
                ).encode()
            ),
        )

    def test_agent_in_the_spelling_of_the_verdicts(self):
        for agent, wanted in (
            (messages.AGENT.upper(), messages.AGENT),
            ('Not-A-UUID', 'Not-A-UUID'),
        ):
            message = revocation_message.read(
                messages.message(agent=agent).encode()
            )
            self.assertEqual(wanted, message.agent)

    def test_unknown_type(self):
        """It takes trust away, because it names an agent."""
        for kind, words in (
            ('recovered', 'unknown type, recovered'),
            ('', 'unknown type, that is no word'),
            ('two\nlines', 'unknown type, that is no word'),
            ('\x1b[31m', 'unknown type, that is no word'),
            ('x' * 41, 'unknown type, that is no word'),
            (None, 'has no type'),
            (['revocation'], 'has no type'),
            ({}, 'has no type'),
        ):
            message = revocation_message.read(
                messages.message(type_=kind).encode()
            )
            self.assertEqual(messages.AGENT, message.agent)
            self.assertIn(words, message.found)
            self.assertTrue(message.found.isprintable())
        body = {'msg': json.dumps({'agent_id': messages.AGENT})}
        self.assertEqual(
            messages.AGENT,
            revocation_message.read(json.dumps(body).encode()).agent,
        )

    @ddt.data(None, 7, '', 'two\nlines', 'a b', 'x' * 256, ['a'])
    def test_event_that_is_none_is_left_out(self, event):
        self.assertEqual(
            'revoked by its verifier',
            revocation_message.read(
                messages.message(event_id=event).encode()
            ).found,
        )

    @ddt.data(
        b'',
        b'\xff',
        b'{}',
        b'[]',
        b'null',
        b'{"msg": "{}"}',
        b'{"msg": "[]"}',
        b'{"msg": "no JSON"}',
        b'{"msg": null}',
        # Keylime's is a text.
        b'{"msg": {"type": "revocation", "agent_id": "a"}}',
        b'{"msg": ' + b'[' * 100_000,
        messages.message(agent='').encode(),
        messages.message(agent=None).encode(),
        messages.message(agent='two\nlines').encode(),
        messages.message(agent='x' * 256).encode(),
        messages.message(agent=['a']).encode(),
        messages.message().encode()[:-20],
    )
    def test_malformed(self, body):
        self.assertRaises(ValueError, revocation_message.read, body)

    @hypothesis.given(st.binary() | JSON.map(json.dumps).map(str.encode))
    def test_nothing_else_is_raised(self, body):
        try:
            message = revocation_message.read(body)
        except ValueError:
            return
        self.assertIsInstance(message, provider.Revocation)

    @hypothesis.given(JSON)
    def test_nor_by_what_is_inside(self, inner):
        try:
            revocation_message.read(
                json.dumps({'msg': json.dumps(inner)}).encode()
            )
        except ValueError:
            return
