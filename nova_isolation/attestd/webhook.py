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

"""The webhook by which verifiers revoke their trust in an agent.

This module only does HTTP. The provider reads the messages
(:meth:`nova_isolation.attestation.provider.Provider.revocation`), and the
listener accepts only clients that show a certificate.
"""

import asyncio
from collections.abc import Callable
import logging

from starlette import applications
from starlette import concurrency
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestation import provider
from nova_isolation.attestd import body
from nova_isolation.mechanisms import entry_points
from nova_isolation.model import printable

LOG = logging.getLogger(__name__)

#: Size limit of a message in bytes.
MAX_BODY = 2**20


class Webhook:
    """Revokes trust. No message can give trust."""

    def __init__(
        self,
        read: Callable[[bytes], provider.Revocation | None],
        revoke: Callable[[str, str], bool],
    ) -> None:
        """:param read: reads the body of a message; see
            :meth:`nova_isolation.attestation.provider.Provider.revocation`

        :param revoke: called with the agent and the verifier's reason, on a
            thread; returns whether a known host has the agent
        """
        self._read = read
        self._revoke = revoke
        self._turn = asyncio.Lock()

    def app(self) -> applications.Starlette:
        """Return the ASGI application."""
        return applications.Starlette(
            routes=[
                routing.Route('/v1/revocation', self._post, methods=['POST'])
            ]
        )

    async def _post(self, request: requests.Request) -> responses.Response:
        try:
            message = await body.read(request, MAX_BODY)
        except body.BodyError as error:
            return _refused(request, error.status, str(error))
        # One after the other: the threads of many messages would take turns
        # with the thread that serves the snapshot.
        async with self._turn:
            why = await concurrency.run_in_threadpool(self._take, message)
        if why:
            return _refused(request, 400, why)
        return responses.PlainTextResponse('')

    def _take(self, message: bytes) -> str:
        """Read a message and revoke what it revokes, on a thread.

        :returns: why the message is refused; '' if it is not
        """
        try:
            # The code of a provider, which may raise and return anything.
            revocation = self._read(message)
            if revocation is None:
                LOG.info('Webhook received a message that revokes no agent')
                return ''
            agent, found = revocation
            if not (isinstance(agent, str) and isinstance(found, str)):
                raise TypeError(f'{revocation!r} is not a Revocation')
        except BaseException as error:
            if not isinstance(error, ValueError):
                LOG.exception('Provider failed to read a message')
            return entry_points.words(error)
        LOG.warning(
            'Agent %s is no longer trusted: %s%s',
            printable.one_line(agent),
            printable.one_line(found),
            ''
            if self._revoke(agent, found)
            else '. No known host has this agent.',
        )
        return ''


def _refused(
    request: requests.Request, status: int, why: str
) -> responses.Response:
    why = printable.one_line(why)
    LOG.warning(
        'Webhook refused a message from %s: %s',
        request.client.host if request.client else 'an unknown address',
        why,
    )
    # The connection is closed, so the rest of the body is not awaited.
    return responses.PlainTextResponse(
        f'{why}\n', status, {'Connection': 'close'}
    )
