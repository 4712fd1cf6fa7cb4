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

"""The addresses of the page."""

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
import datetime
import logging
import re
import secrets
import typing
from urllib import parse

import anyio
from anyio import to_thread
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.page import contents
from nova_isolation.page import identity
from nova_isolation.page import inner
from nova_isolation.page import sessions
from nova_isolation.page import templates
from nova_isolation.page import views

LOG = logging.getLogger(__name__)

#: Where the page is, below the root of the service.
PATH = '/page'

_SESSION = 'nova_isolation_session'
#: Ties the form for the log-in to a browser.
_VISIT = 'nova_isolation_visit'
#: The longest form that is read, in bytes.
_MAX_FORM = 16 * 1024
#: How many people may wait for keystone at once.
_LOGINS = 8
#: How many views are made at once. Each keeps a core busy for a moment.
_VIEWS = 2
#: A view that may be wanted after the log-in.
_FOLLOWING = re.compile(r'/(hosts|flavors|servers|findings|explain)\b[^\s\\]*')

_HEADERS = {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
}
_TYPES = {'page.css': 'text/css', 'page.js': 'text/javascript'}


class Page:
    """Answers the requests of browsers."""

    def __init__(
        self,
        keystone: identity.Identity,
        known: sessions.Sessions,
        public_url: str = '',
    ) -> None:
        """:param keystone: for the log-in

        :param known: who is logged in
        :param public_url: the address of the service for browsers, without a
            slash at its end; '': as the browser has named it
        """
        self._public_url = public_url
        self._keystone = keystone
        self._sessions = known
        self._logins = anyio.CapacityLimiter(_LOGINS)
        self._views = anyio.CapacityLimiter(_VIEWS)

    def routes(self) -> list[routing.BaseRoute]:
        """Return the routes, for the application of the API."""
        return [
            routing.Route(PATH, self._start),
            routing.Mount(
                PATH,
                routes=[
                    routing.Route('/', self._start),
                    routing.Route('/login', self._ask, methods=['GET']),
                    routing.Route('/login', self._log_in, methods=['POST']),
                    routing.Route('/logout', self._log_out, methods=['POST']),
                    routing.Route('/static/{name}', _static),
                    *(
                        routing.Route(path, self._view(show))
                        for path, show in contents.BY_PATH.items()
                    ),
                ],
            ),
        ]

    async def _start(self, request: requests.Request) -> responses.Response:
        return _see(f'{self._root(request)}/hosts')

    async def _ask(self, request: requests.Request) -> responses.Response:
        """The form for the log-in."""
        return self._login_form(
            request, _following(request.query_params.get('following', ''))
        )

    def _login_form(
        self,
        request: requests.Request,
        following: str,
        message: str = '',
        status: int = 200,
    ) -> responses.Response:
        visit = request.cookies.get(_VISIT) or secrets.token_urlsafe(32)
        answer = _html(
            views.Views(self._root(request), None).login(
                self._sessions.csrf(visit), following, message
            ),
            status,
        )
        self._set_cookie(request, answer, _VISIT, visit)
        return answer

    async def _log_in(self, request: requests.Request) -> responses.Response:
        form = await _form(request)
        following = _following(form.get('following', ''))
        visit = request.cookies.get(_VISIT, '')
        if not self._sessions.may_post(visit, form.get('csrf', '')):
            return self._login_form(
                request, following, 'The form was too old. Log in again.', 403
            )
        if self._logins.available_tokens <= 0:
            return self._login_form(
                request,
                following,
                'Too many people log in at this moment. Try again.',
                503,
            )
        try:
            login = await to_thread.run_sync(
                self._keystone.log_in, form, limiter=self._logins
            )
        except identity.Refused as error:
            return self._login_form(request, following, str(error), 403)
        # A new name, so that nobody can have planted it.
        name = self._sessions.add(login)
        LOG.info('User %s has logged in to the page.', login.user_id)
        answer = _see(f'{self._root(request)}{following}')
        self._set_cookie(request, answer, _SESSION, name)
        answer.delete_cookie(_VISIT, self._root(request))
        return answer

    async def _log_out(self, request: requests.Request) -> responses.Response:
        form = await _form(request)
        name = request.cookies.get(_SESSION, '')
        if not self._sessions.may_post(name, form.get('csrf', '')):
            return _see(f'{self._root(request)}/hosts')
        session = self._sessions.end(name)
        if session is not None:
            await to_thread.run_sync(
                self._keystone.log_out, session.login, limiter=self._logins
            )
        return self._to_login(request)

    def _to_login(
        self, request: requests.Request, following: str = ''
    ) -> responses.Response:
        query = '?' + parse.urlencode({'following': following})
        answer = _see(
            f'{self._root(request)}/login' + (query if following else '')
        )
        answer.delete_cookie(_SESSION, self._root(request))
        return answer

    def _root(self, request: requests.Request) -> str:
        """The address of the page, without a slash at its end."""
        if self._public_url:
            return parse.urlsplit(self._public_url).path + PATH
        root = str(request.scope.get('root_path', ''))
        return root if root.endswith(PATH) else root + PATH

    def _set_cookie(
        self,
        request: requests.Request,
        answer: responses.Response,
        name: str,
        value: str,
    ) -> None:
        answer.set_cookie(
            name,
            value,
            path=self._root(request),
            secure=(self._public_url or str(request.url)).startswith('https:'),
            httponly=True,
            samesite='strict',
        )

    def _view(
        self, show: contents.Show
    ) -> Callable[[requests.Request], Awaitable[responses.Response]]:
        """Return the function that Starlette calls for a view."""

        async def answer(request: requests.Request) -> responses.Response:
            name = request.cookies.get(_SESSION, '')
            session = self._sessions.get(name)
            here = '/' + request.url.path.partition(f'{PATH}/')[2]
            if request.url.query:
                here = f'{here}?{request.url.query}'
            if session is None:
                return self._to_login(request, _following(here))
            now = datetime.datetime.now(datetime.timezone.utc)
            shown = views.Views(
                self._root(request),
                session,
                now.strftime('%Y-%m-%d %H:%M:%S UTC'),
            )
            try:
                render = await show(
                    request, inner.Api(request.app), session, shown
                )
            except inner.Failed as error:
                if error.status == 401:
                    self._sessions.end(name)
                    return self._to_login(request, _following(here))
                return _failed(shown, error)
            # Not on the event loop: a thousand hosts take some time.
            return _html(await to_thread.run_sync(render, limiter=self._views))

        return answer


