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

"""TLS to one server: only pinned CAs, and a total deadline per answer."""

from collections.abc import Iterator
import contextlib
import os
import socket
import ssl
import threading
import time
import typing

import requests
from requests import adapters
import urllib3
import urllib3.connection

from nova_isolation.https import https_error


class Limit:
    """The deadline of the answer that is under way, for one connection.

    The timeout of requests applies to each read alone. A server that sends
    one byte a second would keep a request open for ever. So the connection
    is shut down at the deadline. This ends the handshake, a write and a read
    alike, with native threads and under eventlet, whose TLS sockets offer
    nothing else that both modes have.
    """

    def __init__(self) -> None:
        self._at = 0.0
        self._closed = threading.Event()
        #: A duplicate, because TLS takes the socket over.
        self._socket: socket.socket | None = None
        #: The process that has connected. A child of it has the duplicate
        #: too, and must not shut down its parent's connection.
        self._pid = 0

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self._closed.is_set()

    def left(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: the deadline has passed, or the client is closed
        """
        left = self._at - time.monotonic()
        if left <= 0 or self.closed:
            raise TimeoutError
        return left

    def has_passed(self, seconds: float = 0.0) -> bool:
        """Return whether the deadline will have passed in some seconds."""
        return time.monotonic() + seconds >= self._at

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Shut down the connection if the block takes longer.

        :param seconds: until the deadline
        """
        self._at = time.monotonic() + seconds
        timer = threading.Timer(seconds, self._shut_down)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            # Nobody else's request may be met by a timer that was late.
            timer.join()

    def wait(self, seconds: float) -> None:
        """Wait for that time, or until the client is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Shut down the connection now, and let no later request succeed."""
        self._closed.set()
        self._shut_down()

    def watch(self, connected: socket.socket) -> None:
        """Shut down this connection at the deadline.

        :param connected: a TCP connection, without TLS yet
        :raises TimeoutError: the deadline has passed, or the client is closed
        """
        self.forget()
        self._socket, self._pid = connected.dup(), os.getpid()
        # Whoever closed the client before did not find the connection.
        self.left()

    def forget(self) -> None:
        """Close the duplicate: only then the peer sees the end."""
        watched, self._socket = self._socket, None
        if watched is not None:
            watched.close()

    def _shut_down(self) -> None:
        watched = self._socket
        if watched is not None and self._pid == os.getpid():
            # OSError: the connection has ended, or has just been closed.
            with contextlib.suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)


def _pool(limit: Limit) -> type[urllib3.HTTPSConnectionPool]:
    """Return a class of pools whose connection observes a limit."""

    class Connection(urllib3.connection.HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            try:
                limit.watch(connected)
            except BaseException:
                connected.close()
                raise
            return connected

        def close(self) -> None:
            limit.forget()
            super().close()

    class Pool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


class _Adapter(adapters.HTTPAdapter):
    """Makes connections with a TLS context of our own."""

    def __init__(self, context: ssl.SSLContext, limit: Limit) -> None:
        self._context = context
        self._limit = limit
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(
        self, *args: typing.Any, **kwargs: typing.Any
    ) -> None:
        """See the base class."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {'https': _pool(self._limit)}


def session(
    limit: Limit, ca_file: str, cert_file: str, key_file: str
) -> requests.Session:
    """Return a session that trusts only the given CAs and observes a limit.

    :param limit: of each answer to a request of this session
    :param ca_file: the CA certificates that are trusted, PEM
    :param cert_file: the client certificate, PEM; '' for none
    :param key_file: the private key of the client certificate, PEM
    :raises nova_isolation.https.https_error.HttpsError: a file cannot be used
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # urllib3 1 cannot use a context that checks the host name if that name is
    # an IP address. Only urllib3 1 then checks the name itself.
    version: str = urllib3.__version__  # type: ignore[attr-defined]
    context.check_hostname = not version.startswith('1.')
    what = f'ca_file {ca_file}'
    try:
        context.load_verify_locations(cafile=ca_file)
        what = f'cert_file {cert_file} with key_file {key_file}'
        if cert_file:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(cert_file, key_file, password='')  # nosec B106
    except (OSError, ValueError) as error:
        raise https_error.HttpsError(
            f'{what} cannot be used, wanted PEM, found: {error}'
        ) from error
    result = requests.Session()
    # Ignore proxies and REQUESTS_CA_BUNDLE of the environment.
    result.trust_env = False
    result.headers['User-Agent'] = 'nova-isolation'
    result.headers['Accept-Encoding'] = 'identity'
    result.mount('https://', _Adapter(context, limit))
    # Refuse plain HTTP.
    del result.adapters['http://']
    return result


def stamp(path: str) -> object:
    """Return the identity of a file, to detect that it was replaced.

    :param path: the file; '' for none
    :raises nova_isolation.https.https_error.HttpsError: the file cannot be
        examined
    """
    if not path:
        return None
    try:
        state = os.stat(path)
    except OSError as error:
        raise https_error.HttpsError(
            f'{path} cannot be used: {error.strerror or error}'
        ) from error
    return (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
