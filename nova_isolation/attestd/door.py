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
"""The door of a TLS port: who comes in, and who has to wait or to leave.

asyncio and uvicorn accept each connection and leave it a minute for its TLS
handshake. Here a connection has a place from the moment at which it is
accepted: first one of the few for those who are in their handshake, and then
one of those for clients. See :mod:`nova_isolation.attestd.places`.
"""

import asyncio
from collections.abc import Callable
import functools
import hashlib
import logging
import socket
import ssl
import sys
import time
import typing

from nova_isolation.attestd import places

LOG = logging.getLogger(__name__)

#: How many connections may be in their TLS handshake, or be told that there
#: is no place for them: at least, and for each client that may be connected.
#: All services of a site may come at once, from one address.
_HANDSHAKES = (128, 0.25)
#: Seconds that a TLS handshake may take.
HANDSHAKE_SECONDS = 5.0
#: Seconds in which a client must answer the end of its TLS connection. The
#: asyncio of Python 3.10 has no such limit: such a client, or one that does
#: not read its answer, keeps its place until a client from elsewhere needs it.
_SHUTDOWN_SECONDS = 2.0
#: How many connections are accepted before those who are in are served again.
_BATCH = 8
#: Seconds between two messages that connections were refused.
_REPORT_SECONDS = 60.0
#: Seconds until the next attempt after the system has refused a connection.
_RETRY_SECONDS = 0.5
#: How many peers are remembered for each client that may be connected.
_KNOWN_PER_CLIENT = 4
#: Digits of a certificate's fingerprint that a message shows.
_DIGITS = 16


def max_handshakes(max_clients: int) -> int:
    """Return how many connections may be in their TLS handshake.

    :param max_clients: see :class:`Door`
    """
    least, each = _HANDSHAKES
    return max(least, int(each * max_clients))


def descriptors(max_clients: int) -> int:
    """Return how many file descriptors a port uses at most.

    :param max_clients: see :class:`Door`
    """
    return max_clients + max_handshakes(max_clients) + 1


class Peer(typing.NamedTuple):
    """Whose connections are counted together.

    :ivar certificate: the SHA-256 fingerprint of the client's certificate; ''
        for none
    :ivar network: see :func:`nova_isolation.attestd.places.network`
    """

    certificate: str
    network: str

    def __str__(self) -> str:
        if not self.certificate:
            return self.network
        return (
            f'{self.network} with the certificate of SHA-256 fingerprint '
            f'{self.certificate[:_DIGITS]}...'
        )


class Visit:
    """One connection, from its arrival to its end."""

    def __init__(self, door: 'Door', network: str) -> None:
        """:param door: by which it came

        :param network: from where it came
        """
        self.network = network
        self.peer = Peer('', network)
        self.transport: asyncio.Transport | None = None
        self.handshake: asyncio.Task[typing.Any] | None = None
        self._door = door

    def abort(self) -> None:
        """Close the connection at once."""
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def enter(self, transport: asyncio.Transport) -> bool:
        """Ask for the place of a client, after the TLS handshake.

        :returns: False: there is no place; the client may be told so
        """
        self.transport = transport
        session = transport.get_extra_info('ssl_object')
        certificate = session.getpeercert(True) if session else None
        if certificate:
            self.peer = self.peer._replace(
                certificate=hashlib.sha256(certificate).hexdigest()
            )
        return self._door.let_in(self)

    def end(self) -> None:
        """Give the place back. To be called when the connection is lost."""
        self._door.let_out(self)


