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
"""Tests of nova_isolation.attestd.webhook."""

import asyncio
import json

import ddt
import httpx
import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestd import webhook
from tests.unit import base
from tests.unit.attestd import process

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
            webhook.Message(
                process.AGENT,
                'revoked by its verifier (pcr_validation.invalid_pcr_17)',
            ),
            webhook.read(process.message().encode()),
        )

    def test_comm_error(self):
        self.assertEqual(
            webhook.Message(
                process.AGENT, 'its verifier cannot reach it (no_quote)'
            ),
            webhook.read(
                process.message(
                    type_='comm_error', event_id='no_quote'
                ).encode()
            ),
        )

    def test_agent_in_the_spelling_of_the_verdicts(self):
        for agent, wanted in (
            (process.AGENT.upper(), process.AGENT),
            ('Not-A-UUID', 'Not-A-UUID'),
        ):
            message = webhook.read(process.message(agent=agent).encode())
            self.assertEqual(wanted, message.agent)

    @ddt.data(None, 7, '', 'two\nlines', 'a b', 'x' * 256, ['a'])
    def test_event_that_is_none_is_left_out(self, event):
        self.assertEqual(
            'revoked by its verifier',
            webhook.read(process.message(event_id=event).encode()).found,
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
        process.message(type_='recovered').encode(),
        process.message(type_=None).encode(),
        process.message(type_=['revocation']).encode(),
        process.message(agent='').encode(),
        process.message(agent=None).encode(),
        process.message(agent='two\nlines').encode(),
        process.message(agent='x' * 256).encode(),
        process.message(agent=['a']).encode(),
        process.message().encode()[:-20],
    )
    def test_malformed(self, body):
        self.assertRaises(ValueError, webhook.read, body)

    @hypothesis.given(st.binary() | JSON.map(json.dumps).map(str.encode))
    def test_nothing_else_is_raised(self, body):
        try:
            message = webhook.read(body)
        except ValueError:
            return
        self.assertIsInstance(message, webhook.Message)

    @hypothesis.given(JSON)
    def test_nor_by_what_is_inside(self, inner):
        try:
            webhook.read(json.dumps({'msg': json.dumps(inner)}).encode())
        except ValueError:
            return


class AppTest(base.TestCase):
    """What is answered."""

    def setUp(self):
        super().setUp()
        self.revoked = []

    def ask(self, method, path, content):
        """The status, and what was revoked."""

        async def run():
            app = webhook.Webhook(
                lambda *found: bool(self.revoked.append(found))
            ).app()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url='https://a'
            ) as client:
                return await client.request(method, path, content=content)

        return asyncio.run(run()).status_code

    def test_accepted(self):
        self.assertEqual(
            200, self.ask('POST', '/v1/revocation', process.message())
        )
        ((agent, _),) = self.revoked
        self.assertEqual(process.AGENT, agent)

    def test_as_much_as_allowed(self):
        text = process.message().encode()
        self.assertEqual(
            200,
            self.ask('POST', '/v1/revocation', text.ljust(webhook.MAX_BODY)),
        )
        self.assertEqual(
            413,
            self.ask(
                'POST', '/v1/revocation', text.ljust(webhook.MAX_BODY + 1)
            ),
        )
        self.assertEqual(1, len(self.revoked))

    def test_body_that_never_ends(self):
        self.useFixture(
            process.fixtures.MockPatchObject(webhook, '_PATIENCE', 0.05)
        )

        async def slow():
            yield b'{'
            await asyncio.sleep(process.PATIENCE)

        self.assertEqual(408, self.ask('POST', '/v1/revocation', slow()))
        self.assertEqual([], self.revoked)

    def test_refused(self):
        for status, method, path, content in (
            (400, 'POST', '/v1/revocation', '{}'),
            (405, 'GET', '/v1/revocation', None),
            (405, 'PUT', '/v1/revocation', process.message()),
            (404, 'POST', '/', process.message()),
            # It is on the other port.
            (404, 'GET', '/v1/snapshot', None),
        ):
            self.assertEqual(status, self.ask(method, path, content))
        self.assertEqual([], self.revoked)
