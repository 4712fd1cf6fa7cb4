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
"""An ID for each request, in its answer and in the log."""

import re
import typing

from oslo_context import context

#: The header with the ID of this request.
HEADER = 'X-Openstack-Request-Id'

#: The header is also one of a request: the ID that the client uses for all
#: services that it asks.
_GLOBAL = re.compile(rb'req-[0-9a-f-]{36}')

#: Where the ID is in the state of a request.
STATE = 'request_id'


class RequestId:
    """ASGI middleware: gives each request an ID and names it in the answer."""

    def __init__(self, app: typing.Any) -> None:
        """:param app: the ASGI application behind"""
        self._app = app

    async def __call__(
        self, scope: typing.Any, receive: typing.Any, send: typing.Any
    ) -> None:
        """Answer one request (ASGI 3)."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        name = context.generate_request_id()
        scope.setdefault('state', {})[STATE] = name

        async def send_with_id(message: typing.Any) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [
                    *message.get('headers', ()),
                    (HEADER.lower().encode(), name.encode()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)


def global_id(header: str) -> str | None:
    """Return the ID that a client uses for all services that it asks.

    :param header: the header of its request; '' for none
    :returns: the ID; None where the header is no ID
    """
    found = _GLOBAL.fullmatch(header.encode(errors='replace'))
    return found.group().decode() if found else None
