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

"""Servers with what was read back of each guest."""

from collections.abc import Iterable
import dataclasses

from nova_isolation.page import reading
from nova_isolation.page import refusals


@dataclasses.dataclass(frozen=True)
class Row:
    """One server.

    :ivar id: the ID
    :ivar name: the name
    :ivar project: ID of its project
    :ivar host: where it is, or '' where the reader may not know
    :ivar state: its ``vm_state``
    :ivar flavor: name of the flavor
    :ivar extra_specs: what the flavor asks for
    :ivar verdict: ``verified``, ``failed`` or ``not read back``
    :ivar at: when it was read back
    :ivar proofs: what was read for each requirement
    :ivar unmet: what was not met
    :ivar standing: of its host, see ``host_standing`` of the API
    :ivar events: verifications: what, result, when
    """

    id: str
    name: str
    project: str
    host: str
    state: str
    flavor: str
    extra_specs: tuple[tuple[str, str], ...]
    verdict: str
    at: str
    proofs: tuple[tuple[str, str], ...]
    unmet: tuple[refusals.Refusal, ...]
    standing: str
    events: tuple[tuple[str, str, str], ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words by which the row is filtered."""
        return (
            self.verdict.replace(' ', '-'),
            f'host-{self.standing}',
            *(item.code for item in self.unmet),
        )


def rows(servers: Iterable[reading.Json]) -> tuple[Row, ...]:
    """Return the servers, those that failed first.

    :param servers: as ``GET /v1/servers`` has them
    """
    order = ('failed', 'not read back', 'verified')
    return tuple(
        sorted(
            (_row(server) for server in servers),
            key=lambda row: (order.index(row.verdict), row.name, row.id),
        )
    )


def names(servers: Iterable[reading.Json]) -> dict[str, str]:
    """Return ID -> name."""
    return {
        reading.text(server, 'id'): reading.text(server, 'name')
        for server in servers
    }


def _row(server: reading.Json) -> Row:
    read = reading.part(server, 'read_back')
    verdict = 'verified' if reading.flag(read, 'verified') else 'failed'
    return Row(
        id=reading.text(server, 'id', reading.UNKNOWN),
        name=reading.text(server, 'name', reading.UNKNOWN),
        project=reading.text(server, 'project_id'),
        host=reading.text(server, 'host'),
        state=reading.text(server, 'vm_state', reading.UNKNOWN),
        flavor=reading.text(server, 'flavor', reading.UNKNOWN),
        extra_specs=reading.pairs(server, 'extra_specs'),
        verdict=verdict if read else 'not read back',
        at=reading.moment(read, 'at'),
        proofs=tuple(
            (reading.text(item, 'requirement'), reading.text(item, 'read'))
            for item in reading.parts(read, 'proofs')
        ),
        unmet=tuple(
            refusals.read(item) for item in reading.parts(read, 'unmet')
        ),
        standing=reading.text(server, 'host_standing', reading.UNKNOWN),
        events=tuple(
            (
                reading.text(item, 'event'),
                reading.text(item, 'result'),
                reading.moment(item, 'at'),
            )
            for item in reading.parts(server, 'verifications')
        ),
    )
