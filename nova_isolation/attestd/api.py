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
"""What the schedulers and computes ask: the snapshot."""

import asyncio
from collections.abc import Callable
import math

from starlette import applications
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestd import hub

#: Seconds that a request may wait for news, whatever it asks for.
MAX_WAIT = 60.0


class Api:
    """The answers."""

    def __init__(
        self, pages: hub.Hub, health: Callable[[], dict[str, object]]
    ) -> None:
        """:param health: for monitors; ``trouble`` is why nobody was asked"""
        self._hub = pages
        self._health = health

    def app(self) -> applications.Starlette:
        """The ASGI application."""
        return applications.Starlette(
            routes=[
                routing.Route('/v1/snapshot', self._snapshot),
                routing.Route('/healthz', self._healthz),
            ]
        )

    async def _healthz(self, request: requests.Request) -> responses.Response:
        return responses.JSONResponse(
            self._health(), headers={'Cache-Control': 'no-store'}
        )

    async def _snapshot(self, request: requests.Request) -> responses.Response:
        try:
            seconds = _seconds(request.query_params.get('wait', '0'))
        except ValueError as error:
            return responses.PlainTextResponse(f'{error}\n', 400)
        known = [
            tag.strip()
            for tag in request.headers.get('If-None-Match', '').split(',')
        ]
        page = await self._wait(request, known, seconds)
        headers = {'Cache-Control': 'no-cache'}
        if page is None:
            # An empty snapshot would say that no host is known. The client
            # keeps what it has, which runs out.
            why = self._health()['trouble'] or 'nobody has answered yet'
            return responses.PlainTextResponse(
                f'nothing is known of any host: {why}\n',
                503,
                {**headers, 'Retry-After': '1'},
            )
        headers['ETag'] = page.etag
        if page.etag in known:
            return responses.Response(None, 304, headers)
        return responses.Response(page.text, 200, headers, 'application/json')

    async def _wait(
        self, request: requests.Request, known: list[str], seconds: float
    ) -> hub.Page | None:
        """Wait for news, but not for somebody who has gone."""
        news = asyncio.create_task(self._hub.newer(known, seconds))
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait(
                (news, gone), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()
            gone.cancel()
        return self._hub.page


async def _gone(request: requests.Request) -> None:
    while (await request.receive())['type'] != 'http.disconnect':
        pass


def _seconds(text: str) -> float:
    value = float(text) if len(text) < 20 else math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f'wait is {text[:20]!r}, must be seconds')
    return min(value, MAX_WAIT)
