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

"""Hosts and requirements as a matrix."""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from nova_isolation.page import hosts
from nova_isolation.page import reading
from nova_isolation.page import refusals


@dataclasses.dataclass(frozen=True)
class Matrix:
    """All hosts.

    :ivar keys: the requirements that are columns
    :ivar nowhere: why no host meets the other requirements
    :ivar rows: the hosts
    :ivar standings: how many hosts have a standing
    :ivar unused: how many hosts Nova would not use
    :ivar codes: reason code -> remedy and number of hosts, the most first
    """

    keys: tuple[str, ...]
    nowhere: tuple[refusals.Why, ...]
    rows: tuple[hosts.Row, ...]
    standings: Mapping[str, int]
    unused: int
    codes: Mapping[str, tuple[str, int]]


def matrix(said: Sequence[reading.Json]) -> Matrix:
    """Return the matrix.

    :param said: as ``GET /v1/hosts`` has them
    """
    nowhere = dict(_nowhere(said))
    keys = tuple(key for key in requirements(said) if key not in nowhere)
    rows = tuple(hosts.row(host, keys) for host in said)
    return Matrix(
        keys,
        refusals.together(nowhere.values()),
        rows,
        Counter(row.standing for row in rows),
        sum(bool(row.state) for row in rows),
        refusals.codes(row.why for row in rows),
    )


def violations(said: Iterable[reading.Json]) -> list[hosts.Violation]:
    """Return the violations of all hosts."""
    return [item for host in said for item in hosts.violations(host)]


def requirements(said: Iterable[reading.Json]) -> list[str]:
    """Return the extra specs that hosts say something about, sorted."""
    return sorted(
        {
            key
            for host in said
            for name in ('offers', 'refuses')
            for key in reading.part(host, name)
        }
    )


def _nowhere(
    said: Iterable[reading.Json],
) -> Iterator[tuple[str, refusals.Refusal]]:
    """Find the requirements that no host meets, for one reason.

    A column would say the same in each row. Hosts that refuse everything, for
    example because their facts are stale, do not count.
    """
    offered: set[str] = set()
    found: dict[str, dict[str, refusals.Refusal]] = {}
    for host in said:
        if hosts.standing(host) != 'good':
            continue
        offered.update(
            key for key, words in reading.part(host, 'offers').items() if words
        )
        for item in hosts.refuses(host):
            found.setdefault(item.key, {})[item.code] = item
    for key, reasons in found.items():
        if key not in offered and len(reasons) == 1:
            yield key, next(iter(reasons.values()))
