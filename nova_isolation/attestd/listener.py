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
"""A port on which TLS is spoken, and no client can hold up the others."""

import asyncio
from collections.abc import Generator
import contextlib
import socket
import ssl
import typing

import uvicorn
from uvicorn.protocols.http import h11_impl

from nova_isolation.https import key_file

#: Seconds in which a request has to be there once a client has connected or
#: begun it, ...
REQUEST_SECONDS = 10.0
#: ... for which a connection may be idle between two, ...
_IDLE_SECONDS = 15
#: ... and which those who are being answered have when the daemon ends.
_GRACE_SECONDS = 2
#: Seconds after that in which the last answer must have been read.
READ_SECONDS = 30.0


class ListenerError(Exception):
    """Nobody can be served like that; the message says why."""


def tls(cert_file: str, private: str, client_ca_file: str) -> ssl.SSLContext:
    """How a server speaks TLS.

    :param private: the file with the private key
    :param client_ca_file: those who have no certificate of this authority
        are refused; '': no certificate is asked for
    :raises ListenerError: a file cannot be used
    :raises nova_isolation.attestation.provider.ProviderError: others may know
        the key
    """
    key_file.check(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    files = f'{cert_file} with {private}'
    try:
        # Without the password OpenSSL would ask on the terminal.
        context.load_cert_chain(cert_file, private, password='')  # nosec B106
        if client_ca_file:
            files = client_ca_file
            context.load_verify_locations(client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        # ssl.SSLError is one.
        raise ListenerError(f'{files} cannot be used: {error}') from error
    return context


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    :raises ListenerError: it cannot
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ListenerError(
            f'cannot listen on {host} port {port}: {error.strerror}'
        ) from error


class _Protocol(h11_impl.H11Protocol):
    """Waits for ever neither for a request nor for who should read."""

    def connection_made(self, transport: typing.Any) -> None:
        """Connected, TLS included."""
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or of its body."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._arm()
        else:
            self._disarm()

    def timeout_keep_alive_handler(self) -> None:
        """Idle. What it has not read yet is not sent for ever."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(READ_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read what is sent to it."""
        super().pause_writing()
        self._stalled = self.loop.call_later(
            READ_SECONDS, self.transport.abort
        )

    def resume_writing(self) -> None:
        """It does."""
        if self._stalled is not None:
            self._stalled.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._disarm()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The daemon ends."""
        super().shutdown()
        # TLS waits for the client to say good-bye as well.
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
    """One port with its application."""

    def __init__(
        self, app: typing.Any, context: ssl.SSLContext, max_clients: int
    ) -> None:
        """:param app: the ASGI application"""
        super().__init__(
            uvicorn.Config(
                app,
                ssl_context_factory=lambda config, default: context,
                http=_Protocol,
                ws='none',
                lifespan='off',
                loop='none',
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=max_clients + 1,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def on_tick(self, counter: int) -> bool:
        """The Date header is made anew each time, not each tenth.

        Clients compare it with their clock.
        """
        return await super().on_tick(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None: the daemon has more than one listener."""
        yield
