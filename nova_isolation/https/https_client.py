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


"""Asking a server over HTTPS, within bounds.

For what decides about trust: one pinned authority, whole answers within a
time and a size, no detours, and a peer whose clock agrees with ours.
"""

from collections.abc import Mapping
import itertools
import os
import random
import time
import typing

import requests

from nova_isolation.attestation import provider
from nova_isolation.https import key_file
from nova_isolation.https import peer_clock
from nova_isolation.https import tls

#: Seconds for TCP and for TLS, each. Less where less is left.
_CONNECT = 5.0

#: Bytes of an answer. Keylime's of 10,000 agents has 12 MB.
_MAX = 64 * 2**20

#: Bytes that are read at a time.
_CHUNK = 2**17

#: What may be over soon: bad gateway, unavailable, gateway time-out.
_PASSING = frozenset({502, 503, 504})

#: Tries after the first one.
_RETRIES = 2


class Answer(typing.NamedTuple):
    """What a server answers.

    :ivar status: of HTTP
    :ivar headers: by name, in any case
    :ivar body: all of it
    :ivar at: its Date header: seconds since the epoch by the server's clock
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


class Client:
    """Asks one server. For one thread at a time; survives a fork.

    The files are read again when they have changed, and the permissions of
    the key looked at each time. Looking up the server's name is bounded by
    the resolver only (resolv.conf(5)).
    """

    def __init__(
        self,
        *,
        ca_file: str,
        cert_file: str = '',
        key_file: str = '',
        timeout: float,
        clock_skew: float,
        limit: int = _MAX,
    ) -> None:
        """:param ca_file: the only authorities that are trusted, PEM
        :param cert_file: our certificate, PEM; '' for none
        :param key_file: its private key, PEM without a passphrase
        :param timeout: seconds for a whole answer, all tries included
        :param clock_skew: seconds by which the server's clock may differ
        :param limit: bytes of an answer
        :raises nova_isolation.attestation.provider.ProviderError: one of the
            files is not named
        """
        if not ca_file:
            raise provider.ProviderError(
                'ca_file is not set; wanted: the certificates of the '
                "authority that signed the server's, no other is trusted"
            )
        if bool(cert_file) != bool(key_file):
            raise provider.ProviderError(
                f'cert_file is {cert_file!r} and key_file is {key_file!r}; '
                f'wanted: both or none'
            )
        self._ca, self._cert, self._key = ca_file, cert_file, key_file
        self._timeout = timeout
        self._skew = clock_skew
        self._max = limit
        self._limit = tls.Limit()
        self._session: requests.Session | None = None
        self._made_of: tuple[object, ...] = (None,)

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Ask.

        Broken connections, and a server that is away for the moment, are
        tried again as long as there is time.

        :param url: https://...
        :param headers: that are sent as well
        :param timeout: seconds, where it is not the usual one
        :returns: the answer, whatever its status, redirections too
        :raises nova_isolation.attestation.provider.ProviderError: none, or
            none that can be used: of another authority, cut short, too long,
            too late, of another time
        """
        if timeout is None:
            timeout = self._timeout
        self._limit.at = time.monotonic() + timeout
        session = self._usable()
        for tried in itertools.count():
            wait = random.uniform(0.1, 0.3) * 2**tried  # noqa: S311  # nosec B311
            is_last = (
                tried >= _RETRIES
                or time.monotonic() + wait >= self._limit.at
                or self._limit.closed.is_set()
            )
            try:
                answer = self._once(session, url, headers)
                if is_last or answer.status not in _PASSING:
                    return answer
            except (requests.RequestException, OSError) as error:
                if is_last or not _is_passing(error):
                    raise provider.ProviderError(
                        f'{url}: {self._words(error, timeout)}'
                    ) from error
            self._limit.closed.wait(wait)
        raise AssertionError  # Never: the last one returns or raises.

    def close(self) -> None:
        """Call off what is under way, within a second. Nothing after it."""
        self._limit.closed.set()

    def _once(
        self,
        session: requests.Session,
        url: str,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        sent = time.time()
        left = self._limit.left()
        with session.get(
            url,
            headers=headers,
            # The store of the operating system, or of certifi, otherwise.
            verify=self._ca,
            timeout=(min(left, _CONNECT), left),
            allow_redirects=False,
            stream=True,
        ) as response:
            at = peer_clock.check(
                url,
                response.headers.get('Date'),
                sent,
                time.time(),
                self._skew,
            )
            return Answer(
                response.status_code,
                response.headers,
                self._body(url, response),
                at,
            )

    def _body(self, url: str, response: requests.Response) -> bytes:
        encoding = response.headers.get('Content-Encoding', 'identity')
        if encoding != 'identity':
            raise provider.ProviderError(
                f'{url}: wanted an answer that is not compressed, found '
                f'Content-Encoding {encoding!r}'
            )
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > self._max:
                raise provider.ProviderError(
                    f'{url}: an answer of more than {self._max} bytes is '
                    f'not read'
                )
        # urllib3 1 does not look.
        length = response.headers.get('Content-Length')
        if response.status_code == 304:
            # Of what is not sent.
            length = None
        if length is not None and length != str(len(body)):
            raise provider.ProviderError(
                f'{url}: wanted an answer of {length} bytes, found '
                f'{len(body)}: it was cut short'
            )
        return bytes(body)

    def _words(self, error: BaseException, timeout: float) -> str:
        """What went wrong, and what could be done about it."""
        if self._limit.closed.is_set():
            return 'called off: the service ends'
        if time.monotonic() >= self._limit.at:
            return (
                f'no whole answer within {timeout:.3g} s (timeout); look '
                f'whether the server is overloaded'
            )
        cause = _cause(error)
        if isinstance(error, requests.exceptions.SSLError):
            found = getattr(cause, 'verify_message', '') or str(cause)
            return (
                f'its TLS is not trusted: {found}; wanted a certificate for '
                f'this name, valid now, signed by {self._ca} (ca_file)'
            )
        return f'no answer: {cause or type(cause).__name__}'

    def _usable(self) -> requests.Session:
        """The session, made anew where something has changed."""
        if self._key:
            key_file.check(self._key)
        made_of = (
            # A child process must not talk on its parent's connections.
            os.getpid(),
            *(tls.stamp(path) for path in (self._ca, self._cert, self._key)),
        )
        if self._session is None or self._made_of != made_of:
            if self._session is not None and self._made_of[0] == os.getpid():
                # That of a parent may be locked for ever: it is dropped.
                self._session.close()
            self._session = None
            self._session = tls.session(
                self._limit, self._ca, self._cert, self._key
            )
            self._made_of = made_of
        return self._session


def _is_passing(error: BaseException) -> bool:
    """Whether the next try may succeed."""
    return isinstance(
        error,
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
    ) and not isinstance(error, requests.exceptions.SSLError)


def _cause(error: BaseException) -> BaseException:
    """What libraries have wrapped, for its words."""
    while True:
        inner = getattr(error, 'reason', None)
        if not isinstance(inner, BaseException):
            inner = next(
                (one for one in error.args if isinstance(one, BaseException)),
                error.__context__ if not error.args else None,
            )
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner
