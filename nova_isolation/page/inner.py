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

"""Requests to the API of the same process, with the token of a user.

The page has no way of its own to the facts: what a user may see is what the
API answers to the token of the user.
"""

from collections.abc import AsyncIterator
from collections.abc import Mapping
import dataclasses
import itertools
import json
import typing
from urllib import parse

from starlette import types

from nova_isolation.model import errors

#: The most pages of one list that are joined.
_MAX_PAGES = 1000


@dataclasses.dataclass(frozen=True)
class Failed(errors.IsolationError):
    """The API did not answer with what was asked for.

    :ivar status: the HTTP status
    :ivar detail: what the API says about it
    :ivar request_id: of the request to the API
    """

    status: int
    detail: str
    request_id: str


class Api:
    """The API as an ASGI application."""

    def __init__(self, app: types.ASGIApp) -> None:
        """:param app: with everything that guards the API"""
        self._app = app

    async def get(
        self, name: str, token: str, of: str = ''
    ) -> dict[str, typing.Any]:
        """Return the answer to GET.

        :param name: the first part of the path below the version
        :param token: of keystone
        :param of: the second part of the path, '' for none
        :raises Failed: the answer has another status than 200
        """
        path = f'/v1/{name}' + (f'/{_quote(of)}' if of else '')
        return await self._ask('GET', path, '', token, b'')

    async def explain(
        self, token: str, flavor: str, extra_specs: Mapping[str, str]
    ) -> dict[str, typing.Any]:
        """Return what all hosts say to a flavor; see :meth:`get`.

        :param flavor: ID or name of the flavor; '' for extra specs of none
        :param extra_specs: what is asked where there is no flavor
        """
        if flavor:
            method, path, body = 'GET', f'/v1/flavors/{_quote(flavor)}', b''
            path += '/explain'
        else:
            method, path = 'POST', '/v1/explain'
            body = json.dumps({'extra_specs': dict(extra_specs)}).encode()
        pages = [
            page['explanation']
            async for page in self._pages(
                method, path, {}, token, body, 'explanation'
            )
        ]
        return {
            **pages[0],
            'hosts': [host for page in pages for host in page['hosts']],
        }

    async def all(
        self,
        name: str,
        token: str,
        query: Mapping[str, str] | None = None,
    ) -> tuple[list[dict[str, typing.Any]], list[dict[str, typing.Any]]]:
        """Return all pages of a list as one; see :meth:`get`.

        :param name: of the list, such as ``hosts``
        :returns: the items, and the cells that could not be read
        """
        found: list[dict[str, typing.Any]] = []
        unread: list[dict[str, typing.Any]] = []
        async for page in self._pages(
            'GET', f'/v1/{name}', query or {}, token, b'', name
        ):
            found += page[name]
            unread = page.get('unread_cells', [])
        return found, unread

    async def _pages(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: str,
        body: bytes,
        name: str,
    ) -> AsyncIterator[dict[str, typing.Any]]:
        text = parse.urlencode(query)
        for _ in range(_MAX_PAGES):
            page = await self._ask(method, path, text, token, body)
            yield page
            inner = page[name] if isinstance(page[name], dict) else page
            links = [
                value for key, value in inner.items() if key.endswith('_links')
            ]
            following = [
                link['href']
                for link in itertools.chain(*links)
                if link['rel'] == 'next'
            ]
            if not following:
                return
            text = parse.urlsplit(following[0]).query
        raise Failed(500, f'The list of {path} does not end.', '')

    async def _ask(
        self, method: str, path: str, query: str, token: str, body: bytes
    ) -> dict[str, typing.Any]:
        headers = [
            (b'accept', b'application/json'),
            (b'content-length', str(len(body)).encode()),
            (b'content-type', b'application/json'),
            (b'host', b'localhost'),
            (b'x-auth-token', token.encode()),
        ]
        scope = {
            'type': 'http',
            'asgi': {'version': '3.0', 'spec_version': '2.3'},
            'http_version': '1.1',
            'method': method,
            'scheme': 'http',
            'path': parse.unquote(path),
            'raw_path': path.encode(),
            'query_string': query.encode(),
            'root_path': '',
            'headers': headers,
            'client': ('127.0.0.1', 0),
            'server': ('localhost', None),
        }
        status = 500
        request_id = ''
        chunks: list[bytes] = []

        async def receive() -> types.Message:
            return {'type': 'http.request', 'body': body}

        async def send(message: types.Message) -> None:
            nonlocal status, request_id
            if message['type'] == 'http.response.start':
                status = message['status']
                said = {k.lower(): v for k, v in message['headers']}
                request_id = said.get(b'x-openstack-request-id', b'').decode()
            else:
                chunks.append(message.get('body', b''))

        await self._app(scope, receive, send)
        try:
            answer = json.loads(b''.join(chunks) or b'null')
        except ValueError:
            answer = None
        if status != 200 or not isinstance(answer, dict):
            raise Failed(status, _detail(answer), request_id)
        return answer


def _detail(answer: object) -> str:
    try:
        error = answer['errors'][0]  # type: ignore[index]
        return str(error.get('detail') or error['title'])
    except (AttributeError, KeyError, IndexError, TypeError):
        return 'The API gives no reason.'


def _quote(name: str) -> str:
    return parse.quote(name, safe='')
