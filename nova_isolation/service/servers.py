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

"""The calls of the API about servers."""

from collections.abc import Awaitable
from collections.abc import Mapping
import typing

from oslo_utils import uuidutils

from nova_isolation.model import examination
from nova_isolation.model import requirements
from nova_isolation.report import asked
from nova_isolation.report import server as report_server
from nova_isolation.report import servers
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import pages
from nova_isolation.service import policies
from nova_isolation.service import questions
from nova_isolation.service import records
from nova_isolation.service import unread
from nova_isolation.service.endpoint import typed

#: How many hosts are asked at once.
_EXAMINATIONS = 16

#: Seconds that the answer of a host may take. Nova waits for a host for
#: [DEFAULT] rpc_response_timeout, by default 60 s.
_EXAMINE_SECONDS = 70.0

T = typing.TypeVar('T')

_TEXT = typed('string')
_MAYBE = typed(['string', 'null'])
_TEXTS = typed('object', additionalProperties=_TEXT)


def _object(**properties: object) -> dict[str, object]:
    """Return the schema of an object that has all these properties."""
    return typed('object', properties=properties, required=list(properties))


_UNMET = _object(
    code=_TEXT, key=_TEXT, wanted=_MAYBE, found=_MAYBE, remedy=_MAYBE
)

SERVER = _object(
    id=_TEXT,
    name=_TEXT,
    project_id=_TEXT,
    host=_MAYBE,
    vm_state=_TEXT,
    flavor=_TEXT,
    extra_specs=_TEXTS,
    asked=typed(
        'array', items=_object(key=_TEXT, value=_TEXT, mechanism=_TEXT)
    ),
    problems=typed('array', items=_UNMET),
    verifications=typed(
        'array',
        items=_object(
            event=_TEXT,
            result=_TEXT,
            at=_MAYBE,
            request_id=_MAYBE,
            codes=typed('array', items=_TEXT),
            details=_MAYBE,
        ),
    ),
    read_back={
        **_object(
            at=_MAYBE,
            verified=typed('boolean'),
            proofs=typed(
                'array', items=_object(requirement=_TEXT, read=_MAYBE)
            ),
            unmet=typed('array', items=_UNMET),
        ),
        'type': ['object', 'null'],
    },
    host_standing=typed(['string', 'null'], enum=[*servers.STANDINGS, None]),
)

#: A server that was asked for by itself.
_READ = {
    **SERVER,
    **_object(
        **typing.cast(dict[str, object], SERVER['properties']),
        read_age_seconds=records.AGE,
    ),
}

_LIST_PARAMETERS = (
    endpoint.Parameter(
        'all_projects',
        typed('boolean'),
        'Whether the servers of all projects are listed, instead of those of '
        'the project of the token.',
    ),
    *pages.PARAMETERS,
)

_NOW = endpoint.Parameter(
    'now',
    typed('boolean'),
    'Whether the host verifies the running guest again, now.',
)


