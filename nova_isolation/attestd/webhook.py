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
"""What the verifiers tell: that an agent is not to be trusted.

Keylime's revocation notification by webhook: ``revocation_notifier.py`` and
``prepare_error`` of ``cloud_verifier_common.py`` in Keylime 7.14. The body is
``{"msg": "<JSON>", "signature": ""}``. It is not signed; the listener takes
only who shows a certificate.
"""

import asyncio
from collections.abc import Callable
import json
import logging
import re
import typing

from starlette import applications
from starlette import concurrency
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestation.keylime import host_map

LOG = logging.getLogger(__name__)

#: Bytes; a message can hold the whole policy of an agent.
MAX_BODY = 2**20
#: Seconds that a body may take.
_PATIENCE = 10.0

#: What a message can be, in words.
_TYPES = {
    'revocation': 'revoked by its verifier',
    'comm_error': 'its verifier cannot reach it',
}

#: What Keylime takes for the name of an agent: ``valid_agent_id`` of its
#: ``validators.py``.
_AGENT = re.compile(r'[\w.-]{1,255}', re.ASCII)
_EVENT = re.compile(r'[\w.-]{1,255}', re.ASCII)


class Message(typing.NamedTuple):
    """What a message says.

    :ivar agent: about whom
    :ivar found: what, in words
    """

    agent: str
    found: str


def read(body: bytes) -> Message:
    """The message in a body.

    :raises ValueError: it is none
    """
    try:
        inner = json.loads(json.loads(body)['msg'])
        kind, agent = inner['type'], inner['agent_id']
        words = _TYPES[kind]
        event = inner.get('event_id')
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f'no message of a verifier: {type(error).__name__}'
        ) from None
    if not isinstance(agent, str) or not _AGENT.fullmatch(agent):
        raise ValueError('agent_id is no name of an agent')
    if isinstance(event, str) and _EVENT.fullmatch(event):
        words += f' ({event})'
    return Message(host_map.normal(agent), words)


class Webhook:
    """Takes trust away. Nothing here can give it."""

    def __init__(self, revoke: Callable[[str, str], bool]) -> None:
        """:param revoke: called with the agent and what was said of it, on a
        thread; returns whether the agent is known
        """
        self._revoke = revoke

    def app(self) -> applications.Starlette:
        """The ASGI application."""
        return applications.Starlette(
            routes=[
                routing.Route('/v1/revocation', self._post, methods=['POST'])
            ]
        )

    async def _post(self, request: requests.Request) -> responses.Response:
        try:
            async with asyncio.timeout(_PATIENCE):
                body = await _body(request)
        except TimeoutError:
            return _refused(request, 408, 'the body took too long')
        if body is None:
            return _refused(request, 413, f'more than {MAX_BODY} bytes')
        try:
            message = read(body)
        except ValueError as error:
            return _refused(request, 400, str(error))
        known = await concurrency.run_in_threadpool(
            self._revoke, message.agent, message.found
        )
        LOG.warning(
            'Agent %s is no longer trusted: %s%s',
            message.agent,
            message.found,
            '' if known else '. It is the agent of no host that is known.',
        )
        return responses.PlainTextResponse('')


def _refused(
    request: requests.Request, status: int, why: str
) -> responses.Response:
    LOG.warning(
        'A message to the webhook, from %s, is refused: %s',
        request.client.host if request.client else 'somebody',
        why,
    )
    # What was not read of it is not waited for.
    return responses.PlainTextResponse(
        f'{why}\n', status, {'Connection': 'close'}
    )


async def _body(request: requests.Request) -> bytes | None:
    """The body; None where it is too long."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY:
            return None
    return bytes(parts)
