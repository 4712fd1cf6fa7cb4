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

"""Examine a QEMU binary: its file, and what it says of itself.

The binary is asked over QMP, with a machine of its own that has no devices,
no configuration and no display and is never run.
"""

import glob
import json
import subprocess  # nosec B404: runs one program, by its path, no shell

from nova_isolation.probes import elf
from nova_isolation.probes import program

#: Emulation first, as it needs no device. QEMU sets up memory for code even
#: if it never runs any. SELinux denies that to a service (execmem) unless the
#: pages to write and to run are mapped apart (tcg/region.c of QEMU).
_ARGUMENTS = (
    '-machine', 'none', '-accel', 'tcg,split-wx=on', '-accel', 'kvm',
    '-nodefaults', '-no-user-config', '-display', 'none',
    '-S', '-qmp', 'stdio',
)  # fmt: skip

_COMMANDS = (
    {'execute': 'qmp_capabilities'},
    {
        'execute': 'qom-list-types',
        'arguments': {'abstract': False},
        'id': 'types',
    },
    {'execute': 'query-command-line-options', 'id': 'options'},
    {'execute': 'quit'},
)

#: The QOM type of the machine that is started.
_OWN_TYPE = 'none-machine'

#: Where the modules of QEMU may lie: in what distributions configure, in what
#: one builds, and where Debian keeps those of a QEMU that was upgraded while
#: it ran. A module that comes or goes changes what the binary knows, though
#: the binary stays the same.
MODULE_FOLDERS = (
    '/usr/lib/*/qemu',
    '/usr/lib*/qemu*',
    '/usr/local/lib*/qemu*',
    '/usr/local/lib/*/qemu',
    '/opt/*/lib*/qemu*',
    '/run/qemu/*',
)


def fingerprint(path: str) -> tuple[object, ...]:
    """What an examination depends on: while it is equal, so is the result.

    :raises OSError: the binary cannot be examined
    """
    return (
        path,
        program.identity(path),
        *(
            (folder, program.identity(folder))
            for pattern in MODULE_FOLDERS
            for folder in sorted(glob.glob(pattern))
        ),
    )


def examine(path: str, timeout: float) -> program.Emulator:
    """Examine an emulator.

    :param path: the binary
    :param timeout: seconds that its answers may take
    :raises OSError: it cannot be read or run, or gives no answer in time
    :raises ValueError: it is no ELF program or no QEMU
    """
    before = program.identity(path)
    hardening = elf.hardening(path)
    answers = _ask(path, timeout)
    if program.identity(path) != before:
        raise OSError(f'{path} was replaced while it was examined')
    types = _words(path, answers.get('types'), 'name')
    options = _words(path, answers.get('options'), 'option')
    # What is not listed counts as absent. So a list that lacks even the type
    # of the machine that answers is none.
    if _OWN_TYPE not in types:
        raise ValueError(f'{path} does not name its own type {_OWN_TYPE}')
    return program.Emulator(
        path, before, hardening, types, 'sandbox' in options
    )


def _words(path: str, answer: object, key: str) -> frozenset[str]:
    """The words under a key of each entry of an answer.

    :raises ValueError: it is no such answer
    """
    if not isinstance(answer, list):
        raise ValueError(f'{path} does not answer as QEMU')
    result = set()
    for entry in answer:
        word = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(word, str):
            raise ValueError(f'{path} answers {entry!r}, without {key!r}')
        result.add(word)
    return frozenset(result)


def _ask(path: str, timeout: float) -> dict[str, object]:
    """The answers of the binary, by the id of the command."""
    text = ''.join(json.dumps(c) + '\n' for c in _COMMANDS)
    try:
        run = subprocess.run(  # noqa: S603  # nosec B603
            [path, *_ARGUMENTS],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f'{path} gave no answer in {timeout:g} s') from None
    if run.returncode:
        raise OSError(
            f'{path} ended with {run.returncode}: {run.stderr.strip()[-200:]}'
        )
    answers: dict[str, object] = {}
    for line in run.stdout.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ValueError(f'{path} answers {line[:80]!r}')
        name = message.get('id')
        if isinstance(name, str) and 'return' in message:
            answers[name] = message['return']
    return answers
