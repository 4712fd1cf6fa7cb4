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
"""Who asks: keystone's answer about the token of a request."""

from collections.abc import Awaitable
from collections.abc import Callable
import io
import logging
import re
import typing

import anyio
from anyio import to_thread
from keystonemiddleware import auth_token
from oslo_context import context

from nova_isolation.service import errors

LOG = logging.getLogger(__name__)

#: Method, path and token of a request -> who asks. Raises ApiError.
Identify = Callable[[str, str, str], Awaitable[context.RequestContext]]

#: What may be a token: one word of ASCII.
_TOKEN = re.compile('[!-~]{1,8192}')

#: How many tokens are checked at once.
_CHECKS = 16


class Keystone:
    """Asks keystone, by keystonemiddleware, which is made for WSGI.

    The middleware is called with the environment of a WSGI request that has
    the token, in a thread, and with an application that takes what the
    middleware has added. Nothing else of WSGI is used. The middleware caches
    what keystone has answered (``[keystone_authtoken] memcached_servers``,
    ``token_cache_time``).
    """

    def __init__(self, conf: typing.Any, timeout: float) -> None:
        """:param conf: the configuration, with ``[keystone_authtoken]``

        :param timeout: seconds that a check may take
        """
        self._check = auth_token.AuthProtocol(
            _accept, {'oslo_config_config': conf}
        )
        self._timeout = timeout
        self._places = anyio.CapacityLimiter(_CHECKS)

    async def identify(
        self, method: str, path: str, token: str
    ) -> context.RequestContext:
        """Return who asks.

        :param method: of the request, for the access rules of application
            credentials
        :param path: of the request, likewise
        :param token: the token, '' for none
        :raises nova_isolation.service.errors.ApiError: the token is not
            valid, or keystone does not answer
        """
        if token and not _TOKEN.fullmatch(token):
            raise _unauthorized('Keystone')
        try:
            with anyio.fail_after(self._timeout):
                status, headers, environ = await to_thread.run_sync(
                    self._ask,
                    _environ(method, path, token),
                    abandon_on_cancel=True,
                    limiter=self._places,
                )
        except TimeoutError:
            raise errors.ApiError(
                errors.IDENTITY_UNAVAILABLE,
                f'keystone has not answered within {self._timeout:.0f} s; '
                'try again later',
                {'Retry-After': '5'},
            ) from None
        except Exception as error:
            # The middleware passes on what it does not expect of keystone,
            # for example a catalog without an endpoint. The text of such an
            # error may hold the token.
            LOG.error(
                'Tokens cannot be checked: %s; see [keystone_authtoken]',
                type(error).__name__,
            )
            status, headers, environ = 500, {}, {}
        if status == 200:
            return context.RequestContext.from_environ(environ)
        if status == 401:
            raise _unauthorized(headers.get('www-authenticate', 'Keystone'))
        raise errors.ApiError(
            errors.IDENTITY_UNAVAILABLE,
            f'the check of the token ended with status {status}; try again '
            'later',
            {'Retry-After': '5'},
        )

    def _ask(
        self, environ: dict[str, typing.Any]
    ) -> tuple[int, dict[str, str], dict[str, typing.Any]]:
        """Call the middleware."""
        answer: dict[str, typing.Any] = {}

        def start_response(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: object = None,
        ) -> Callable[[bytes], object]:
            answer['status'] = int(status.split()[0])
            answer['headers'] = {k.lower(): v for k, v in headers}
            return lambda data: None

        body = self._check(environ, start_response)
        for _ in body:
            # The end of the body is the end of the middleware's work.
            pass
        return (
            answer['status'],
            answer['headers'],
            environ.get(_SEEN, {}),
        )


def _unauthorized(challenge: str) -> errors.ApiError:
    return errors.ApiError(
        errors.UNAUTHORIZED,
        'X-Auth-Token has no valid token; get one from keystone (openstack '
        'token issue)',
        {'WWW-Authenticate': challenge},
    )


#: Where the application leaves what it was called with.
_SEEN = 'nova_isolation.seen'


def _accept(
    environ: dict[str, typing.Any],
    start_response: Callable[..., object],
) -> list[bytes]:
    """The application behind the middleware: the token is valid."""
    environ[_SEEN] = environ
    start_response('200 OK', [('Content-Length', '0')])
    return []


def _environ(method: str, path: str, token: str) -> dict[str, typing.Any]:
    """Return the environment of a WSGI request (PEP 3333)."""
    return {
        'REQUEST_METHOD': method,
        'SCRIPT_NAME': '',
        'PATH_INFO': path,
        'QUERY_STRING': '',
        'SERVER_NAME': 'nova-isolation-api',
        'SERVER_PORT': '80',
        'SERVER_PROTOCOL': 'HTTP/1.1',
        'wsgi.version': (1, 0),
        'wsgi.url_scheme': 'http',
        'wsgi.input': io.BytesIO(),
        'wsgi.errors': io.StringIO(),
        'wsgi.multithread': True,
        'wsgi.multiprocess': False,
        'wsgi.run_once': False,
        **({'HTTP_X_AUTH_TOKEN': token} if token else {}),
    }
