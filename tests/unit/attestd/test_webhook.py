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
import time

import httpx

from nova_isolation.attestation import provider
from nova_isolation.attestation.keylime import revocation_message
from nova_isolation.attestd import body
from nova_isolation.attestd import webhook
from tests.unit import base
from tests.unit.attestation.keylime import messages
from tests.unit.attestd import process


class AppTest(base.TestCase):
    """What is answered."""

    def setUp(self):
        super().setUp()
        self.revoked = []
        self.read = revocation_message.read

    def ask(self, method, path, content):
        """The status, and what was revoked."""

        async def run():
            app = webhook.Webhook(
                self.read, lambda *found: bool(self.revoked.append(found))
            ).app()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url='https://a'
            ) as client:
                return await client.request(method, path, content=content)

        return asyncio.run(run()).status_code

    def test_accepted(self):
        self.assertEqual(
            200, self.ask('POST', '/v1/revocation', messages.message())
        )
        ((agent, _),) = self.revoked
        self.assertEqual(process.AGENT, agent)

    def test_as_much_as_allowed(self):
        text = messages.message().encode()
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

    def test_client_that_leaves(self):
        """It is no error of the application, and nothing is revoked."""
        events = iter(
            [
                {'type': 'http.request', 'body': b'{', 'more_body': True},
                {'type': 'http.disconnect'},
            ]
        )
        sent = []

        async def receive():
            return next(events)

        async def send(event):
            sent.append(event)

        app = webhook.Webhook(self.read, self.revoked.append).app()
        scope = {
            'type': 'http',
            'method': 'POST',
            'path': '/v1/revocation',
            'headers': [],
            'query_string': b'',
        }
        asyncio.run(app(scope, receive, send))
        self.assertEqual(400, sent[0]['status'])
        self.assertEqual([], self.revoked)

    def test_body_that_never_ends(self):
        self.useFixture(
            process.fixtures.MockPatchObject(body, '_PATIENCE', 0.05)
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
            (405, 'PUT', '/v1/revocation', messages.message()),
            (404, 'POST', '/', messages.message()),
            # It is on the other port.
            (404, 'GET', '/v1/snapshot', None),
        ):
            self.assertEqual(status, self.ask(method, path, content))
        self.assertEqual([], self.revoked)

    def test_message_of_another_verifier(self):
        """The provider alone knows the form of a message."""
        self.read = lambda body: provider.Revocation(body.decode(), 'rebooted')
        self.assertEqual(200, self.ask('POST', '/v1/revocation', 'agent 7'))
        self.assertEqual([('agent 7', 'rebooted')], self.revoked)

    def test_provider_that_fails(self):
        """Whatever it raises or returns, the next message is read."""

        def reads(found):
            def read(body):
                if isinstance(found, BaseException):
                    raise found
                return found

            return read

        for found in (
            SystemExit(3), KeyboardInterrupt(), StopIteration(), KeyError('x'),
            GeneratorExit(), 7, ('a',), ('a', None), (['a'], 'x'),
        ):  # fmt: skip
            self.read = reads(found)
            self.assertEqual(400, self.ask('POST', '/v1/revocation', 'x'))
        self.read = reads(provider.Revocation('a', 'x'))
        self.assertEqual(200, self.ask('POST', '/v1/revocation', 'x'))
        self.assertEqual([('a', 'x')], self.revoked)

    def test_one_message_at_a_time(self):
        """Many messages do not keep the threads of this process busy."""
        at_once, most = [], []

        def read(body):
            at_once.append(body)
            most.append(len(at_once))
            time.sleep(0.01)
            at_once.pop()

        async def run():
            app = webhook.Webhook(read, lambda *_: True).app()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url='https://a'
            ) as client:
                await asyncio.gather(
                    *(
                        client.post('/v1/revocation', content='x')
                        for _ in range(20)
                    )
                )

        asyncio.run(run())
        self.assertEqual([1] * 20, most)

    def test_message_that_revokes_nothing(self):
        self.read = lambda body: None
        self.assertEqual(200, self.ask('POST', '/v1/revocation', 'hello'))
        self.assertEqual([], self.revoked)
