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


"""TLS to one server: one authority, whole answers within a time."""

import os
import ssl
import threading
import time
import typing

import requests
from requests import adapters
import urllib3

from nova_isolation.attestation import provider

#: Seconds after which a wait looks whether it was called off.
_SLICE = 0.5


class Limit:
    """When the answer that is under way must be complete."""

    def __init__(self) -> None:
        self.at = 0.0
        self.closed = threading.Event()

    def left(self) -> float:
        """Seconds that are left.

        :raises TimeoutError: none are
        """
        left = self.at - time.monotonic()
        if left <= 0 or self.closed.is_set():
            raise TimeoutError
        return left


def _socket_class(limit: Limit) -> type[ssl.SSLSocket]:
    """Sockets that keep to a limit in all, not for each read only.

    The time-out of requests is that of one read: a peer that sends a byte a
    second would hold us for ever.
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
    """Connections with a TLS context of our own."""

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
    """A session that trusts one authority only, and keeps to the limit.

    :param limit: of all that is asked with it
    :param ca_file: the authorities that are trusted, PEM
    :param cert_file: our certificate, PEM; '' for none
    :param key_file: its private key, PEM
    :raises nova_isolation.attestation.provider.ProviderError: a file cannot
        be used
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # urllib3 1 cannot use a context that compares the name where that is an
    # address. Then, and only then, it compares the name itself.
    version: str = urllib3.__version__  # type: ignore[attr-defined]
    context.check_hostname = not version.startswith('1.')
    context.sslsocket_class = _socket_class(limit)
    what = f'ca_file {ca_file}'
    try:
        context.load_verify_locations(cafile=ca_file)
        what = f'cert_file {cert_file} with key_file {key_file}'
        if cert_file:
            # No passphrase, or OpenSSL asked for it on the terminal.
            context.load_cert_chain(cert_file, key_file, password='')  # nosec B106
    except (OSError, ValueError) as error:
        raise provider.ProviderError(
            f'{what} cannot be used, wanted PEM, found: {error}'
        ) from error
    result = requests.Session()
    # Neither a proxy nor REQUESTS_CA_BUNDLE of the environment.
    result.trust_env = False
    result.headers['User-Agent'] = 'nova-isolation'
    result.headers['Accept-Encoding'] = 'identity'
    result.mount('https://', _Adapter(context))
    # Nothing is asked in clear text.
    del result.adapters['http://']
    return result


def stamp(path: str) -> object:
    """What is another where a file is.

    :raises nova_isolation.attestation.provider.ProviderError: it cannot be
        looked at
    """
    if not path:
        return None
    try:
        state = os.stat(path)
    except OSError as error:
        raise provider.ProviderError(
            f'{path} cannot be used: {error.strerror or error}'
        ) from error
    return (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
