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

"""The call of the API for the audit."""

from collections.abc import Mapping

from nova_isolation.report import audit
from nova_isolation.report import audit_kinds
from nova_isolation.service import endpoint
from nova_isolation.service import policies
from nova_isolation.service.endpoint import typed

_TEXT = typed('string')
_COUNT = typed('integer', minimum=0)

AUDIT = typed(
    'object',
    properties={
        'checked': typed(
            'object',
            properties={
                name: _COUNT for name in ('hosts', 'flavors', 'servers')
            },
            required=['hosts', 'flavors', 'servers'],
        ),
        'findings': typed(
            'array',
            items=typed(
                'object',
                properties={
                    'code': typed('string', enum=sorted(audit_kinds.KINDS)),
                    'severity': typed(
                        'string',
                        enum=[audit_kinds.ERROR, audit_kinds.WARNING],
                    ),
                    'subject': typed(
                        'object',
                        properties={
                            'type': typed(
                                'string',
                                enum=['flavor', 'host', 'server', 'service'],
                            ),
                            'id': _TEXT,
                            'name': _TEXT,
                        },
                        required=['type', 'id', 'name'],
                    ),
                    'detail': _TEXT,
                    'remedy': _TEXT,
                },
                required=['code', 'severity', 'subject', 'detail', 'remedy'],
            ),
        ),
    },
    required=['checked', 'findings'],
)


def endpoints() -> list[endpoint.Endpoint]:
    """Return the call."""
    return [
        endpoint.Endpoint(
            'GET',
            '/v1/audit',
            policies.AUDIT,
            _audit,
            'Report what in the whole cloud does not keep what flavors '
            'promise.',
            typed('object', properties={'audit': AUDIT}, required=['audit']),
        )
    ]


async def _audit(call: endpoint.Call) -> bytes:
    """``GET /v1/audit``."""
    seen = call.picture()
    moment = call.moment()

    def make() -> Mapping[str, object]:
        cloud = audit.Cloud(seen, call.parts.rules, moment, call.parts.said)
        return {'audit': audit.as_json(cloud, audit.findings(cloud))}

    return await call.parts.kept.get('audit', seen, moment.now, make)
