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

"""The call of the API for signed statements about a server."""

from collections.abc import Mapping
import typing

from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import question
from nova_isolation.evidence import statement as statements
from nova_isolation.report import server as report_server
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import policies
from nova_isolation.service import questions
from nova_isolation.service import servers
from nova_isolation.service.endpoint import typed

#: How many hosts are asked at once, and how often the log is.
_HOSTS, _LOG = 16, 8

#: Seconds that the answer of a host may take, see
#: :mod:`nova_isolation.service.servers`.
_HOST_SECONDS = 70.0

#: Seconds that the log may take.
_LOG_SECONDS = 45.0

#: The code where the log has no statement.
NONE = 'none'

_TEXT = typed('string')

BUNDLE = typed(
    ['object', 'null'],
    properties={
        'envelope': typed('object'),
        'receipt': typed(['object', 'null']),
    },
    required=['envelope', 'receipt'],
)

_ANSWER = typed(
    'object',
    properties={
        'evidence': typed(
            'object',
            properties={
                'server': _TEXT,
                'audience': typed(
                    'string', enum=[one.value for one in statements.Audience]
                ),
                'bundle': BUNDLE,
                'code': _TEXT,
                'detail': _TEXT,
            },
            required=['server', 'audience', 'bundle', 'code', 'detail'],
        )
    },
    required=['evidence'],
)

_NONCE = endpoint.Parameter(
    'nonce',
    typed('string', pattern=f'^{statements.NONCE.pattern}$'),
    'Have the host verify the running guest now, and state what it finds '
    'together with this text. Without it the newest statement is returned '
    'that the log has.',
)


class Evidence:
    """Answers the call for statements."""

    def __init__(self, known: servers.Servers) -> None:
        """:param known: finds servers"""
        self._servers = known
        self._hosts: questions.Questions[question.Answer] = (
            questions.Questions(_HOSTS, _HOST_SECONDS)
        )
        self._log: questions.Questions[typing.Any] = questions.Questions(
            _LOG, _LOG_SECONDS
        )
        #: the servers whose host is being asked
        self._asked: set[str] = set()

    def endpoints(self) -> list[endpoint.Endpoint]:
        """Return the call."""
        return [
            endpoint.Endpoint(
                'GET',
                '/v1/servers/{server}/evidence',
                None,
                self.show,
                'Show a signed statement about a server, which can be '
                'verified without this cloud.',
                _ANSWER,
                (_NONCE,),
            )
        ]

    async def show(self, call: endpoint.Call) -> Mapping[str, object]:
        """``GET /v1/servers/{server}/evidence``."""
        nonce = call.request.query_params.get('nonce')
        if nonce is not None and not statements.NONCE.fullmatch(nonce):
            raise errors.ApiError(
                errors.BAD_REQUEST,
                f'nonce is {nonce[:50]!r}; wanted 8 to 128 letters, digits '
                'and characters of _.~-',
            )
        found, _ = await self._servers.find(
            call, call.request.path_params['server']
        )
        call.authorize(
            policies.SERVERS_EVIDENCE, {'project_id': found.project_id}
        )
        servers.check_tagged(found)
        for_admins = servers.reads_hosts(call)
        audience = (
            statements.Audience.OPERATOR
            if for_admins
            else statements.Audience.OWNER
        )
        try:
            answer = (
                await self._newest(call, found.uuid, audience)
                if nonce is None
                else await self._state(
                    call, found, question.Question(audience, nonce)
                )
            )
        except errors.ApiError as error:
            if for_admins:
                raise
            # The words name the host.
            raise errors.ApiError(
                error.kind, error.kind.meaning, error.headers
            ) from error
        return {
            'evidence': {
                'server': found.uuid,
                'audience': audience.value,
                **answer,
            }
        }

    async def _newest(
        self, call: endpoint.Call, uuid: str, audience: statements.Audience
    ) -> dict[str, object]:
        ask = call.parts.newest_statement
        if ask is None:
            raise errors.ApiError(
                errors.LOG_UNREAD,
                'the service has no [isolation_evidence] url; ask with a '
                'nonce, or set it',
            )
        try:
            bundle = await self._log.ask(
                lambda name: ask(uuid, audience), f'{uuid} {audience.value}'
            )
            if bundle is not None:
                question.check(bundle, uuid, audience)
        except bad.BadEvidence as error:
            raise errors.ApiError(
                errors.LOG_UNREAD, f'the answer of the log: {error}'
            ) from error
        except Exception as error:
            raise errors.ApiError(
                errors.LOG_UNREAD,
                f'the log cannot be read now: {error or type(error).__name__}',
            ) from error
        if bundle is None:
            return {
                'bundle': None,
                'code': NONE,
                'detail': 'The log has no statement about this server: none '
                'has been made yet, or it was removed since.',
            }
        return {'bundle': bundle, 'code': '', 'detail': ''}

    async def _state(
        self,
        call: endpoint.Call,
        found: report_server.Server,
        wanted: question.Question,
    ) -> dict[str, object]:
        """Have the host state what it finds now.

        Answers are not shared, because each has a nonce of its own. So who
        asks without end about one server must not keep its host busy.
        """
        if found.uuid in self._asked:
            raise errors.ApiError(
                errors.BUSY,
                f'the host of server {found.uuid} is being asked; try again',
                {'Retry-After': '2'},
            )
        self._asked.add(found.uuid)
        try:
            answer = await servers.answer_of_host(
                self._hosts.ask(
                    lambda uuid: call.parts.servers.state(uuid, wanted),
                    found.uuid,
                )
            )
        finally:
            self._asked.discard(found.uuid)
        detail = ''
        if answer.code:
            detail = (
                'The log has not countersigned the statement. Who trusts a '
                'log accepts none without its receipt: ask again later.'
            )
            if wanted.audience is statements.Audience.OPERATOR:
                detail += f' {answer.detail}'
        return {
            'bundle': answer.bundle,
            'code': answer.code,
            'detail': detail,
        }
