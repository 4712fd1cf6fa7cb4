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
"""The documents that clients read before they have a token."""

from nova_isolation.service.endpoint import typed

#: The version of the API.
VERSION = 'v1'

_VERSION = typed(
    'object',
    properties={
        'id': typed('string'),
        'status': typed('string'),
        'links': typed('array'),
    },
    required=['id', 'status', 'links'],
)

#: The schema of :func:`versions`.
VERSIONS = typed(
    'object',
    properties={'versions': typed('array', items=_VERSION)},
    required=['versions'],
)

#: The schema of :func:`version`.
ONE = typed('object', properties={'version': _VERSION}, required=['version'])


def _document(base_url: str) -> dict[str, object]:
    return {
        'id': VERSION,
        'status': 'CURRENT',
        'links': [
            {'rel': 'self', 'href': f'{base_url}/{VERSION}/'},
            {
                'rel': 'describedby',
                'href': f'{base_url}/{VERSION}/openapi.json',
            },
        ],
    }


def versions(base_url: str) -> dict[str, object]:
    """Return the versions document, as keystoneauth reads it.

    :param base_url: the address of the service, without a slash at its end
    """
    return {'versions': [_document(base_url)]}


def version(base_url: str) -> dict[str, object]:
    """Return the document of this version.

    :param base_url: the address of the service, without a slash at its end
    """
    return {'version': _document(base_url)}
