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

"""The HTTP API of the log: keys, statements, heads and proofs."""

import asyncio
import base64
from collections import Counter
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Hashable
from concurrent import futures
import contextlib
import logging
import typing

from starlette import applications
from starlette import requests
from starlette import responses
from starlette import routing

from nova_isolation.attestd import body
from nova_isolation.attestd.evidence import enrollment as enrollments
from nova_isolation.attestd.evidence import intake as intakes
from nova_isolation.attestd.evidence import log as logs
from nova_isolation.attestd.evidence import refusal
from nova_isolation.attestd.evidence import store as stores
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import strict_json

LOG = logging.getLogger(__name__)

#: The most bytes and envelopes of a batch.
MAX_BATCH_BYTES = 4 * 2**20
MAX_BATCH = 500
#: The most entries of an answer.
MAX_ENTRIES = 1000
_MAX_KEY_BYTES = 4096
#: How many requests may be under way: of one client, and of all.
_MAX_REQUESTS = (2, 64)

_STATUSES = {
    refusal.Code.TOO_LARGE: 413,
    refusal.Code.BUSY: 429,
    refusal.Code.REGISTRAR: 503,
    refusal.Code.STANDING: 409,
}

_T = typing.TypeVar('_T')
_Answer = Callable[[requests.Request], Awaitable[dict[str, typing.Any]]]


