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

"""What the files below contrib/ say, and whether it exists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nova.conf
from oslo_config import iniparser
import yaml

from lab.run import layout
from nova_isolation import opts

CONTRIB = layout.CHECKOUT / 'contrib'
#: Every filter of Nova, and ours.
FILTERS = frozenset(
    {
        'nova.scheduler.filters.all_filters',
        'nova_isolation.scheduler.filter.IsolationFilter',
    }
)


class _Parser(iniparser.BaseParser):
    """Reads a configuration file as oslo.config does, without options."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, list[str]]] = {}
        self._section = ''

    def new_section(self, section: str) -> None:
        self._section = section
        self.found.setdefault(section, {})

    def assignment(self, key: str, value: list[str]) -> None:
        self.found[self._section].setdefault(key, []).append('\n'.join(value))


def settings(text: str) -> dict[str, dict[str, list[str]]]:
    """The options of a configuration file: section -> option -> values."""
    parser = _Parser()
    parser.parse(text.splitlines(keepends=True))
    return parser.found


def unknown_options(found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The options that neither Nova nor this project has."""
    ours = {
        (group.name, option.dest)
        for group, options in opts.list_opts()
        for option in options
    }
    return {
        f'[{section}] {option}'
        for section, options in found.items()
        for option in options
        if (section, option) not in ours and not _is_novas(section, option)
    }


def _is_novas(section: str, option: str) -> bool:
    conf = nova.conf.CONF
    if section == 'DEFAULT':
        return option in conf
    return section in conf and option in conf[section]


def document(path: Path) -> Any:
    """The only document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding='utf-8'))
