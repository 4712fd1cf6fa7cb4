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

"""What a guest reads about itself: Nova's dynamic vendordata.

Nova asks for it when it builds a config drive, which is before the guest was
verified, and whenever the guest asks the metadata service. So the answer is
the newest statement that the log has, and no host is asked.
"""

from collections.abc import Mapping
import typing

from oslo_utils import uuidutils

from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import question
from nova_isolation.evidence import statement as statements
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import evidence
from nova_isolation.service import policies
from nova_isolation.service import questions
from nova_isolation.service.endpoint import typed

#: The largest body, in bytes. Nova sends the user data of the server too,
#: which has 64 KiB at most.
_MAX_BODY = 512 * 1024

#: How often the log is asked at once.
_LOG = 8

#: Seconds that the log may take. Nova waits 5 s for this service by default
#: ([api] vendordata_dynamic_read_timeout), and the guest waits for Nova.
_LOG_SECONDS = 3.0

_ANSWER = typed(
    'object',
    properties={'evidence': evidence.BUNDLE, 'reason': typed('string')},
    required=['evidence', 'reason'],
)

_BODY = typed(
    'object',
    properties={'instance-id': typed('string', format='uuid')},
    required=['instance-id'],
)


class Vendordata:
    """Answers Nova's metadata service."""

    def __init__(self) -> None:
        self._log: questions.Questions[typing.Any] = questions.Questions(
            _LOG, _LOG_SECONDS
        )

    def endpoints(self) -> list[endpoint.Endpoint]:
        """Return the call."""
        return [
            endpoint.Endpoint(
                'POST',
                '/v1/vendordata',
                policies.VENDORDATA,
                self.show,
                "The newest statement about a guest, for Nova's dynamic "
                'vendordata.',
                _ANSWER,
                body=_BODY,
            )
        ]

    async def show(self, call: endpoint.Call) -> Mapping[str, object]:
        """``POST /v1/vendordata``.

        Where there is no statement, the guest reads why.
        """
        uuid = await _instance(call)
        ask = call.parts.newest_statement
        audience = statements.Audience.OWNER
        if ask is None:
            return _none('This cloud keeps no statements.')
        try:
            bundle = await self._log.ask(
                lambda name: ask(name, audience), uuid
            )
            if bundle is None:
                return _none(
                    'There is no statement about this server yet. A guest is '
                    'verified after its config drive is made: ask the '
                    'metadata service when the guest runs.'
                )
            question.check(bundle, uuid, audience)
        except bad.BadEvidence:
            return _none('The log has answered something else.')
        except Exception:
            return _none('The log of statements cannot be read now.')
        return {'evidence': bundle, 'reason': ''}


def _none(reason: str) -> Mapping[str, object]:
    return {'evidence': None, 'reason': reason}


async def _instance(call: endpoint.Call) -> str:
    """Return the UUID of the server that is asked about.

    Nova sends more, which is not needed.

    :raises nova_isolation.service.errors.ApiError: the body has none
    """
    value = await call.json(_MAX_BODY)
    uuid = value.get('instance-id') if isinstance(value, dict) else None
    if not isinstance(uuid, str) or not uuidutils.is_uuid_like(uuid):
        raise errors.ApiError(
            errors.BAD_REQUEST,
            'wanted a JSON object with the UUID of a server as instance-id',
        )
    return uuid