async def _static(request: requests.Request) -> responses.Response:
    name = request.path_params['name']
    if name not in _TYPES:
        return responses.PlainTextResponse('there is no such file\n', 404)
    return responses.Response(
        templates.static(name),
        200,
        {
            **_HEADERS,
            # The address changes with the file.
            'Cache-Control': 'public, max-age=31536000, immutable',
        },
        _TYPES[name],
    )


def _failed(shown: views.Views, error: inner.Failed) -> responses.Response:
    heading = {
        403: 'You may not see this',
        404: 'There is no such thing',
        400: 'This cannot be asked',
    }.get(error.status, 'The service cannot answer')
    return _html(
        shown.message(heading, error.detail, error.request_id), error.status
    )


def _html(text: str, status: int = 200) -> responses.HTMLResponse:
    return responses.HTMLResponse(text, status, _HEADERS)


def _see(address: str) -> responses.Response:
    return responses.RedirectResponse(address, 303, _HEADERS)


def _following(wanted: str) -> str:
    """A view of this page, whatever was wanted."""
    return wanted if _FOLLOWING.fullmatch(wanted) else '/hosts'


async def _form(request: requests.Request) -> Mapping[str, str]:
    """The fields of a form; {} where it is too large or odd."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_FORM:
            return {}
    try:
        fields: list[tuple[str, typing.Any]] = parse.parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=20
        )
    except ValueError:
        return {}
    return dict(fields)
