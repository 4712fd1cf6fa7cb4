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
"""A port, usually with TLS, on which no client can block the others."""

import asyncio
from collections.abc import Generator
from collections.abc import Sequence
import contextlib
import functools
import socket
import ssl
import typing

import uvicorn
from uvicorn.protocols.http import h11_impl

from nova_isolation.attestd import door
from nova_isolation.https import https_error
from nova_isolation.https import key_file
from nova_isolation.model import errors

#: Seconds in which a complete request must arrive after the client has
#: connected or has begun the request.
REQUEST_SECONDS = 10.0
#: Seconds for which a connection may be idle between two requests.
_IDLE_SECONDS = 15
#: Seconds for which the end of the daemon waits for answers under way.
_GRACE_SECONDS = 2
#: Seconds in which a client must read what was sent to it.
READ_SECONDS = 30.0


#: What is used of uvicorn and not documented by it. Without one of these
#: methods a client could block a port without an error.
_USED_OF_UVICORN = (
    (h11_impl.H11Protocol, 'shutdown'),
    (h11_impl.H11Protocol, 'timeout_keep_alive_handler'),
    (uvicorn.Server, 'capture_signals'),
    (uvicorn.Server, 'on_tick'),
    (uvicorn.Server, 'startup'),
)


class ListenerError(errors.IsolationError):
    """A port cannot be served as configured; the message says why."""


def tls(cert_file: str, private: str, client_ca_file: str) -> ssl.SSLContext:
    """Return the TLS settings of a server.

    :param cert_file: the certificate of the server, PEM
    :param private: the file with its private key, PEM
    :param client_ca_file: the CAs that must have signed the certificate of a
        client, PEM; '': clients need no certificate
    :raises ListenerError: a file cannot be used, or others can read the key
    """
    try:
        key_file.check(private)
    except https_error.HttpsError as error:
        raise ListenerError(str(error)) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # One connection must not cost the work of many handshakes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    files = f'{cert_file} with {private}'
    try:
        # Without the password OpenSSL would ask on the terminal.
        context.load_cert_chain(cert_file, private, password='')  # nosec B106
        if client_ca_file:
            files = client_ca_file
            context.load_verify_locations(client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        # ssl.SSLError is an OSError.
        raise ListenerError(f'{files} cannot be used: {error}') from error
    return context


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    :raises ListenerError: the address or the port cannot be used
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ListenerError(
            f'cannot listen on {host} port {port}: {error.strerror}'
        ) from error


class _Protocol(h11_impl.H11Protocol):
    """Limits the time for a request, and for reading the answer.

    uvicorn itself limits only the time between two requests.
    """

    def __init__(
        self, visit: door.Visit, *args: typing.Any, **kwargs: typing.Any
    ) -> None:
        """:param visit: the connection; for the rest see the base class"""
        super().__init__(*args, **kwargs)
        self._visit = visit

    def connection_made(self, transport: typing.Any) -> None:
        """Start the deadline of the first request, after the TLS handshake."""
        if not self._visit.enter(transport):
            # The answer of uvicorn to each request is then 503.
            self.limit_concurrency = 0
        # For applications that give each client a share.
        self.app_state = {**self.app_state, 'peer': self._visit.peer}
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Restart or end the deadline: a part of a request has arrived."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._arm()
        else:
            self._disarm()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if the client reads nothing."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(READ_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Start the deadline of a client that does not read its answer."""
        super().pause_writing()
        self._stalled = self.loop.call_later(
            READ_SECONDS, self.transport.abort
        )

    def resume_writing(self) -> None:
        """End the deadline: the client reads again."""
        if self._stalled is not None:
            self._stalled.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all deadlines of the connection."""
        self._visit.end()
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, because the daemon ends."""
        super().shutdown()
        # Do not wait for the close_notify of the client.
        self.loop.call_later(_GRACE_SECONDS / 2, self.transport.abort)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(
                REQUEST_SECONDS, self.transport.abort
            )

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener(uvicorn.Server):
    """Serves one application on one port."""

    def __init__(
        self,
        app: typing.Any,
        context: ssl.SSLContext | None,
        max_clients: int,
    ) -> None:
        """:param app: the ASGI application

        :param context: see :func:`tls`; None: the port has no TLS
        :param max_clients: how many clients may be connected at once
        :raises ListenerError: the installed uvicorn lacks what is needed
        """
        for cls, name in _USED_OF_UVICORN:
            if not callable(getattr(cls, name, None)):
                raise ListenerError(
                    f'uvicorn {uvicorn.__version__} has no '
                    f'{cls.__name__}.{name}, which limits slow clients; '
                    'install uvicorn 0.32 or a later one'
                )
        self._door = door.Door(context, max_clients)
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws='none',
                lifespan='off',
                loop='none',
                log_config=None,
                # Anybody could fill the log with its warnings of requests
                # that are malformed.
                log_level='error',
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def startup(
        self, sockets: Sequence[socket.socket] | None = None
    ) -> None:
        """Accept connections by a door of our own."""
        await super().startup(sockets=[])
        for one in sockets or ():
            self._door.open(
                one,
                functools.partial(
                    _Protocol,
                    config=self.config,
                    server_state=self.server_state,
                    app_state=self.lifespan.state,
                ),
            )
        # uvicorn closes its servers when it ends, and waits for them.
        self.servers.append(typing.cast(asyncio.Server, self._door))

    async def on_tick(self, counter: int) -> bool:
        """Renew the Date header at each tick instead of each tenth.

        Clients compare the header with their clocks.
        """
        return await super().on_tick(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture no signals: the daemon has more than one listener."""
        yield
