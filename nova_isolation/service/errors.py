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
"""The errors of the service, in the form of the API working group.

https://specs.openstack.org/openstack/api-sig/guidelines/errors.html
"""

from collections.abc import Mapping
import dataclasses
import http

from nova_isolation.model import errors
from nova_isolation.model import printable

#: Where an error is explained.
_HELP = (
    'https://docs.openstack.org/nova-isolation/latest/reference/http-api.html'
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of error.

    :ivar code: the stable identifier, ``isolation.api.<what>``
    :ivar status: the HTTP status
    :ivar meaning: what is wrong, in one sentence
    """

    code: str
    status: int
    meaning: str


UNAUTHORIZED = Kind(
    'isolation.api.unauthorized',
    401,
    'The request has no valid token in X-Auth-Token.',
)
FORBIDDEN = Kind(
    'isolation.api.forbidden',
    403,
    'The policy does not allow this call with the roles of the token.',
)
NOT_FOUND = Kind(
    'isolation.api.not_found',
    404,
    'There is no such thing, or the caller may not know of it.',
)
METHOD_NOT_ALLOWED = Kind(
    'isolation.api.method_not_allowed',
    405,
    'The address has no such method.',
)
BAD_REQUEST = Kind(
    'isolation.api.bad_request',
    400,
    'A parameter or the body of the request is not valid.',
)
TOO_LARGE = Kind(
    'isolation.api.too_large',
    413,
    'The body of the request is too large.',
)
INTERNAL = Kind(
    'isolation.api.internal',
    500,
    'The service has a defect. Its log has the traceback, under the request '
    'ID.',
)
IDENTITY_UNAVAILABLE = Kind(
    'isolation.api.identity_unavailable',
    503,
    'The token could not be checked, because keystone does not answer.',
)
CLOUD_UNREAD = Kind(
    'isolation.api.cloud_unread',
    503,
    "The service could not read Nova's databases for so long that it does "
    'not answer from what it read before.',
)
NOT_TAGGED = Kind(
    'isolation.api.not_tagged',
    409,
    'The flavor of the server asks for no isolation, so there is nothing to '
    'examine.',
)
NOT_RUNNING = Kind(
    'isolation.api.not_running',
    409,
    'The guest does not run, so there is nothing to examine.',
)
NOT_EXAMINED = Kind(
    'isolation.api.not_examined',
    502,
    'The host has not examined the guest, so nothing is known about it now.',
)
HOST_SILENT = Kind(
    'isolation.api.host_silent',
    504,
    'The host has not answered in time, so nothing is known about the guest '
    'now.',
)

BUSY = Kind(
    'isolation.api.busy',
    429,
    'The host of this server is answering such a question at present, and '
    'answers one at a time.',
)
LOG_UNREAD = Kind(
    'isolation.api.log_unread',
    502,
    'The log of statements could not be read, or the service does not know '
    'its address.',
)

#: All kinds, by their codes.
KINDS: Mapping[str, Kind] = {
    kind.code: kind for kind in list(vars().values()) if isinstance(kind, Kind)
}


class ApiError(errors.IsolationError):
    """The answer to a request is an error.

    :ivar kind: which
    :ivar detail: what is wrong with this request, and the way out
    :ivar headers: further headers of the answer
    """

    def __init__(
        self,
        kind: Kind,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """See the attributes."""
        self.kind = kind
        self.detail = printable.one_line(detail)
        self.headers = dict(headers or {})
        super().__init__(self.detail)


def as_json(error: ApiError, request_id: str) -> dict[str, object]:
    """Return the body of an error.

    :param request_id: the ID of the request
    """
    return {
        'errors': [
            {
                'request_id': request_id,
                'code': error.kind.code,
                'status': error.kind.status,
                'title': http.HTTPStatus(error.kind.status).phrase,
                'detail': error.detail,
                'links': [{'rel': 'help', 'href': _HELP}],
            }
        ]
    }
