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

"""The figures of a benchmark: how they are printed and written.

A benchmark is a module ``tools/bench_NAME.py`` with a ``main`` that takes
``--json FILE``. :mod:`tools.bench` runs all of them.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
from pathlib import Path
import statistics
import typing


@dataclasses.dataclass(frozen=True)
class Row:
    """One case of a benchmark.

    :ivar bench: its name
    :ivar case: what was measured
    :ivar unit: of the figures
    :ivar median: of all rounds
    :ivar least: the smallest
    :ivar most: the largest
    :ivar ratio: the median divided by that of the case it is compared with;
        None where it is compared with none
    :ivar against: that case; '' where there is none
    """

    bench: str
    case: str
    unit: str
    median: float
    least: float
    most: float
    ratio: float | None = None
    against: str = ''


def row(bench: str, case: str, unit: str, values: Sequence[float]) -> Row:
    """Return the row of a case that is compared with none."""
    return Row(
        bench, case, unit, statistics.median(values), min(values), max(values)
    )


def rows(
    bench: str,
    unit: str,
    cases: Mapping[str, Sequence[float]],
    against: str = '',
) -> list[Row]:
    """Return the rows of cases that were measured in turn.

    :param cases: name -> the figure of each round
    :param against: the case with which the others are compared
    """
    found = [row(bench, case, unit, values) for case, values in cases.items()]
    base = next((one.median for one in found if one.case == against), 0.0)
    return [
        dataclasses.replace(one, ratio=one.median / base, against=against)
        if base and one.case != against
        else one
        for one in found
    ]


def table(found: Iterable[Row]) -> str:
    """Return the rows as text."""
    lines = [
        f'{"bench":12}{"case":38}{"median":>10}{"least":>10}{"most":>10}'
        '  unit     ratio'
    ]
    for one in found:
        ratio = (
            '' if one.ratio is None else f'{one.ratio:.2f} of {one.against}'
        )
        lines.append(
            f'{one.bench:12}{one.case:38}{one.median:10.3f}{one.least:10.3f}'
            f'{one.most:10.3f}  {one.unit:8} {ratio}'.rstrip()
        )
    return '\n'.join(lines)


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that all benchmarks have."""
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the figures there'
    )


def finish(file: Path | None, found: Sequence[Row]) -> None:
    """Print the figures of a benchmark, and write them.

    :param file: the value of ``--json``
    """
    print(table(found))
    load = os.getloadavg()
    print('load average:', *(f'{one:.2f}' for one in load))
    if file:
        write(file, found)


def write(file: Path, found: Iterable[Row]) -> None:
    """Write figures, with the load of the machine."""
    document = {
        'load': os.getloadavg(),
        'rows': [dataclasses.asdict(one) for one in found],
    }
    file.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')


def read(file: Path) -> list[Row]:
    """Read what a benchmark has written."""
    document: dict[str, typing.Any] = json.loads(
        file.read_text(encoding='utf-8')
    )
    return [Row(**one) for one in document['rows']]
