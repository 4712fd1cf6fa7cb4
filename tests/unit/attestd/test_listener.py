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
"""Tests of nova_isolation.attestd.listener: clients that are no good."""

import asyncio
import errno
import os
import socket
import ssl
import sys
import time
import unittest

import fixtures
import uvicorn

from nova_isolation.attestd import door
from nova_isolation.attestd import listener
from tests.unit import base
from tests.unit.attestd import process
from tests.unit.https import pki

ASK = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'


class ListenerTest(base.TestCase):
    """None of them holds up the others."""

    def setUp(self):
        super().setUp()
        authority = pki.Authority(self.useFixture(fixtures.TempDir()).path)
        own = authority.issue('own')
        self.server = listener.tls(own.cert_file, own.key_file, '')
        self.client = ssl.create_default_context(cafile=authority.ca_file)
        self.useFixture(
            fixtures.MockPatchObject(listener, 'REQUEST_SECONDS', 0.3)
        )

    def go(self, scene, max_clients=10, seconds=0.0, body=b'ok'):
        """Run a scene with a listener.

        :param scene: called with a function that connects
        :param seconds: that each answer takes
        :param body: of each answer
        """

        async def app(scope, receive, send):
            await asyncio.sleep(seconds)
            await send(
                {
                    'type': 'http.response.start',
                    'status': 200,
                    'headers': [(b'content-length', b'%d' % len(body))],
                }
            )
            await send({'type': 'http.response.body', 'body': body})

        async def run():
            served = listener.Listener(app, self.server, max_clients)
            with listener.bind('127.0.0.1', 0) as one:
                task = asyncio.create_task(served.serve([one]))
                while not served.started:
                    await asyncio.sleep(0.01)
                port = one.getsockname()[1]
                await scene(
                    lambda: asyncio.open_connection(
                        '127.0.0.1', port, ssl=self.client
                    )
                )
                served.should_exit = True
                await task

        asyncio.run(asyncio.wait_for(run(), process.PATIENCE))

    async def ended(self, reader):
        """All that comes until the end."""
        try:
            return await reader.read()
        except ConnectionError:
            return b''

    def test_says_nothing(self):
        async def scene(connect):
            reader, _ = await connect()
            self.assertEqual(b'', await self.ended(reader))

        self.go(scene)

    def test_never_ends_its_request(self):
        async def scene(connect):
            reader, writer = await connect()

            async def drip():
                while True:
                    writer.write(b'G')
                    await asyncio.sleep(0.05)

            task = asyncio.create_task(drip())
            self.assertNotIn(b'200', await self.ended(reader))
            task.cancel()

        self.go(scene)

    def test_never_ends_its_second_request(self):
        async def scene(connect):
            reader, writer = await connect()
            writer.write(ASK)
            self.assertIn(b'200', await reader.readuntil(b'ok'))
            writer.write(ASK[:-1])
            self.assertEqual(b'', await self.ended(reader))

        self.go(scene)

    def test_slow_answer_is_no_slow_client(self):
        async def scene(connect):
            reader, writer = await connect()
            for _ in range(2):
                writer.write(ASK)
                answer = await reader.readuntil(b'ok')
                self.assertIn(b'200', answer)
                self.assertIn(b'\r\ndate: ', answer)
                self.assertNotIn(b'\r\nserver: ', answer)

        self.go(scene, seconds=0.7)

    def do_not_read(self, asked):
        """Take all places by clients that do not read what they asked for."""

        async def scene(connect):
            clients = [await connect() for _ in range(2)]
            for reader, writer in clients:
                # No more than that is taken on.
                reader._transport.pause_reading()
                writer.write(asked)
            # They lose their places, however busy the machine is.
            line = b''
            until = time.monotonic() + process.PATIENCE / 2
            while b' 200 ' not in line:
                self.assertLess(time.monotonic(), until)
                await asyncio.sleep(0.2)
                reader, writer = await connect()
                writer.write(ASK)
                line = await reader.readline()
                writer.transport.abort()
            for _, writer in clients:
                writer.transport.abort()

        self.go(scene, max_clients=2, body=b'x' * 2**25)

    @unittest.skipIf(
        sys.version_info < (3, 11), 'asyncio of Python 3.10 has no such limit'
    )
    def test_does_not_read(self):
        """The idle time counts from the end of the answer, not of reading."""
        for where, name, seconds in (
            (listener, '_IDLE_SECONDS', 0.3),
            (door, '_SHUTDOWN_SECONDS', 0.3),
        ):
            self.useFixture(fixtures.MockPatchObject(where, name, seconds))
        self.do_not_read(ASK)

    def test_does_not_read_and_asks_again(self):
        """The second answer waits for the first one, so nothing is idle."""
        self.useFixture(
            fixtures.MockPatchObject(listener, 'READ_SECONDS', 0.3)
        )
        self.do_not_read(ASK * 2)

    def test_too_many(self):
        async def scene(connect):
            clients = [await connect() for _ in range(3)]
            # The last one has no place, and is told so.
            for (reader, writer), wanted in zip(
                clients, (b' 200 ', b' 200 ', b' 503 '), strict=True
            ):
                writer.write(ASK)
                self.assertIn(wanted, await reader.readline())
            # Those who say nothing do not stay.
            for reader, _ in clients:
                await self.ended(reader)
            reader, writer = await connect()
            writer.write(ASK)
            self.assertIn(b'200', await reader.readline())

        self.go(scene, max_clients=2)

    def test_system_that_refuses_a_connection(self):
        """No descriptor was left: it tries again, and serves others."""
        accept = socket.socket.accept
        failures = iter([OSError(errno.EMFILE, 'Too many open files')])

        def refuse(self):
            for error in failures:
                raise error
            return accept(self)

        self.useFixture(
            fixtures.MockPatchObject(socket.socket, 'accept', refuse)
        )

        async def scene(connect):
            reader, writer = await connect()
            writer.write(ASK)
            self.assertIn(b'200', await reader.readline())

        self.go(scene)

    @unittest.skipIf(
        sys.version_info < (3, 11), 'asyncio of Python 3.10 has no such limit'
    )
    def test_end_of_a_connection_that_nobody_answers(self):
        """A client that does not answer it keeps no descriptor."""
        self.useFixture(
            fixtures.MockPatchObject(door, '_SHUTDOWN_SECONDS', 0.3)
        )

        def talk(port):
            with (
                socket.create_connection(('127.0.0.1', port)) as plain,
                self.client.wrap_socket(
                    plain, server_hostname='127.0.0.1'
                ) as one,
            ):
                one.sendall(ASK[:-2] + b'Connection: close\r\n\r\n')
                # Its bytes are read, but no end is sent in return.
                with socket.socket(fileno=os.dup(one.fileno())) as raw:
                    raw.settimeout(3.0)
                    while raw.recv(4096):
                        pass

        async def scene(connect):
            _, writer = await connect()
            port = writer.get_extra_info('peername')[1]
            await asyncio.to_thread(talk, port)

        self.go(scene)

    def test_speaks_no_http(self):
        async def scene(connect):
            reader, writer = await connect()
            writer.write(b'\0' * 1000 + b'\r\n\r\n')
            self.assertIn(b' 400 ', await reader.readline())

        self.go(scene)

    @unittest.skipIf(
        sys.version_info < (3, 11),
        'asyncio of Python 3.10 hands on in one piece what has come, of which '
        'uvicorn refuses twice what follows; the connection is closed',
    )
    def test_headers_without_end(self):
        async def scene(connect):
            reader, writer = await connect()
            writer.write(b'GET / HTTP/1.1\r\nX: ' + b'x' * 10**6)
            self.assertIn(b' 400 ', await reader.readline())

        self.go(scene)

    def test_uvicorn_without_what_limits_clients(self):
        self.useFixture(
            fixtures.MockPatchObject(
                listener,
                '_USED_OF_UVICORN',
                (*listener._USED_OF_UVICORN, (uvicorn.Server, 'no_such')),
            )
        )
        self.assertRaisesText(
            listener.ListenerError,
            'Server.no_such',
            listener.Listener,
            None,
            self.server,
            1,
        )

    def test_key_that_others_may_read(self):
        authority = pki.Authority(self.useFixture(fixtures.TempDir()).path)
        own = authority.issue('own')
        os.chmod(own.key_file, 0o640)
        self.assertRaisesText(
            listener.ListenerError,
            'chmod 600',
            listener.tls,
            own.cert_file,
            own.key_file,
            '',
        )
