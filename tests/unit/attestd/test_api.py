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
"""Tests of nova_isolation.attestd.api."""

import asyncio

import ddt
import fixtures
import httpx

from nova_isolation.attestation import snapshot
from nova_isolation.attestd import api
from nova_isolation.attestd import publisher
from tests.unit import base
from tests.unit.attestd import process


@ddt.ddt
class ApiTest(base.TestCase):
    """What is answered."""

    def go(self, scene, *snapshots):
        """Run a scene on a loop of its own.

        :param snapshots: that were published before
        """

        async def run():
            pub = publisher.Publisher()
            for one in snapshots:
                pub.publish(one)
            while snapshots and pub.newest is None:
                await asyncio.sleep(0.005)
            app = api.Api(pub, lambda: {'trouble': 'no route'}).app()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url='https://a'
            ) as client:
                await asyncio.wait_for(scene(client, pub), process.PATIENCE)

        asyncio.run(run())

    def test_nothing_is_known(self):
        async def scene(client, pub):
            for path in ('/v1/snapshot', '/v1/snapshot?wait=0.01'):
                answer = await client.get(path)
                self.assertEqual(503, answer.status_code)
                self.assertIn('no route', answer.text)
                self.assertNotIn('ETag', answer.headers)

        self.go(scene)

    def test_snapshot(self):
        async def scene(client, pub):
            answer = await client.get('/v1/snapshot')
            self.assertEqual(200, answer.status_code)
            self.assertEqual(
                'application/json', answer.headers['Content-Type']
            )
            self.assertEqual(known, snapshot.loads(answer.content))

        known = process.known(3, trouble='one of two')
        self.go(scene, known)

    @ddt.data('{}', '"other-1", {}', ' {} ,"other-1"')
    def test_not_modified(self, known):
        async def scene(client, pub):
            answer = await client.get(
                '/v1/snapshot',
                headers={'If-None-Match': known.format(pub.newest.etag)},
            )
            self.assertEqual(304, answer.status_code)
            self.assertEqual(b'', answer.content)
            self.assertEqual(pub.newest.etag, answer.headers['ETag'])

        self.go(scene, process.known())

    @ddt.data('"other-1"', '*', '', 'x')
    def test_modified(self, known):
        async def scene(client, pub):
            answer = await client.get(
                '/v1/snapshot?wait=60', headers={'If-None-Match': known}
            )
            self.assertEqual(200, answer.status_code)

        self.go(scene, process.known())

    def test_waits_for_news(self):
        async def scene(client, pub):
            waiting = asyncio.create_task(
                client.get(
                    '/v1/snapshot?wait=60',
                    headers={'If-None-Match': pub.newest.etag},
                )
            )
            await asyncio.sleep(0.05)
            self.assertFalse(waiting.done())
            pub.publish(process.known(2))
            answer = await waiting
            self.assertEqual(200, answer.status_code)
            self.assertEqual(2, len(snapshot.loads(answer.content).verdicts))

        self.go(scene, process.known())

    def test_waits_for_the_first(self):
        async def scene(client, pub):
            waiting = asyncio.create_task(
                client.get(
                    '/v1/snapshot?wait=60', headers={'If-None-Match': '"a-1"'}
                )
            )
            await asyncio.sleep(0.05)
            pub.publish(process.known())
            self.assertEqual(200, (await waiting).status_code)

        self.go(scene)

    def test_does_not_wait_longer_than_allowed(self):
        self.useFixture(fixtures.MockPatchObject(api, 'MAX_WAIT', 0.05))

        async def scene(client, pub):
            answer = await client.get(
                '/v1/snapshot?wait=1e9',
                headers={'If-None-Match': pub.newest.etag},
            )
            self.assertEqual(304, answer.status_code)

        self.go(scene, process.known())

    @ddt.data('', '-1', 'x', 'inf', 'nan', '1e400', '1' * 50)
    def test_wait_that_is_none(self, wait):
        async def scene(client, pub):
            answer = await client.get('/v1/snapshot', params={'wait': wait})
            self.assertEqual(400, answer.status_code)

        self.go(scene, process.known())

    def test_nobody_is_waited_for_who_has_gone(self):
        sent = []

        async def scene(client, pub):
            app = api.Api(pub, dict).app()
            messages = [
                {'type': 'http.request', 'body': b'', 'more_body': False},
                {'type': 'http.disconnect'},
            ]

            async def receive():
                return messages.pop(0)

            async def send(message):
                sent.append(message)

            await app(
                {
                    'type': 'http',
                    'method': 'GET',
                    'path': '/v1/snapshot',
                    'query_string': b'wait=60',
                    'headers': [(b'if-none-match', pub.newest.etag.encode())],
                },
                receive,
                send,
            )

        # Within the patience of go(), which is less than 60 s.
        self.go(scene, process.known())
        self.assertEqual(304, sent[0]['status'])

    def test_healthz(self):
        async def scene(client, pub):
            answer = await client.get('/healthz')
            self.assertEqual(200, answer.status_code)
            self.assertEqual({'trouble': 'no route'}, answer.json())

        self.go(scene)

    def test_refused(self):
        async def scene(client, pub):
            for status, method, path in (
                (405, 'POST', '/v1/snapshot'),
                (404, 'GET', '/'),
                # It is on the other port.
                (404, 'POST', '/v1/revocation'),
            ):
                answer = await client.request(method, path)
                self.assertEqual(status, answer.status_code, path)

        self.go(scene, process.known())