class Api:
    """Answers hosts and readers. All work is done on two threads."""

    def __init__(
        self,
        log: logs.Log,
        intake: intakes.Intake,
        enrollment: enrollments.Enrollment,
    ) -> None:
        """:param log: is read

        :param intake: takes statements
        :param enrollment: takes keys
        """
        self._log = log
        self._intake = intake
        self._enrollment = enrollment
        # The log belongs to one thread. Enrollment waits for the registrar,
        # so it has one of its own.
        self._writer = futures.ThreadPoolExecutor(1, 'isolation-log')
        self._enroller = futures.ThreadPoolExecutor(1, 'isolation-enrollment')
        self._under_way: Counter[Hashable] = Counter()

    def app(self) -> applications.Starlette:
        """Return the ASGI application."""
        prefix = '/v1/evidence'
        routes: list[tuple[str, _Answer, str]] = [
            ('/keys', self._challenge, 'POST'),
            ('/keys/{name}/activation', self._activate, 'POST'),
            ('/statements', self._take, 'POST'),
            ('/head', self._head, 'GET'),
            ('/consistency', self._consistency, 'GET'),
            ('/entries', self._entries, 'GET'),
            ('/servers/{uuid}', self._newest, 'GET'),
        ]
        return applications.Starlette(
            routes=[
                routing.Route(
                    prefix + path, self._answer(answer), methods=[method]
                )
                for path, answer, method in routes
            ]
        )

    async def on_log(self, call: Callable[[], _T]) -> _T:
        """Call something that uses the log, on the log's thread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writer, call
        )

    async def on_enroller(self, call: Callable[[], _T]) -> _T:
        """Call something that takes or ends keys, on the thread for that."""
        return await asyncio.get_running_loop().run_in_executor(
            self._enroller, call
        )

    def close(self) -> None:
        """End the threads, after what they do now."""
        self._writer.shutdown(cancel_futures=True)
        self._enroller.shutdown(wait=False, cancel_futures=True)

    def _answer(self, answer: _Answer) -> typing.Any:
        """Return an endpoint, which turns exceptions into answers."""

        async def respond(request: requests.Request) -> responses.Response:
            try:
                with self._share(request):
                    return _json(await answer(request))
            except refusal.Refused as error:
                return _error(
                    _STATUSES.get(error.code, 400), error.code.value, error
                )
            except body.BodyError as error:
                return _error(error.status, 'malformed', error)
            except bad.BadEvidence as error:
                return _error(400, 'malformed', error)
            except (stores.StoreError, logs.LogError) as error:
                LOG.error('The log cannot be used: %s', error)
                return _error(503, 'storage', error)

        return respond

    @contextlib.contextmanager
    def _share(self, request: requests.Request) -> typing.Iterator[None]:
        """Limit what is under way, so that one client leaves others room.

        Requests are served in their order, so that each client waits for at
        most a few of each other client.
        """
        peer = getattr(request.state, 'peer', None)
        share, most = _MAX_REQUESTS
        if self._under_way[peer] >= share or self._under_way.total() >= most:
            raise refusal.Refused(
                refusal.Code.BUSY,
                f'wanted at most {share} requests of one client and {most} '
                'of all at once; try again in a second',
            )
        self._under_way[peer] += 1
        try:
            yield
        finally:
            self._under_way[peer] -= 1
            if not self._under_way[peer]:
                del self._under_way[peer]

    async def _challenge(
        self, request: requests.Request
    ) -> dict[str, typing.Any]:
        given = await _object(request, 'kind', 'agent', 'public')
        if given['kind'] != statements.KeyKind.TPM.value:
            raise refusal.Refused(
                refusal.Code.KEY_FORM,
                'wanted a key of kind tpm. A key in a file is added by the '
                'administrator: nova-isolation-evidence keys add',
            )
        agent, public = given['agent'], _bytes(given['public'])
        if not isinstance(agent, str):
            raise refusal.Refused(refusal.Code.MALFORMED, 'agent: no text')
        peer = getattr(request.state, 'peer', None)
        made = await self.on_enroller(
            lambda: self._enrollment.challenge(agent, public, peer)
        )
        return {
            'id': made.name,
            'credential': base64.b64encode(made.credential).decode(),
            'expires_in': enrollments.CHALLENGE_SECONDS,
        }

    async def _activate(
        self, request: requests.Request
    ) -> dict[str, typing.Any]:
        secret = _bytes((await _object(request, 'secret'))['secret'])
        name = request.path_params['name']
        key_id = await self.on_enroller(
            lambda: self._enrollment.answer(name, secret)
        )
        return {'keyid': key_id}

    async def _take(self, request: requests.Request) -> dict[str, typing.Any]:
        data = await body.read(request, MAX_BATCH_BYTES)

        def take() -> list[typing.Any]:
            given = strict_json.loads(data, MAX_BATCH_BYTES)
            if not isinstance(given, dict) or set(given) != {'envelopes'}:
                raise refusal.Refused(
                    refusal.Code.MALFORMED, 'wanted exactly envelopes'
                )
            envelopes = given['envelopes']
            if not isinstance(envelopes, list) or len(envelopes) > MAX_BATCH:
                raise refusal.Refused(
                    refusal.Code.TOO_LARGE,
                    f'wanted a list of at most {MAX_BATCH} envelopes',
                )
            return [
                receipts.dumps(one)
                if isinstance(one, receipts.Receipt)
                else {'code': one.code.value, 'detail': str(one)}
                for one in self._intake.take(envelopes)
            ]

        return {'receipts': await self.on_log(take)}

    async def _head(self, request: requests.Request) -> dict[str, typing.Any]:
        return {'head': self._log.head}

    async def _consistency(
        self, request: requests.Request
    ) -> dict[str, typing.Any]:
        old = _number(request, 'from')
        try:
            return await self.on_log(lambda: self._log.consistency(old))
        except ValueError as error:
            raise refusal.Refused(
                refusal.Code.MALFORMED,
                f'wanted a head that the log has had, found {error}',
            ) from None

    async def _entries(
        self, request: requests.Request
    ) -> dict[str, typing.Any]:
        first, count = _number(request, 'first'), _number(request, 'count')
        found = await self.on_log(
            lambda: self._log.entries(first, min(count, MAX_ENTRIES))
        )
        return {'entries': found}

    async def _newest(
        self, request: requests.Request
    ) -> dict[str, typing.Any]:
        uuid = request.path_params['uuid']
        audience = request.query_params.get(
            'audience', statements.Audience.OWNER.value
        )
        found = await self.on_log(lambda: self._log.newest(uuid, audience))
        return {'bundle': found}


async def _object(request: requests.Request, *names: str) -> typing.Any:
    """Return the body, an object of exactly these members."""
    data = await body.read(request, _MAX_KEY_BYTES)
    given = strict_json.loads(data, _MAX_KEY_BYTES)
    if not isinstance(given, dict) or set(given) != set(names):
        raise refusal.Refused(
            refusal.Code.MALFORMED, f'wanted exactly {", ".join(names)}'
        )
    return given


def _bytes(value: object) -> bytes:
    try:
        if not isinstance(value, str):
            raise ValueError('no text')
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise refusal.Refused(
            refusal.Code.MALFORMED, 'wanted base64, found something else'
        ) from None


def _number(request: requests.Request, name: str) -> int:
    text = request.query_params.get(name, '')
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise refusal.Refused(
            refusal.Code.MALFORMED, f'wanted a number as {name}'
        )
    return int(text)


def _json(value: dict[str, typing.Any]) -> responses.Response:
    return responses.Response(
        strict_json.dumps(value),
        200,
        {'Cache-Control': 'no-store'},
        'application/json',
    )


def _error(status: int, code: str, error: Exception) -> responses.Response:
    headers = {'Cache-Control': 'no-store'}
    if status in (429, 503):
        headers['Retry-After'] = '1'
    if status in (400, 408, 413):
        # The rest of the body is not awaited.
        headers['Connection'] = 'close'
    return responses.Response(
        strict_json.dumps({'code': code, 'detail': str(error)}),
        status,
        headers,
        'application/json',
    )
