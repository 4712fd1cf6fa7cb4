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
"""The calls that explain which hosts could run guests of a flavor."""

import collections
from collections.abc import Mapping

from nova_isolation.decision import published
from nova_isolation.report import asked
from nova_isolation.report import explanation
from nova_isolation.report import flavors
from nova_isolation.report import picture
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import pages
from nova_isolation.service import policies
from nova_isolation.service import records
from nova_isolation.service import unread
from nova_isolation.service.endpoint import typed

#: For how many sets of extra specs the decisions are kept.
_MAX_DECIDERS = 256
#: The largest body of a question, in bytes.
_MAX_BODY = 64 * 1024
#: How many extra specs a question may have. Nova's quota for the metadata of
#: a flavor is 128.
_MAX_SPECS = 128

_TEXT = typed('string')
_TEXTS = typed('object', additionalProperties=_TEXT)
_COUNT = typed('integer', minimum=0)
_BY_CODE = typed('object', additionalProperties=_COUNT)

_UNMET = typed(
    'object',
    properties={
        name: _TEXT for name in ('code', 'key', 'wanted', 'found', 'remedy')
    },
    required=['code', 'key', 'wanted', 'found', 'remedy'],
)

EXPLANATION = typed(
    'object',
    properties={
        'flavor': typed(['string', 'null']),
        'read_age_seconds': records.AGE,
        'mode': _TEXT,
        'extra_specs': _TEXTS,
        'near_misses': _TEXTS,
        'usable': typed('boolean'),
        'counts': typed(
            'object',
            properties={
                'hosts': _COUNT,
                'accepted': _COUNT,
                'usable': _COUNT,
                'refused': _COUNT,
                'by_code': _BY_CODE,
            },
            required=['hosts', 'accepted', 'usable', 'refused', 'by_code'],
        ),
        'hosts': typed(
            'array',
            items=typed(
                'object',
                properties={
                    'host': _TEXT,
                    'accepted': typed('boolean'),
                    'state': _TEXT,
                    'usable': typed('boolean'),
                    'unmet': typed('array', items=_UNMET),
                },
                required=['host', 'accepted', 'state', 'usable', 'unmet'],
            ),
        ),
        'hosts_links': pages.LINKS,
        'unread_cells': unread.SCHEMA,
    },
    required=[
        'flavor',
        'read_age_seconds',
        'mode',
        'extra_specs',
        'near_misses',
        'usable',
        'counts',
        'hosts',
        'hosts_links',
        'unread_cells',
    ],
)

_ANSWER = typed(
    'object',
    properties={'explanation': EXPLANATION},
    required=['explanation'],
)

_PARAMETERS = (
    endpoint.Parameter(
        'refused_only',
        typed('boolean'),
        'Whether the hosts that would be usable are left out.',
    ),
    *pages.PARAMETERS,
)

#: The body of a question about extra specs of no flavor.
QUESTION = typed(
    'object',
    properties={
        'extra_specs': typed(
            'object',
            maxProperties=_MAX_SPECS,
            additionalProperties=typed('string', maxLength=255),
        )
    },
    required=['extra_specs'],
    additionalProperties=False,
)


