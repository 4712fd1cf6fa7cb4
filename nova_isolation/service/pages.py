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
"""Long lists in pages, by the parameters ``limit`` and ``marker``.

https://specs.openstack.org/openstack/api-sig/guidelines/
pagination_filter_sort.html
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import typing
import urllib.parse

from nova_isolation.service import endpoint
from nova_isolation.service import errors

T = typing.TypeVar('T')

PARAMETERS = (
    endpoint.Parameter(
        'limit',
        endpoint.typed('integer', minimum=1),
        'How many items the answer has at most. The service has a limit of '
        'its own, [isolation_api] max_limit.',
    ),
    endpoint.Parameter(
        'marker',
        endpoint.typed('string'),
        "The name of the last item of the page before; '' for the first page.",
    ),
)

#: The schema of ``..._links``.
LINKS = endpoint.typed(
    'array',
    items=endpoint.typed(
        'object',
        properties={
            'rel': endpoint.typed('string'),
            'href': endpoint.typed('string'),
        },
        required=['rel', 'href'],
    ),
)

#: A number of so many digits is above each limit.
_DIGITS = 18


@dataclasses.dataclass(frozen=True)
class Page:
    """Which part of a list is asked for.

    :ivar limit: how many items at most
    :ivar marker: the name of the last item of the page before; '' for none
    """

    limit: int
    marker: str

    def of(
        self, items: Sequence[T], name: Callable[[T], str]
    ) -> tuple[Sequence[T], str]:
        """Return this page of a list.

        :param items: sorted by their names
        :param name: the name of an item. Items of one name are always on one
            page.
        :returns: the items, and the marker of the next page, '' for none
        """
        rest = [item for item in items if name(item) > self.marker]
        end = self.limit
        while end < len(rest) and name(rest[end]) == name(rest[end - 1]):
            end += 1
        return rest[:end], name(rest[end - 1]) if end < len(rest) else ''


def parse(call: endpoint.Call) -> Page:
    """Return which page a call asks for.

    :raises nova_isolation.service.errors.ApiError: a parameter is not valid
    """
    text = call.request.query_params.get('limit')
    limit = call.parts.max_limit
    if text is not None:
        if not (text.isascii() and text.isdecimal() and text.strip('0')):
            raise errors.ApiError(
                errors.BAD_REQUEST,
                f'limit is {text[:50]!r}; wanted a whole number from 1 on',
            )
        # Python refuses to read numbers of very many digits.
        limit = min(limit, int(text) if len(text) < _DIGITS else limit)
    return Page(limit, call.request.query_params.get('marker', ''))


def links(call: endpoint.Call, marker: str) -> list[dict[str, str]]:
    """Return the links of a page.

    :param marker: the marker of the next page; '' for none
    """
    if not marker:
        return []
    query = [
        (key, value)
        for key, value in call.request.query_params.multi_items()
        if key != 'marker'
    ]
    query.append(('marker', marker))
    return [
        {
            'rel': 'next',
            'href': f'{call.base_url}{call.request.url.path}?'
            + urllib.parse.urlencode(query),
        }
    ]
