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

"""One host: what it offers, what it refuses, and what counts first."""

from collections.abc import Collection
from collections.abc import Iterable
import dataclasses

from nova_isolation.model import printable
from nova_isolation.page import reading
from nova_isolation.page import refusals

#: How many words of an offer stand in a cell of the matrix.
_WORDS = 4


@dataclasses.dataclass(frozen=True)
class Cell:
    """What a host says to a requirement.

    :ivar answer: ``offered`` (some value is met), ``refused``, ``stale``,
        ``no facts`` or ``not known``
    :ivar note: the first values that are met, or the reason code of the
        refusal without ``isolation.``
    """

    answer: str
    note: str = ''


@dataclasses.dataclass(frozen=True)
class Violation:
    """A running guest that does not have what its flavor asks for.

    :ivar host: where it runs
    :ivar server: ID of the server, or '' where the host does not name it
    :ivar mechanism: the mechanism that is violated, or ''
    :ivar code: the reason code
    :ivar since: when that was found, or ''
    """

    host: str
    server: str
    mechanism: str
    code: str
    since: str

    @property
    def guest(self) -> str:
        """Which guest, in words."""
        if self.server:
            return f'server {self.server}'
        return f'a guest ({self.mechanism})' if self.mechanism else 'a guest'


@dataclasses.dataclass(frozen=True)
class Row:
    """One host.

    :ivar name: the name of its compute service
    :ivar cell: the name of its cell
    :ivar uuid: of the compute node
    :ivar state: why Nova would not use it, or ''
    :ivar mode: its ``[isolation] mode``
    :ivar standing: ``good``, ``violated``, ``stale``, ``audit`` or
        ``unguarded``
    :ivar measured_at: when its facts were measured
    :ivar age: the age of the facts
    :ivar cells: one for each requirement that is asked about
    :ivar whole: what it says to each of them, where that is always the same
        and no offer
    :ivar why: why those of them are refused of which no value is met
    :ivar attestation: what the verifier said, with its age, or ''
    :ivar violations: of its guests
    :ivar tokens: the words by which the row is filtered
    """

    name: str
    cell: str
    uuid: str
    state: str
    mode: str
    standing: str
    measured_at: str
    age: str
    cells: tuple[Cell, ...]
    whole: Cell | None
    why: tuple[refusals.Why, ...]
    attestation: str
    violations: tuple[Violation, ...]
    tokens: tuple[str, ...]


def row(host: reading.Json, keys: Collection[str]) -> Row:
    """Return what the page shows of a host.

    :param host: as ``GET /v1/hosts`` has it
    :param keys: the requirements that are asked about
    """
    state = reading.text(host, 'state')
    first = standing(host)
    cells = tuple(_cell(host, key) for key in keys)
    why = refusals.together(
        (item for item in refused(host) if item.key in keys), len(keys)
    )
    return Row(
        name=reading.text(host, 'host', reading.UNKNOWN),
        cell=reading.text(host, 'cell'),
        uuid=reading.text(host, 'uuid'),
        state=state,
        mode=reading.text(host, 'mode', reading.UNKNOWN),
        standing=first,
        measured_at=reading.moment(host, 'measured_at'),
        age=reading.age(reading.number(host, 'age_seconds')),
        cells=cells,
        whole=cells[0]
        if len(set(cells)) == 1 and cells[0].answer != 'offered'
        else None,
        why=why,
        attestation=_attestation(reading.part(host, 'attestation')),
        violations=violations(host),
        tokens=(
            first,
            'unused' if state else 'used',
            *(item.code for item in why),
            *(
                token(key, cell.answer)
                for key, cell in zip(keys, cells, strict=True)
                if cell.answer in ('offered', 'refused')
            ),
        ),
    )


def token(key: str, answer: str) -> str:
    """Return the word by which hosts are filtered for an answer."""
    return f'{key.removeprefix(refusals.PREFIX)}-{answer}'


def standing(host: reading.Json) -> str:
    """Return what counts first about a host, see :class:`Row`."""
    if any(reading.parts(host, 'violations')):
        return 'violated'
    if not reading.flag(host, 'guarded'):
        return 'unguarded'
    if not reading.flag(host, 'fresh'):
        return 'stale'
    return 'good' if host.get('mode') == 'enforce' else 'audit'


def refused(host: reading.Json) -> list[refusals.Refusal]:
    """Return the requirements of which the host meets no value, and why."""
    offers = reading.part(host, 'offers')
    return [item for item in refuses(host) if not offers.get(item.key)]


def refuses(host: reading.Json) -> list[refusals.Refusal]:
    """Return for each requirement a value that the host refuses, and why."""
    return [
        refusals.read(unmet, key)
        for key, unmet in sorted(reading.part(host, 'refuses').items())
        if isinstance(unmet, dict)
    ]


def violations(host: reading.Json) -> tuple[Violation, ...]:
    """Return the violations of the guests of a host."""
    return tuple(
        Violation(
            reading.text(host, 'host', reading.UNKNOWN),
            reading.text(item, 'server'),
            reading.text(item, 'mechanism'),
            reading.text(item, 'code', reading.UNKNOWN),
            reading.moment(item, 'since'),
        )
        for item in reading.parts(host, 'violations')
    )


def _cell(host: reading.Json, key: str) -> Cell:
    offered = reading.part(host, 'offers').get(key)
    if not reading.flag(host, 'guarded'):
        return Cell('no facts')
    if not reading.flag(host, 'fresh'):
        return Cell('stale')
    if offered:
        return Cell('offered', _brief(offered))
    unmet = reading.part(host, 'refuses').get(key)
    if unmet is None:
        return Cell(reading.UNKNOWN)
    return Cell(
        'refused', reading.text(unmet, 'code').removeprefix('isolation.')
    )


def _brief(words: object) -> str:
    """The first words, and how many there are besides."""
    if not isinstance(words, list):
        return reading.UNKNOWN
    if words == ['true']:
        # It says no more than the answer.
        return ''
    more = len(words) - _WORDS
    shown = ', '.join(printable.one_line(word) for word in words[:_WORDS])
    return f'{shown} and {more} more' if more > 0 else shown


def _attestation(said: reading.Json) -> str:
    if not said:
        return ''
    age = reading.number(said, 'age_seconds')
    words: Iterable[str] = (
        reading.text(said, 'standing', reading.UNKNOWN),
        *(() if age is None else (reading.age(age),)),
    )
    return ', '.join(words)