class Servers:
    """Answers the calls about servers."""

    def __init__(self) -> None:
        self._records: records.Records[report_server.Server] = records.Records(
            'server'
        )
        self._examinations: questions.Questions[examination.Examination] = (
            questions.Questions(_EXAMINATIONS, _EXAMINE_SECONDS)
        )

    def endpoints(self) -> list[endpoint.Endpoint]:
        """Return the calls."""
        return [
            endpoint.Endpoint(
                'GET',
                '/v1/servers',
                None,
                self.list,
                'List the servers of tagged flavors.',
                _object(
                    servers=typed('array', items=SERVER),
                    servers_links=pages.LINKS,
                    unread_cells=unread.SCHEMA,
                ),
                _LIST_PARAMETERS,
            ),
            endpoint.Endpoint(
                'GET',
                '/v1/servers/{server}',
                None,
                self.show,
                'Show what the flavor of a server asks for, what was read '
                'back, and the standing of its host.',
                _object(server=_READ),
                (_NOW,),
            ),
        ]

    async def list(self, call: endpoint.Call) -> bytes:
        """``GET /v1/servers``."""
        # A token of the system is of no project.
        project = (
            None
            if call.flag('all_projects')
            else call.context.project_id or None
        )
        # oslo.policy compares texts: None would be equal to the project of a
        # token that has none, e.g. one of a domain.
        call.authorize(policies.SERVERS_LIST, {'project_id': project or ''})
        page = pages.parse(call)
        seen = call.picture()
        moment = call.moment()
        for_admins = reads_hosts(call)

        def make() -> Mapping[str, object]:
            shown, marker = page.of(
                [
                    one
                    for one in seen.servers
                    if project is None or one.project_id == project
                ],
                lambda one: one.uuid,
            )
            reports = servers.ServerReports(call.parts.rules, seen.nodes)
            return {
                'servers': [
                    reports.of(one, moment.now, for_admins) for one in shown
                ],
                'servers_links': pages.links(call, marker),
                'unread_cells': unread.as_json(seen),
            }

        key = ('servers', project, for_admins, page, call.base_url)
        return await call.parts.kept.get(key, seen, moment.now, make)

    async def show(self, call: endpoint.Call) -> Mapping[str, object]:
        """``GET /v1/servers/{server}``."""
        uuid = call.request.path_params['server']
        now = call.flag('now')
        found, age = await self.find(call, uuid)
        examined = None
        if now:
            call.authorize(
                policies.SERVERS_EXAMINE, {'project_id': found.project_id}
            )
            examined = await self._examine(call, found)
        reports = servers.ServerReports(call.parts.rules, call.picture().nodes)
        return {
            'server': {
                **reports.of(
                    found, call.moment().now, reads_hosts(call), examined
                ),
                'read_age_seconds': age,
            }
        }

    async def find(
        self, call: endpoint.Call, uuid: str
    ) -> tuple[report_server.Server, float | None]:
        """Return the server, and how many seconds ago it was read.

        :raises nova_isolation.service.errors.ApiError: there is none, or the
            caller may not know of it; the two look alike
        """
        try:
            if not uuidutils.is_uuid_like(uuid):
                raise asked.NoSuchServer(uuid)
            found, age = await self._records.read(
                call,
                call.parts.servers.find,
                uuid,
                asked.NoSuchServer,
                lambda seen: next(
                    (one for one in seen.servers if one.uuid == uuid), None
                ),
            )
            target = {'project_id': found.project_id}
            if not call.may(policies.SERVERS_SHOW, target):
                raise asked.NoSuchServer(uuid)
        except asked.NoSuchServer:
            raise errors.ApiError(
                errors.NOT_FOUND,
                f'there is no server {uuid!r}, or it is not yours',
            ) from None
        return found, age

    async def _examine(
        self, call: endpoint.Call, found: report_server.Server
    ) -> examination.Examination:
        """Have the host verify the guest.

        :raises nova_isolation.service.errors.ApiError: it has not
        """
        check_tagged(found)
        return await answer_of_host(
            self._examinations.ask(call.parts.servers.examine, found.uuid)
        )


def check_tagged(found: report_server.Server) -> None:
    """Refuse to have a host verify a guest that asks for nothing.

    :raises nova_isolation.service.errors.ApiError: the flavor is not tagged
    """
    if not requirements.is_tagged(found.extra_specs):
        raise errors.ApiError(
            errors.NOT_TAGGED,
            f'the flavor of server {found.uuid} asks for no isolation',
        )


async def answer_of_host(answer: Awaitable[T]) -> T:
    """Return what the host of a server has answered.

    :param answer: is awaited
    :raises nova_isolation.service.errors.ApiError: it has not
    """
    try:
        return await answer
    except asked.NoSuchServer:
        kind, detail = errors.NOT_FOUND, 'the server is gone'
    except asked.NotRunning as error:
        kind, detail = errors.NOT_RUNNING, str(error)
    except asked.HostSilent as error:
        kind, detail = errors.HOST_SILENT, str(error)
    except TimeoutError:
        kind, detail = errors.HOST_SILENT, 'there was no answer in time'
    except asked.NotExamined as error:
        kind, detail = errors.NOT_EXAMINED, str(error)
    except Exception as error:
        # The databases may be away in many ways.
        raise records.unread('server', type(error).__name__) from error
    raise errors.ApiError(kind, detail)


def reads_hosts(call: endpoint.Call) -> bool:
    """Return whether the caller may read the name and words of a host."""
    return call.may(policies.HOSTS_SHOW, {})
