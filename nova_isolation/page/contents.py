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

"""What each page asks of the API, and the view that shows the answer."""

from collections.abc import Awaitable
from collections.abc import Callable

from starlette import requests

from nova_isolation.page import inner
from nova_isolation.page import sessions
from nova_isolation.page import views

#: Asks the API for what a page shows. Returns what renders the page, which may
#: take some time. Raises nova_isolation.page.inner.Failed.
Show = Callable[
    [requests.Request, inner.Api, sessions.Session, views.Views],
    Awaitable[Callable[[], str]],
]


async def _hosts(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    said, unread = await api.all('hosts', session.login.token)
    return lambda: shown.hosts(said, unread)


async def _host(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    said = await api.get(
        'hosts', session.login.token, request.path_params['name']
    )
    return lambda: shown.host(said['host'])


async def _flavors(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    said, unread = await api.all('flavors', session.login.token)
    return lambda: shown.flavors(said, unread)


async def _explain(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    flavor = request.path_params['name']
    said = await api.explain(session.login.token, flavor, {})
    return lambda: shown.explanation(said, flavor)


async def _what_if(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    asked = request.query_params.get('extra_specs', '')
    specs = {}
    for line in asked.splitlines():
        key, found, value = line.partition('=')
        if found:
            specs[key.strip()] = value.strip()
        elif line.strip():
            raise inner.Failed(
                400, f'{line.strip()!r} is not of the form KEY=VALUE.', ''
            )
    said = await api.explain(session.login.token, '', specs)
    return lambda: shown.explanation(said, asked=asked)


async def _servers(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    token = session.login.token
    try:
        on, unread = await api.all('hosts', token)
    except inner.Failed as error:
        if error.status != 403:
            raise
        said, unread = await api.all('servers', token)
        return lambda: shown.servers(said, None, unread)
    said, unread = await api.all('servers', token, {'all_projects': 'true'})
    return lambda: shown.servers(said, on, unread)


async def _findings(
    request: requests.Request,
    api: inner.Api,
    session: sessions.Session,
    shown: views.Views,
) -> Callable[[], str]:
    said = await api.get('audit', session.login.token)
    return lambda: shown.findings(said['audit'])


#: Address below that of the page -> what is there.
BY_PATH: dict[str, Show] = {
    '/hosts': _hosts,
    '/hosts/{name}': _host,
    '/flavors': _flavors,
    '/flavors/{name}': _explain,
    '/explain': _what_if,
    '/servers': _servers,
    '/findings': _findings,
}