class Door:
    """Accepts the connections of one port."""

    def __init__(
        self, context: ssl.SSLContext | None, max_clients: int
    ) -> None:
        """:param context: the TLS settings of the server; None: the
            connections have no TLS

        :param max_clients: how many clients may be connected at once
        """
        self._context = context
        known = places.Acquaintances(_KNOWN_PER_CLIENT * max_clients)
        self._known = known
        self._max_handshakes = max_handshakes(max_clients)
        self._handshakes = places.Places(
            self._max_handshakes, known, for_newest=True
        )
        self._clients = places.Places(max_clients, known, for_newest=False)
        self._max_clients = max_clients
        self._listening: socket.socket | None = None
        self._tasks: set[asyncio.Task[typing.Any]] = set()
        self._report_at = 0.0

    def open(
        self,
        listening: socket.socket,
        protocol: Callable[[Visit], asyncio.Protocol],
    ) -> None:
        """Begin to accept connections.

        :param listening: a socket that listens
        :param protocol: makes the protocol of a connection. The protocol must
            call :meth:`Visit.enter` when the connection is made, and
            :meth:`Visit.end` when it is lost.
        """
        listening.setblocking(False)
        self._listening = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """End the acceptance of connections, and all handshakes."""
        if self._listening is not None:
            self._loop.remove_reader(self._listening)
            self._listening = None
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until no handshake is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def let_in(self, visit: Visit) -> bool:
        """See :meth:`Visit.enter`."""
        if not self._clients.take(visit.peer, visit):
            return False
        self._handshakes.leave(visit.network, visit)
        self._known.greet(visit.peer)
        # Known by its address alone before its next handshake.
        self._known.greet(
            visit.network,
            self._clients.count(lambda peer: peer.network == visit.network),
        )
        return True

    def let_out(self, visit: Visit) -> None:
        """See :meth:`Visit.end`."""
        self._handshakes.leave(visit.network, visit)
        self._clients.leave(visit.peer, visit)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            if self._listening is None:
                return
            try:
                one, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                # Without descriptors or memory the socket would be ready
                # again at once, and nothing else would be done.
                LOG.error('Cannot accept connections: %s', error)
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_RETRY_SECONDS, self._resume)
                return
            visit = Visit(self, places.network(address[0]))
            visit.handshake = self._loop.create_task(
                self._shake_hands(visit, one)
            )
            self._tasks.add(visit.handshake)
            visit.handshake.add_done_callback(self._tasks.discard)
            visit.handshake.add_done_callback(
                functools.partial(_tidy, visit, one)
            )
            self._handshakes.take(visit.network, visit)
            self._report()

    def _resume(self) -> None:
        if self._listening is not None:
            self._loop.add_reader(self._listening, self._accept)

    async def _shake_hands(self, visit: Visit, one: socket.socket) -> None:
        limits: dict[str, typing.Any] = {}
        if self._context is not None:
            limits['ssl_handshake_timeout'] = HANDSHAKE_SECONDS
        if self._context is not None and sys.version_info >= (3, 11):
            limits['ssl_shutdown_timeout'] = _SHUTDOWN_SECONDS
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(visit),
                one,
                ssl=self._context,
                **limits,
            )
        except OSError as error:
            # ssl.SSLError is an OSError. Anybody can cause it, at any rate.
            LOG.debug('TLS handshake with %s failed: %s', visit.network, error)

    def _report(self) -> None:
        """Report now and then who had to leave."""
        if not (self._handshakes.refused or self._clients.refused):
            return
        now = time.monotonic()
        if now < self._report_at or self._listening is None:
            return
        self._report_at = now + _REPORT_SECONDS
        port = self._listening.getsockname()[1]
        if self._handshakes.refused:
            LOG.warning(
                'Port %d closed %d connections before the end of their TLS '
                'handshake, because at most %d may be in it. Most came from '
                '%s.',
                port,
                self._handshakes.refused,
                self._max_handshakes,
                self._handshakes.greediest,
            )
        if self._clients.refused:
            LOG.warning(
                'Port %d refused or closed %d connections, because at most %d '
                'clients may be connected. Most connections had %s.',
                port,
                self._clients.refused,
                self._max_clients,
                self._clients.greediest,
            )
        self._handshakes.refused = self._clients.refused = 0


def _tidy(
    visit: Visit, one: socket.socket, handshake: asyncio.Task[None]
) -> None:
    """Release what a handshake that has ended holds."""
    # Otherwise the two would keep one another, and the buffers of asyncio for
    # the connection, until the next collection of garbage.
    visit.handshake = None
    if visit.transport is None:
        visit.end()
        one.close()
