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

"""Asks a QEMU binary for its types, in another way than our code does."""

import json
from pathlib import Path
import subprocess


def types(emulator: Path) -> set[str]:
    """All QOM types of an emulator, by QMP on its standard input."""
    commands = ('qmp_capabilities', 'qom-list-types', 'quit')
    result = subprocess.run(
        [
            emulator,
            '-machine',
            'none',
            '-S',
            '-display',
            'none',
            '-nodefaults',
            '-qmp',
            'stdio',
        ],
        input=''.join(f'{json.dumps({"execute": one})}\n' for one in commands),
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    for line in result.stdout.splitlines():
        answer = json.loads(line).get('return')
        if isinstance(answer, list):
            return {entry['name'] for entry in answer}
    raise AssertionError(f'{emulator} listed no types: {result.stdout[:200]}')
