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
"""The OpenAPI document, made from the calls that the service answers."""

from collections.abc import Iterable
import http

from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import request_id
from nova_isolation.service import versions

_ERROR = endpoint.typed(
    'object',
    properties={
        'errors': endpoint.typed(
            'array',
            items=endpoint.typed(
                'object',
                properties={
                    'request_id': endpoint.typed('string'),
                    'code': endpoint.typed(
                        'string', enum=sorted(errors.KINDS)
                    ),
                    'status': endpoint.typed('integer'),
                    'title': endpoint.typed('string'),
                    'detail': endpoint.typed('string'),
                    'links': endpoint.typed('array'),
                },
                required=[
                    'request_id',
                    'code',
                    'status',
                    'title',
                    'detail',
                    'links',
                ],
            ),
        )
    },
    required=['errors'],
)

_HEADERS = {
    request_id.HEADER: {
        'description': 'The ID of the request, which the log has too.',
        'schema': endpoint.typed('string'),
    }
}


def document(calls: Iterable[endpoint.Endpoint]) -> dict[str, object]:
    """Return the OpenAPI 3.1 document.

    :param calls: the calls below ``/v1`` that need a token
    """
    paths: dict[str, dict[str, object]] = {
        '/': _open('List the versions of the API.', versions.VERSIONS),
        f'/{versions.VERSION}/': _open(
            'Show this version of the API.', versions.ONE
        ),
        '/healthcheck': _open(
            'Whether the service can answer; for load balancers.',
            endpoint.typed('object'),
            unavailable=True,
        ),
        f'/{versions.VERSION}/openapi.json': _open(
            'Show this document.', endpoint.typed('object')
        ),
    }
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'nova-isolation-api',
            'version': versions.VERSION,
            'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
        },
        'paths': paths,
        'components': {
            'schemas': {'Errors': _ERROR},
            'securitySchemes': {
                'token': {
                    'type': 'apiKey',
                    'in': 'header',
                    'name': 'X-Auth-Token',
                }
            },
        },
    }


def _answer(status: int, schema: object) -> dict[str, object]:
    return {
        'description': http.HTTPStatus(status).phrase,
        'headers': _HEADERS,
        'content': {'application/json': {'schema': schema}},
    }


def _error(status: int) -> dict[str, object]:
    return _answer(status, {'$ref': '#/components/schemas/Errors'})


def _open(
    summary: str, schema: object, unavailable: bool = False
) -> dict[str, object]:
    """Return the call of a document that needs no token."""
    answers = {'200': _answer(200, schema)}
    if unavailable:
        answers['503'] = _answer(503, schema)
    return {'get': {'summary': summary, 'responses': answers}}


def _operation(call: endpoint.Endpoint) -> dict[str, object]:
    in_path = [
        part[1:-1]
        for part in call.path.split('/')
        if part.startswith('{') and part.endswith('}')
    ]
    statuses = [400, 401, 403, 503]
    if in_path:
        statuses.append(404)
    if call.body:
        statuses.append(413)
    operation: dict[str, object] = {
        'summary': call.summary,
        'security': [{'token': []}],
        'parameters': [
            {
                'name': name,
                'in': 'path',
                'required': True,
                'schema': endpoint.typed('string', minLength=1),
            }
            for name in in_path
        ]
        + [
            {
                'name': one.name,
                'in': 'query',
                'schema': one.schema,
                'description': one.description,
            }
            for one in call.parameters
        ],
        'responses': {
            '200': _answer(200, call.answer),
            **{str(status): _error(status) for status in sorted(statuses)},
        },
    }
    if call.body is not None:
        operation['requestBody'] = {
            'required': True,
            'content': {'application/json': {'schema': call.body}},
        }
    return operation
