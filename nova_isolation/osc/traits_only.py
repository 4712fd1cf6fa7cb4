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

"""What Nova's API and the traits in placement tell without the service.

Traits narrow: a host without the trait of a requirement cannot run the guest,
as placement would not name it. A host with all of them may be refused all the
same, by the age of its facts or by what no trait expresses.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import typing

from openstack import exceptions

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.model import traits
from nova_isolation.osc import nova_api
from nova_isolation.osc import rights

#: Resource providers by trait.
_MICROVERSION = '1.18'

#: Seconds to wait for an answer.
_TIMEOUT = 60

_TRAITS = rights.Right(
    'Placement', 'show traits', 'the role admin', rights.SERVICE
)


@dataclasses.dataclass(frozen=True)
class Sight:
    """What is seen.

    :ivar hosts: the compute hosts, sorted by name
    :ivar traits: UUID of a compute node -> its traits of isolation
    """

    hosts: tuple[nova_api.ComputeHost, ...]
    traits: Mapping[str, frozenset[str]]

    def of(self, host: nova_api.ComputeHost) -> frozenset[str]:
        """Return the traits of isolation of a host."""
        return self.traits.get(host.uuid, frozenset())

    def lacking(
        self,
        host: nova_api.ComputeHost,
        wanted: Iterable[requirements.Requirement],
    ) -> list[str]:
        """Return the requirements for which a host lacks a trait.

        :param wanted: the requirements; where there are any, the host must
            also have the trait of those that run the driver
        """
        has = self.of(host)
        result = [
            f'{item.key}={item.value}'
            for item in wanted
            if not required(item) <= has
        ]
        if wanted and traits.GUARDED not in has:
            result.insert(0, 'the driver of nova-isolation')
        return result


def required(wanted: requirements.Requirement) -> frozenset[str]:
    """Return the traits that a requirement asks for."""
    mechanism = registry.get().loaded[wanted.mechanism]
    return frozenset(mechanism.required_traits(wanted))


def look(api: nova_api.Nova, placement: typing.Any) -> Sight:
    """Ask Nova and placement.

    :param placement: the placement proxy of openstacksdk
    """
    found: dict[str, set[str]] = {}
    names = _get(
        placement,
        '/traits',
        {'name': f'startswith:{traits.PREFIX}', 'associated': 'true'},
    )['traits']
    # One question for each trait that some host has, not for each host: there
    # are at most some dozens.
    for name in sorted(names):
        providers = _get(placement, '/resource_providers', {'required': name})
        for provider in providers['resource_providers']:
            found.setdefault(provider['uuid'], set()).add(name)
    return Sight(
        tuple(sorted(api.hosts(), key=lambda host: host.host)),
        {uuid: frozenset(has) for uuid, has in found.items()},
    )


def _get(
    placement: typing.Any, url: str, params: Mapping[str, str]
) -> dict[str, typing.Any]:
    with rights.explained(_TRAITS):
        answer = placement.get(
            url,
            microversion=_MICROVERSION,
            params=dict(params),
            timeout=_TIMEOUT,
        )
        exceptions.raise_from_response(answer)
    return dict(answer.json())
