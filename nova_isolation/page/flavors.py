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

"""Flavors with where they could run now, and what hosts say to one."""

from collections.abc import Iterable
import dataclasses

from nova_isolation.page import reading
from nova_isolation.page import refusals


@dataclasses.dataclass(frozen=True)
class Row:
    """One flavor.

    :ivar id: the ID, for the link
    :ivar name: the name
    :ivar extra_specs: those of isolation
    :ivar near_misses: keys that are not enforced, with what may be meant
    :ivar standing: ``runs`` (some host could run it now), ``nowhere`` or
        ``untagged`` (isolation asks nothing)
    :ivar hosts: how many hosts were asked; None where that is not known
    :ivar accepted: how many isolation accepts
    :ivar usable: how many Nova could use now
    :ivar by_code: reason codes with the number of hosts, the most first
    """

    id: str
    name: str
    extra_specs: tuple[tuple[str, str], ...]
    near_misses: tuple[tuple[str, str], ...]
    standing: str
    hosts: float | None
    accepted: float | None
    usable: float | None
    by_code: tuple[tuple[str, int], ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words by which the row is filtered."""
        return (
            self.standing,
            *(('typing-error',) if self.near_misses else ()),
            *(code for code, _ in self.by_code),
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one host says to a flavor.

    :ivar host: the host
    :ivar state: why Nova would not use it, or ''
    :ivar answer: ``usable``, ``accepted`` (but Nova would not use the host)
        or ``refused``
    :ivar unmet: what is not met
    """

    host: str
    state: str
    answer: str
    unmet: tuple[refusals.Refusal, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """The words by which the row is filtered."""
        return (self.answer, *(item.code for item in self.unmet))


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What all hosts say to a flavor.

    :ivar flavor: what is asked for, and the counts
    :ivar mode: the ``[isolation] mode`` of the scheduler
    :ivar refused: how many hosts refuse
    :ivar read_age: how long ago the flavor was read, for people; '' for now
    :ivar answers: one for each host
    :ivar codes: reason code -> remedy and number of hosts, the most first
    """

    flavor: Row
    mode: str
    refused: float | None
    read_age: str
    answers: tuple[Answer, ...]
    codes: dict[str, tuple[str, int]]


def rows(flavors: Iterable[reading.Json]) -> tuple[Row, ...]:
    """Return the flavors, those that run nowhere first.

    :param flavors: as ``GET /v1/flavors`` has them
    """
    order = ('nowhere', 'untagged', 'runs')
    return tuple(
        sorted(
            (_row(flavor, flavor) for flavor in flavors),
            key=lambda row: (order.index(row.standing), row.name),
        )
    )


def explanation(said: reading.Json, flavor: str = '') -> Explanation:
    """Return what hosts say to a flavor.

    :param said: as ``GET /v1/flavors/ID/explain`` has it
    :param flavor: its ID or name; '' for a flavor that does not exist yet
    """
    counts = reading.part(said, 'counts')
    answers = tuple(_answer(host) for host in reading.parts(said, 'hosts'))
    read = reading.number(said, 'read_age_seconds')
    return Explanation(
        dataclasses.replace(
            _row(said, counts),
            id=flavor,
            name=reading.text(said, 'flavor'),
        ),
        reading.text(said, 'mode', reading.UNKNOWN),
        reading.number(counts, 'refused'),
        '' if read is None else reading.age(read),
        answers,
        refusals.codes(answer.unmet for answer in answers),
    )


def _row(said: reading.Json, counts: reading.Json) -> Row:
    extra_specs = reading.pairs(said, 'extra_specs')
    usable = reading.number(counts, 'usable')
    standing = 'runs' if usable else 'nowhere'
    by_code = {
        code: int(reading.number(counts['by_code'], code) or 0)
        for code in reading.part(counts, 'by_code')
    }
    return Row(
        reading.text(said, 'id'),
        reading.text(said, 'name', reading.UNKNOWN),
        extra_specs,
        reading.pairs(said, 'near_misses'),
        standing if extra_specs else 'untagged',
        reading.number(counts, 'hosts'),
        reading.number(counts, 'accepted'),
        usable,
        tuple(sorted(by_code.items(), key=lambda item: -item[1])),
    )


def _answer(said: reading.Json) -> Answer:
    if reading.flag(said, 'usable'):
        answer = 'usable'
    else:
        answer = 'accepted' if reading.flag(said, 'accepted') else 'refused'
    return Answer(
        reading.text(said, 'host', reading.UNKNOWN),
        reading.text(said, 'state'),
        answer,
        tuple(refusals.read(item) for item in reading.parts(said, 'unmet')),
    )
