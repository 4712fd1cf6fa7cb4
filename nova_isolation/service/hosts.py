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
"""The calls about hosts."""

from collections.abc import Mapping
import dataclasses

from nova_isolation.report import hosts
from nova_isolation.report import picture
from nova_isolation.service import endpoint
from nova_isolation.service import errors
from nova_isolation.service import pages
from nova_isolation.service import policies
from nova_isolation.service import unread
from nova_isolation.service.endpoint import typed

_NUMBER = typed(['number', 'null'])
_TEXT = typed('string')
_MAYBE = typed(['string', 'null'])

_FIELDS: dict[str, object] = {
    'host': _TEXT,
    'uuid': _TEXT,
    'cell': _TEXT,
    'state': _TEXT,
    'guarded': typed('boolean'),
    'mode': _MAYBE,
    'schema': typed(['integer', 'null']),
    'measured_at': _MAYBE,
    'age_seconds': _NUMBER,
    'fresh': typed('boolean'),
    'traits': typed('array', items=_TEXT),
    'offers': typed(
        'object', additionalProperties=typed('array', items=_TEXT)
    ),
    'refuses': typed(
        'object',
        additionalProperties=typed(
            'object',
            properties={
                name: _TEXT
                for name in (
                    'value',
                    'code',
                    'key',
                    'wanted',
                    'found',
                    'remedy',
                )
            },
            required=['value', 'code', 'wanted', 'found', 'remedy'],
        ),
    ),
    'attestation': typed(
        ['object', 'null'],
        properties={
            'mechanism': _TEXT,
            'standing': _TEXT,
            'age_seconds': _NUMBER,
            'report_age_seconds': _NUMBER,
            'agent': _TEXT,
            'verifier': _TEXT,
            'trouble': _TEXT,
        },
        required=['mechanism', 'standing', 'age_seconds'],
    ),
    'violations': typed(
        'array',
        items=typed(
            'object',
            properties={
                'server': _MAYBE,
                'code': _TEXT,
                'since': _MAYBE,
                'mechanism': _MAYBE,
            },
            required=['server', 'code', 'since'],
        ),
    ),
}

HOST = typed('object', properties=_FIELDS, required=list(_FIELDS))

_WITH_FACTS = typed(
    'object',
    properties={**_FIELDS, 'facts': typed('object')},
    required=[*_FIELDS, 'facts'],
)


@dataclasses.dataclass
class _Reports:
    """The reports of the newest picture."""

    of: picture.Picture | None = None
    reports: hosts.HostReports | None = None


class Hosts:
    """Answers the calls about hosts."""

    def __init__(self) -> None:
        self._newest = _Reports()

    def endpoints(self) -> list[endpoint.Endpoint]:
        """Return the calls."""
        return [
            endpoint.Endpoint(
                'GET',
                '/v1/hosts',
                policies.HOSTS_LIST,
                self.list,
                'List the compute hosts with what they offer and refuse now.',
                typed(
                    'object',
                    properties={
                        'hosts': typed('array', items=HOST),
                        'hosts_links': pages.LINKS,
                        'unread_cells': unread.SCHEMA,
                    },
                    required=['hosts', 'hosts_links', 'unread_cells'],
                ),
                pages.PARAMETERS,
            ),
            endpoint.Endpoint(
                'GET',
                '/v1/hosts/{host}',
                policies.HOSTS_SHOW,
                self.show,
                'Show one compute host with its facts.',
                typed(
                    'object',
                    properties={'host': _WITH_FACTS},
                    required=['host'],
                ),
            ),
        ]

    def _reports(
        self, call: endpoint.Call, seen: picture.Picture
    ) -> hosts.HostReports:
        """Return the reports of a picture, which keep what hosts share."""
        newest = self._newest
        if newest.of is not seen or newest.reports is None:
            rules = call.parts.rules
            reports = hosts.HostReports(
                rules,
                hosts.candidates(rules.mechanisms.vocabulary, seen.flavors),
                seen.servers,
            )
            self._newest = _Reports(seen, reports)
            return reports
        return newest.reports

    async def list(self, call: endpoint.Call) -> bytes:
        """``GET /v1/hosts``."""
        page = pages.parse(call)
        seen = call.picture()
        moment = call.moment()

        def make() -> Mapping[str, object]:
            reports = self._reports(call, seen)
            nodes, marker = page.of(seen.nodes, lambda node: node.host)
            return {
                'hosts': [
                    reports.of(node, moment, with_facts=False)
                    for node in nodes
                ],
                'hosts_links': pages.links(call, marker),
                'unread_cells': unread.as_json(seen),
            }

        return await call.parts.kept.get(
            ('hosts', page, call.base_url), seen, moment.now, make
        )

    async def show(self, call: endpoint.Call) -> bytes:
        """``GET /v1/hosts/{host}``."""
        name = call.request.path_params['host']
        seen = call.picture()
        node = next((n for n in seen.nodes if n.host == name), None)
        if node is None:
            raise errors.ApiError(
                errors.NOT_FOUND,
                f'Nova knows no compute host {name!r}; see "openstack '
                'compute service list"' + unread.hint(seen),
            )
        moment = call.moment()

        def make() -> Mapping[str, object]:
            return {'host': self._reports(call, seen).of(node, moment)}

        return await call.parts.kept.get(
            ('host', name), seen, moment.now, make
        )