class Explain:
    """Answers the calls about flavors."""

    def __init__(self) -> None:
        #: extra specs -> what decides about hosts for them
        self._deciders: collections.OrderedDict[
            frozenset[tuple[str, str]], published.PublishedDecision
        ] = collections.OrderedDict()
        self._records: records.Records[picture.Flavor] = records.Records(
            'flavor'
        )

    def endpoints(self) -> list[endpoint.Endpoint]:
        """Return the calls."""
        return [
            endpoint.Endpoint(
                'GET',
                '/v1/flavors',
                policies.FLAVORS_LIST,
                self.list,
                'List the flavors that ask for isolation, and those that '
                'seem to, with the number of hosts for each.',
                typed(
                    'object',
                    properties={
                        'flavors': typed('array', items=_FLAVOR),
                        'unread_cells': unread.SCHEMA,
                    },
                    required=['flavors', 'unread_cells'],
                ),
            ),
            endpoint.Endpoint(
                'GET',
                '/v1/flavors/{flavor}/explain',
                policies.FLAVORS_EXPLAIN,
                self.flavor,
                'Explain for each host whether it could run guests of a '
                'flavor now, and what is unmet.',
                _ANSWER,
                _PARAMETERS,
            ),
            endpoint.Endpoint(
                'POST',
                '/v1/explain',
                policies.FLAVORS_EXPLAIN,
                self.what_if,
                'Explain the same for extra specs that no flavor has yet.',
                _ANSWER,
                _PARAMETERS,
                QUESTION,
            ),
        ]

    async def list(self, call: endpoint.Call) -> bytes:
        """``GET /v1/flavors``."""
        seen = call.picture()
        moment = call.moment()

        def make() -> Mapping[str, object]:
            return {
                'flavors': [
                    flavors.as_json(flavor, self._explain(call, seen, flavor))
                    for flavor in seen.flavors
                    if flavors.is_shown(flavor, call.parts.rules.mechanisms)
                ],
                'unread_cells': unread.as_json(seen),
            }

        return await call.parts.kept.get('flavors', seen, moment.now, make)

    async def flavor(self, call: endpoint.Call) -> bytes:
        """``GET /v1/flavors/{flavor}/explain``."""
        name = call.request.path_params['flavor']
        # Without hosts there is nothing to explain.
        call.picture()
        try:
            found, age = await self._records.read(
                call,
                call.parts.find_flavor,
                name,
                asked.NoSuchFlavor,
                lambda seen: seen.flavor(name),
            )
        except asked.NoSuchFlavor:
            raise errors.ApiError(
                errors.NOT_FOUND,
                f'there is no flavor with the ID or name {name!r}; see '
                '"openstack flavor list --all"',
            ) from None
        return await self._answer(call, name, found.extra_specs, age)

    async def what_if(self, call: endpoint.Call) -> bytes:
        """``POST /v1/explain``."""
        return await self._answer(call, None, await _extra_specs(call), None)

    async def _answer(
        self,
        call: endpoint.Call,
        name: str | None,
        extra_specs: Mapping[str, str],
        age: float | None,
    ) -> bytes:
        """Explain extra specs.

        :param name: of the flavor; None for extra specs of none
        :param age: how many seconds ago the flavor was read
        """
        seen = call.picture()
        page = pages.parse(call)
        refused_only = call.flag('refused_only')
        moment = call.moment()

        def make() -> Mapping[str, object]:
            found = self._explain(
                call, seen, picture.Flavor('', name or '', extra_specs), moment
            )
            shown, marker = page.of(
                [a for a in found.answers if not (refused_only and a.usable)],
                lambda answer: answer.node.host,
            )
            return {
                'explanation': {
                    **explanation.as_json(
                        found, call.parts.rules.mechanisms.reasons, shown
                    ),
                    'flavor': name,
                    'read_age_seconds': age,
                    'hosts_links': pages.links(call, marker),
                    'unread_cells': unread.as_json(seen),
                }
            }

        key = (
            'explain',
            name,
            frozenset(extra_specs.items()),
            age,
            refused_only,
            page,
            call.request.url.path,
            call.base_url,
        )
        return await call.parts.kept.get(key, seen, moment.now, make)

    def _explain(
        self,
        call: endpoint.Call,
        seen: picture.Picture,
        flavor: picture.Flavor,
        moment: explanation.Moment | None = None,
    ) -> explanation.Explanation:
        rules = call.parts.rules
        key = frozenset(flavor.extra_specs.items())
        decider = self._deciders.pop(key, None)
        if decider is None:
            decider = rules.decider(flavor.extra_specs)
            if len(self._deciders) >= _MAX_DECIDERS:
                self._deciders.popitem(last=False)
        self._deciders[key] = decider
        return explanation.explain(
            flavor.name,
            flavor.extra_specs,
            seen.nodes,
            rules,
            moment or call.moment(),
            decider,
        )


_FLAVOR = typed(
    'object',
    properties={
        'id': _TEXT,
        'name': _TEXT,
        'extra_specs': _TEXTS,
        'near_misses': _TEXTS,
        'hosts': _COUNT,
        'accepted': _COUNT,
        'usable': _COUNT,
        'by_code': _BY_CODE,
    },
    required=[
        'id',
        'name',
        'extra_specs',
        'near_misses',
        'hosts',
        'accepted',
        'usable',
        'by_code',
    ],
)


async def _extra_specs(call: endpoint.Call) -> Mapping[str, str]:
    """Return the extra specs in the body of a question."""
    value = await call.json(_MAX_BODY)
    specs = value.get('extra_specs') if isinstance(value, dict) else None
    if (
        not isinstance(specs, dict)
        or set(value) != {'extra_specs'}
        or len(specs) > _MAX_SPECS
        or not all(
            isinstance(text, str) and len(text) <= 255
            for text in specs.values()
        )
    ):
        raise errors.ApiError(
            errors.BAD_REQUEST,
            'wanted a JSON object {"extra_specs": {KEY: VALUE}} with at most '
            f'{_MAX_SPECS} texts of at most 255 characters',
        )
    return specs
