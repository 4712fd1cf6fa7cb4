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

"""Options of oslo.config as plain data, and their file format."""

from collections.abc import Mapping
from collections.abc import Sequence

#: A sequence is the value of an option that may be repeated (MultiStr).
Value = str | int | bool | Sequence[str]
#: Option name to value, for one section.
Options = Mapping[str, Value]
#: Section name to its options.
Settings = Mapping[str, Options]


def merge(*parts: Settings) -> dict[str, dict[str, Value]]:
    """Merge settings; an option of a later part wins."""
    merged: dict[str, dict[str, Value]] = {}
    for part in parts:
        for section, options in part.items():
            merged.setdefault(section, {}).update(options)
    return merged


def render(settings: Settings) -> str:
    """The text of a configuration file with these settings."""
    lines: list[str] = []
    for section, options in settings.items():
        lines.append(f'[{section}]')
        for name, value in options.items():
            values = [value] if isinstance(value, str | int) else value
            lines.extend(f'{name} = {_text(one)}' for one in values)
        lines.append('')
    return '\n'.join(lines)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
