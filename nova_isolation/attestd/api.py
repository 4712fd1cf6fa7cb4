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

"""The HTTP API for schedulers and compute services: the snapshot."""

import asyncio
from collections.abc import Callable
import math

from starlette import applications
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestd import publisher

#: The longest time in seconds for which a request may wait for news.
MAX_WAIT = 60.0


class Api:
    """Answers requests for the snapshot and for the daemon's health."""

    def __init__(
        self,
        publications: publisher.Publisher,
        health: Callable[[], dict[str, object]],
    ) -> None:
        """:param publications: the snapshots to send

        :param health: returns the daemon's health, for monitoring;
            ``trouble`` is why no verifier answers
        """
        self._publications = publications
        self._health = health

    def app(self) -> applications.Starlette:
        """Return the ASGI application."""
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
        newest = await self._wait(request, known, seconds)
        headers = {'Cache-Control': 'no-cache'}
        if newest is None:
            # An empty snapshot would mean that no host is known. On 503 the
            # client keeps its own snapshot, whose verdicts expire.
            why = self._health()['trouble'] or 'no verifier has answered yet'
            return responses.PlainTextResponse(
                f'no snapshot is known yet: {why}\n',
                503,
                {**headers, 'Retry-After': '1'},
            )
        headers['ETag'] = newest.etag
        if newest.etag in known:
            return responses.Response(None, 304, headers)
        return responses.Response(
            newest.text, 200, headers, 'application/json'
        )

    async def _wait(
        self, request: requests.Request, known: list[str], seconds: float
    ) -> publisher.Publication | None:
        """Wait for news, or until the client has disconnected."""
        news = asyncio.create_task(self._publications.newer(known, seconds))
        gone = asyncio.create_task(_disconnected(request))
        try:
            await asyncio.wait(
                (news, gone), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()
            gone.cancel()
        return self._publications.newest


async def _disconnected(request: requests.Request) -> None:
    while (await request.receive())['type'] != 'http.disconnect':
        pass


def _seconds(text: str) -> float:
    value = float(text) if len(text) < 20 else math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f'wait is {text[:20]!r}, must be seconds')
    return min(value, MAX_WAIT)
