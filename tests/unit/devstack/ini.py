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
"""INI files whose options may be repeated, for the stand-ins of devstack.

usage: ini.py {get | set | add} FILE SECTION OPTION [VALUE ...]
"""

import pathlib
import sys


def read(path):
    """The file as ``{section: [(option, value), ...]}``."""
    sections = {}
    lines = []
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith('['):
            lines = sections.setdefault(line.strip('[] '), [])
        elif '=' in line:
            option, _, value = line.partition('=')
            lines.append((option.strip(), value.strip()))
    return sections


def main(command, file, section, option, *values):
    """Answer or change one option."""
    path = pathlib.Path(file)
    sections = read(path)
    old = [
        value for name, value in sections.get(section, ()) if name == option
    ]
    if command == 'get':
        print(' '.join(old))
        return
    if command == 'add':
        values = (*old, *values)
    others = [line for line in sections.get(section, ()) if line[0] != option]
    sections[section] = others + [(option, value) for value in values]
    path.write_text(
        '\n'.join(
            '\n'.join(
                (f'[{name}]', *(f'{key} = {value}' for key, value in lines))
            )
            for name, lines in sections.items()
        )
        + '\n'
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
