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

"""Reads what a driver does with each operation, for each kind of guest.

See the beginning of ``doc/source/admin/xen-support.ini`` for the format.
"""

import configparser
import dataclasses
import pathlib

KINDS = ('pv', 'pvh', 'hvm')

SUPPORTED, REFUSED, NOT_OFFERED = 'supported', 'refused', 'not offered'

_EVERY_DRIVER = 'every driver'

_LISTS = ('methods', 'capabilities', 'properties', 'extra_specs', 'traits')

_KEYS = {
    'all',
    'note',
    'tests',
    *KINDS,
    *_LISTS,
    *(f'tests_{kind}' for kind in KINDS),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """An operation, or what a guest may ask for.

    :ivar title: what it is
    :ivar cells: for each kind of guest: supported, refused or not offered
    :ivar note: what is to be known beside it; may be empty
    :ivar tests: for each kind of guest the names of the tests
    :ivar names: for each of methods, capabilities, properties, extra_specs
        and traits: which of them belong to it
    """

    title: str
    cells: dict[str, str]
    note: str
    tests: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Table:
    """The table.

    :ivar rows: its rows
    :ivar beside: names as those of a row, which are in no row
    """

    rows: tuple[Row, ...]
    beside: dict[str, tuple[str, ...]]


def read(path: pathlib.Path) -> Table:
    """Read a table.

    :param path: the file
    :raises ValueError: it does not have the format
    """
    parser = configparser.ConfigParser(interpolation=None, delimiters=('=',))
    parser.read_string(path.read_text(), str(path))
    sections = {title: parser[title] for title in parser.sections()}
    beside = _names(sections.pop(_EVERY_DRIVER))
    return Table(
        tuple(_row(title, section) for title, section in sections.items()),
        beside,
    )


def _names(section: configparser.SectionProxy) -> dict[str, tuple[str, ...]]:
    return {name: tuple(section.get(name, '').split()) for name in _LISTS}


def _row(title: str, section: configparser.SectionProxy) -> Row:
    unknown = set(section) - _KEYS
    if unknown:
        raise ValueError(f'[{title}] has unknown keys: {sorted(unknown)}')
    every = section.get('all')
    cells = {kind: section.get(kind, every) or '' for kind in KINDS}
    tests = {}
    for kind in KINDS:
        names = (
            section.get('tests', '') + ' ' + section.get('tests_' + kind, '')
        )
        tests[kind] = tuple(names.replace('{Kind}', kind.capitalize()).split())
    for kind in KINDS:
        if cells[kind] not in (SUPPORTED, REFUSED, NOT_OFFERED):
            raise ValueError(f'[{title}] says {cells[kind]!r} of {kind}')
        if not tests[kind]:
            raise ValueError(f'[{title}] has no test for {kind}')
    note = ' '.join(section.get('note', '').split())
    return Row(title, cells, note, tests, _names(section))
