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

"""An HTTPS client for answers that decide about trust.

Only pinned CAs are trusted, an answer has a total deadline and a size limit,
redirections are not followed, and the server's clock must agree with ours.
"""

from collections.abc import Mapping
import itertools
import os
import random
import time
import typing

import requests

from nova_isolation.https import https_error
from nova_isolation.https import key_file
from nova_isolation.https import peer_clock
from nova_isolation.https import tls

#: Seconds for the TCP connection and for the TLS handshake, each; less if the
#: deadline is nearer.
_CONNECT = 5.0

#: Size limit of an answer in bytes. Keylime's answer about 10,000 agents has
#: 12 MB.
_MAX = 64 * 2**20

#: Bytes of one read.
_CHUNK = 2**17

#: Status codes of a temporary failure: bad gateway, service unavailable,
#: gateway timeout.
_TEMPORARY = frozenset({502, 503, 504})

#: How often a request is repeated after a temporary failure.
_RETRIES = 2


class Answer(typing.NamedTuple):
    """An answer of a server.

    :ivar status: the HTTP status code
    :ivar headers: by name, case-insensitive
    :ivar body: the complete body
    :ivar at: the time of the Date header: seconds since the epoch by the
        server's clock
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


class _Request(typing.NamedTuple):
    method: str
    url: str
    headers: Mapping[str, str] | None
    body: bytes | None = None


class Client:
    """Sends requests to one server.

    A client serves one thread at a time and can be used after a fork. The TLS
    files are read again when they have changed, and the permissions of the
    key are checked for each request. The time of a DNS lookup is limited only
    by the resolver (resolv.conf(5)).
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
        :raises nova_isolation.https.https_error.HttpsError: one of the
            files is not named
        """
        if not ca_file:
            raise https_error.HttpsError(
                'ca_file is not set; wanted: the certificates of the '
                "authority that signed the server's, no other is trusted"
            )
        if bool(cert_file) != bool(key_file):
            raise https_error.HttpsError(
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
        """Send a GET request.

        The request is repeated after a broken connection or a temporary
        failure of the server, if there is time until the deadline. The
        repetition also covers the body, and ends early when the client is
        closed; ``urllib3.Retry`` does neither, and has no total deadline.

        :param url: https://...
        :param headers: additional headers
        :param timeout: seconds for the complete answer; None: those of the
            constructor
        :returns: the answer with any status, a redirection included
        :raises nova_isolation.https.https_error.HttpsError: the server gave no
            usable answer: the certificate is not trusted, the answer is
            incomplete, too long or too late, or the clocks differ
        """
        return self._send(_Request('GET', url, headers), timeout)

    def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send a POST request that does nothing more when it comes twice.

        It is repeated as :meth:`get` is, so the server may have carried it
        out before.

        :param url: https://...
        :param body: what is sent
        :param headers: additional headers
        :param timeout: see :meth:`get`
        :returns: see :meth:`get`
        :raises nova_isolation.https.https_error.HttpsError: see :meth:`get`
        """
        return self._send(_Request('POST', url, headers, body), timeout)

    def _send(self, request: '_Request', timeout: float | None) -> Answer:
        if timeout is None:
            timeout = self._timeout
        with self._limit.within(timeout):
            return self._repeated(self._usable(), request, timeout)

    def _repeated(
        self, session: requests.Session, request: '_Request', timeout: float
    ) -> Answer:
        for tried in itertools.count():
            wait = random.uniform(0.1, 0.3) * 2**tried  # noqa: S311  # nosec B311
            is_last = (
                tried >= _RETRIES
                or self._limit.has_passed(wait)
                or self._limit.closed
            )
            try:
                answer = self._once(session, request)
                if is_last or answer.status not in _TEMPORARY:
                    return answer
            except (requests.RequestException, OSError) as error:
                if is_last or not _is_temporary(error):
                    raise https_error.HttpsError(
                        f'{request.url}: {self._words(error, timeout)}'
                    ) from error
            self._limit.wait(wait)
        raise AssertionError  # Not reached: the last try returns or raises.

    def close(self) -> None:
        """Cancel the request that is under way.

        Each later request fails.
        """
        self._limit.close()

    def _once(self, session: requests.Session, request: '_Request') -> Answer:
        sent = time.time()
        left = self._limit.left()
        url = request.url
        with session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body,
            # Without it requests would load the CA store of certifi.
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
            raise https_error.HttpsError(
                f'{url}: wanted an uncompressed answer, found '
                f'Content-Encoding {encoding!r}'
            )
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > self._max:
                raise https_error.HttpsError(
                    f'{url}: wanted an answer of at most {self._max} bytes, '
                    f'found a longer one'
                )
        # The end of a connection that was shut down here looks like the end
        # of an answer without a length.
        self._limit.left()
        # urllib3 1 does not compare the length.
        length = response.headers.get('Content-Length')
        if response.status_code == 304:
            # A 304 states the length of the body that it omits.
            length = None
        if length is not None and length != str(len(body)):
            raise https_error.HttpsError(
                f'{url}: wanted an answer of {length} bytes, found '
                f'{len(body)}: the answer was cut short'
            )
        return bytes(body)

    def _words(self, error: BaseException, timeout: float) -> str:
        """Return what went wrong, and what the admin can do."""
        if self._limit.closed:
            return 'the request was cancelled, because the service ends'
        if self._limit.has_passed():
            return (
                f'the server gave no complete answer within {timeout:.3g} s '
                f'(timeout); check whether the server is overloaded'
            )
        cause = _cause(error)
        if isinstance(error, requests.exceptions.SSLError):
            found = getattr(cause, 'verify_message', '') or str(cause)
            return (
                f'the certificate of the server is not trusted: {found}; '
                f'wanted a certificate for this name, valid now, signed by '
                f'a CA of {self._ca} (ca_file)'
            )
        return f'the server gave no answer: {cause or type(cause).__name__}'

    def _usable(self) -> requests.Session:
        """Return the session; a new one if a file or the process changed."""
        if self._key:
            key_file.check(self._key)
        made_of = (
            # A child process must not use its parent's connections.
            os.getpid(),
            *(tls.stamp(path) for path in (self._ca, self._cert, self._key)),
        )
        if self._session is None or self._made_of != made_of:
            if self._session is not None and self._made_of[0] == os.getpid():
                # The session of a parent process may be locked for ever, so
                # it is dropped and not closed.
                self._session.close()
            self._session = None
            self._session = tls.session(
                self._limit, self._ca, self._cert, self._key
            )
            self._made_of = made_of
        return self._session


def _is_temporary(error: BaseException) -> bool:
    """Return whether a repeated request may succeed."""
    return isinstance(
        error,
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
    ) and not isinstance(error, requests.exceptions.SSLError)


def _cause(error: BaseException) -> BaseException:
    """Return the innermost error, for its message."""
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
