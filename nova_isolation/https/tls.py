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

import os
import ssl
import threading
import time
import typing

import requests
from requests import adapters
import urllib3

from nova_isolation.https import https_error

#: Seconds after which a waiting read checks whether the client was closed.
_SLICE = 0.5


class Limit:
    """The deadline of the answer that is under way.

    :ivar at: the deadline, by :func:`time.monotonic`
    :ivar closed: set when the client was closed
    """

    def __init__(self) -> None:
        self.at = 0.0
        self.closed = threading.Event()

    def left(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: the deadline has passed, or the client is closed
        """
        left = self.at - time.monotonic()
        if left <= 0 or self.closed.is_set():
            raise TimeoutError
        return left


def _socket_class(limit: Limit) -> type[ssl.SSLSocket]:
    """Return a class of sockets that observe a deadline over all reads.

    The timeout of requests applies to each read alone. A server that sends
    one byte a second would keep a request open for ever.
    """

    class Socket(ssl.SSLSocket):
        def recv_into(self, *args: typing.Any, **kwargs: typing.Any) -> int:
            while True:
                self.settimeout(min(limit.left(), _SLICE))
                try:
                    return super().recv_into(*args, **kwargs)
                except TimeoutError:
                    continue

    return Socket


class _Adapter(adapters.HTTPAdapter):
    """Makes connections with a TLS context of our own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(
        self, *args: typing.Any, **kwargs: typing.Any
    ) -> None:
        """See the base class."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


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
    context.sslsocket_class = _socket_class(limit)
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
    result.mount('https://', _Adapter(context))
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
