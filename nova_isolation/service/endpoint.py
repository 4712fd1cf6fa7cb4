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
"""One call of the HTTP API, and what its handler is given."""

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import typing

from oslo_context import context
from oslo_policy import policy
from starlette import requests

from nova_isolation.attestation import service as attestation
from nova_isolation.evidence import statement
from nova_isolation.report import asked
from nova_isolation.report import audit
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.service import answers
from nova_isolation.service import errors
from nova_isolation.service import keystone
from nova_isolation.service import picture_keeper

#: A picture of the cloud, and its age in seconds.
_Aged = tuple[picture.Picture, float]


#: Returns the newest bundle about a server for an audience; None: there is
#: none.
NewestStatement = Callable[
    [str, statement.Audience], dict[str, typing.Any] | None
]


def _unobserved(method: str, path: str, status: int, seconds: float) -> None:
    """Nobody is told: there are no metrics."""


@dataclasses.dataclass(frozen=True)
class Parts:
    """What the service is made of. Tests replace some of them.

    :ivar identify: who asks, by the token of a request
    :ivar enforcer: decides by the policies
    :ivar keeper: the picture of the cloud
    :ivar rules: by which rules hosts are decided about
    :ivar attestation: what third parties state about hosts
    :ivar servers: answers about one server, now
    :ivar find_flavor: answers about one flavor, now
    :ivar newest_statement: answers from the log of statements, and raises
        any exception where the log cannot be read; None: the service does not
        know the log
    :ivar clock: seconds since the epoch
    :ivar max_limit: how many items one answer has at most
    :ivar public_url: the address of the service in links, without a slash at
        its end; '': as the client has named it
    :ivar kept: answers that are still true
    :ivar observe: is told how long an answer took: method, path of the call,
        status, seconds
    :ivar said: what the configuration of the service says about the cloud
    """

    identify: keystone.Identify
    enforcer: policy.Enforcer
    keeper: picture_keeper.PictureKeeper
    rules: explanation.Rules
    attestation: attestation.Attestation
    servers: asked.Servers
    find_flavor: asked.FindFlavor
    clock: Callable[[], float]
    newest_statement: NewestStatement | None = None
    max_limit: int = 1000
    public_url: str = ''
    kept: answers.Answers = dataclasses.field(default_factory=answers.Answers)
    observe: Callable[[str, str, int, float], None] = _unobserved
    said: audit.Configuration = dataclasses.field(
        default_factory=audit.Configuration
    )


@dataclasses.dataclass(frozen=True)
class Call:
    """A request of somebody whose token is valid.

    :ivar request: the request
    :ivar context: who asks
    :ivar parts: the parts of the service
    """

    request: requests.Request
    context: context.RequestContext
    parts: Parts

    def may(self, rule: str, target: Mapping[str, object]) -> bool:
        """Return whether the caller may do something.

        :param rule: the name of the policy
        :param target: what is asked about, e.g. ``project_id``
        """
        return bool(
            self.parts.enforcer.authorize(rule, dict(target), self.context)
        )

    def authorize(self, rule: str, target: Mapping[str, object]) -> None:
        """Refuse the call unless the caller may do it.

        :raises nova_isolation.service.errors.ApiError: the caller may not
        """
        if not self.may(rule, target):
            raise errors.ApiError(
                errors.FORBIDDEN,
                f'the policy {rule} does not allow this; by default it is for '
                'admins and for readers of the system',
            )

    def picture(self) -> picture.Picture:
        """Return the picture of the cloud.

        :raises nova_isolation.service.errors.ApiError: it is too old
        """
        return self.aged_picture()[0]

    def aged_picture(self) -> _Aged:
        """Return the picture of the cloud, and its age in seconds.

        :raises nova_isolation.service.errors.ApiError: it is too old
        """
        try:
            return self.parts.keeper.current()
        except picture_keeper.CloudUnread as error:
            raise errors.ApiError(
                errors.CLOUD_UNREAD, str(error), {'Retry-After': '10'}
            ) from error

    def moment(self) -> explanation.Moment:
        """Return this moment, for decisions."""
        now = self.parts.clock()
        return explanation.Moment(
            now,
            self.parts.attestation.clock(now),
            self.parts.attestation.statements,
        )

    def flag(self, name: str) -> bool:
        """Return a parameter of the query that is true or false.

        :param name: its name; false where it is missing
        :raises nova_isolation.service.errors.ApiError: it is neither
        """
        text = self.request.query_params.get(name, 'false')
        if text not in ('true', 'false'):
            raise errors.ApiError(
                errors.BAD_REQUEST,
                f'{name} is {text[:50]!r}; wanted true or false',
            )
        return text == 'true'

    async def json(self, limit: int) -> typing.Any:
        """Return the body of the request; None: it is no JSON.

        :param limit: how many bytes are read
        :raises nova_isolation.service.errors.ApiError: the body is larger
        """
        text = bytearray()
        async for part in self.request.stream():
            text += part
            if len(text) > limit:
                raise errors.ApiError(
                    errors.TOO_LARGE,
                    f'the body is larger than {limit} bytes',
                )
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    @property
    def base_url(self) -> str:
        """The address of the service for links, without a slash at its end."""
        return self.parts.public_url or str(self.request.base_url).rstrip('/')


#: JSON values, or JSON text that was made earlier.
Body = Mapping[str, object] | bytes

Handle = Callable[[Call], Awaitable[Body]]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter in the query of a call.

    :ivar name: its name
    :ivar schema: the JSON schema of its value
    :ivar description: what it does
    """

    name: str
    schema: Mapping[str, object]
    description: str


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """One call of the API.

    :ivar method: GET or POST
    :ivar path: with parameters in braces, e.g. ``/v1/hosts/{host}``
    :ivar policy: the policy that is checked before the handler is called;
        None: the handler calls :meth:`Call.authorize` with its target
    :ivar handle: makes the answer
    :ivar summary: what the call does, for the OpenAPI document
    :ivar answer: the JSON schema of the answer
    :ivar parameters: of the query
    :ivar body: the JSON schema of the request's body; None for no body
    """

    method: str
    path: str
    policy: str | None
    handle: Handle
    summary: str
    answer: Mapping[str, object]
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, object] | None = None


def typed(kind: str | list[str], **more: typing.Any) -> dict[str, object]:
    """Return a JSON schema of a type."""
    return {'type': kind, **more}
