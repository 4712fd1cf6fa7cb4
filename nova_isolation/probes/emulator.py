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

"""The measurement of a QEMU binary: its file and its answers over QMP.

The binary is started for QMP with a machine that has no devices, no
configuration and no display. This machine never runs a guest.
"""

from collections.abc import Iterable
import functools
import json
import mmap
import os
import re
import subprocess  # nosec B404: runs one program, by its path, no shell
import tempfile

from nova_isolation.probes import elf
from nova_isolation.probes import program

#: TCG comes first, because TCG needs no device. QEMU allocates memory for
#: translated code even if it never runs any. SELinux denies such memory to a
#: service (execmem) unless the writable and the executable pages are mapped
#: separately (tcg/region.c of QEMU).
_ARGUMENTS = (
    '-machine', 'none', '-accel', 'tcg,split-wx=on', '-accel', 'kvm',
    '-nodefaults', '-no-user-config', '-display', 'none',
    '-S', '-qmp', 'stdio',
)  # fmt: skip

_COMMANDS = (
    {'execute': 'qmp_capabilities'},
    {
        'execute': 'qom-list-types',
        # An abstract type shows a family whose devices have other names.
        'arguments': {'abstract': True},
        'id': 'types',
    },
    {'execute': 'query-command-line-options', 'id': 'options'},
    {'execute': 'quit'},
)

#: Bytes of the pipe from the binary. QEMU writes its answers without waiting
#: and ends when it is told to, so all answers must fit: the types of a QEMU
#: for Arm take more than the 64 KiB of a pipe. An unprivileged process may
#: have 1 MiB (fs/pipe.c).
_PIPE_BYTES = 512 << 10

#: The QOM type of the machine with which the binary is started.
_OWN_TYPE = 'none-machine'

#: A line of the dynamic loader's about a module that QEMU loaded (LD_DEBUG,
#: ld.so(8)).
_LOADED = re.compile(r'file=(/.*?) \[\d+\];\s+dynamically loaded by ')

#: A path in the binary whose last part begins with "qemu". Among them is the
#: folder of its modules, CONFIG_QEMU_MODDIR (util/module.c of QEMU).
#: Configuration is not among them: an administrator may close /etc/qemu to
#: Nova's user.
_FOLDER = re.compile(
    rb'(?!(?:/usr/local)?/etc/)(?:/[\w.+-]+)+/qemu[\w.+-]*', re.ASCII
)

#: What each such path contains.
_PART = b'/qemu'

#: Bytes of the longest path, PATH_MAX of Linux.
_PATH_BYTES = 4096

#: How many paths of the binary count.
_FOLDERS = 32


def fingerprint(path: str, folders: Iterable[str]) -> tuple[object, ...]:
    """Return the identity of the files on which :func:`examine` depends.

    A module that is installed or removed changes the types that the binary
    knows, although the binary stays the same.

    :param path: the binary
    :param folders: the folders of its modules (:func:`examine` finds them);
        they need not exist
    :raises OSError: the binary cannot be read
    """
    return (
        path,
        program.identity(path),
        *((folder, _identity(folder)) for folder in folders),
    )


def _identity(folder: str) -> program.Identity | None:
    try:
        return program.identity(folder)
    except FileNotFoundError:
        return None


def examine(path: str, timeout: float) -> program.Emulator:
    """Examine an emulator.

    :param path: the binary
    :param timeout: seconds that the answers of the binary may take
    :raises OSError: the binary cannot be read or run, or does not answer in
        time
    :raises ValueError: the binary is not an ELF program or not a QEMU
    """
    before = program.identity(path)
    hardening, named = _of_file(path, before)
    answers, loaded = _qmp_answers(path, timeout)
    folders = named | {os.path.dirname(m) for m in loaded}
    if program.identity(path) != before:
        raise OSError(f'{path} was replaced while it was examined')
    types = _words(path, answers.get('types'), 'name')
    options = _words(path, answers.get('options'), 'option')
    # A type that is not listed counts as absent. So a list without the type
    # of the running machine is not complete and cannot be used.
    if _OWN_TYPE not in types:
        raise ValueError(
            f'{path} does not list {_OWN_TYPE}, the type of its own machine'
        )
    return program.Emulator(
        path,
        before,
        hardening,
        types,
        'sandbox' in options,
        tuple(sorted(folders)),
    )


@functools.lru_cache(maxsize=8)
def _of_file(
    path: str, identity: program.Identity
) -> tuple[frozenset[str], frozenset[str]]:
    """Return what depends on the binary alone.

    :param identity: of the file, which has other bytes if that is another
    :returns: the words of hardening, and the folders of modules that the
        binary names
    """
    return elf.hardening(path), _named_folders(path)


def _named_folders(path: str) -> frozenset[str]:
    """Return the folders in which the binary itself says to look."""
    found: set[str] = set()
    with (
        open(path, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        # A regular expression over the whole binary takes half a second, in
        # which no other thread of nova-compute runs.
        at = data.find(_PART)
        while at >= 0 and len(found) < _FOLDERS:
            begin = data.rfind(b'\0', max(0, at - _PATH_BYTES), at) + 1
            end = data.find(b'\0', at, at + _PATH_BYTES)
            text = data[begin:end] if begin and end >= 0 else b''
            if _FOLDER.fullmatch(text):
                found.add(text.decode('ascii'))
            at = data.find(_PART, at + 1)
    return frozenset(found)


def _words(path: str, answer: object, key: str) -> frozenset[str]:
    """Return the values of a key in all entries of an answer.

    :raises ValueError: the answer has another form
    """
    if not isinstance(answer, list):
        raise ValueError(f'{path} does not answer like QEMU')
    result = set()
    for entry in answer:
        word = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(word, str):
            raise ValueError(f'{path} answered {entry!r}, without {key!r}')
        result.add(word)
    return frozenset(result)


def _qmp_answers(
    path: str, timeout: float
) -> tuple[dict[str, object], set[str]]:
    """Return id of a command -> answer, and the paths of loaded modules."""
    text = ''.join(json.dumps(c) + '\n' for c in _COMMANDS)
    # The dynamic loader tells which modules QEMU loads, and from where. QEMU
    # has no command for that.
    with tempfile.TemporaryDirectory(prefix='nova-isolation-') as folder:
        environment = {
            **os.environ,
            'LD_DEBUG': 'files',
            'LD_DEBUG_OUTPUT': os.path.join(folder, 'loader'),
        }
        try:
            run = subprocess.run(  # noqa: S603  # nosec B603
                [path, *_ARGUMENTS],
                input=text,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=environment,
                pipesize=_PIPE_BYTES,
            )
        except subprocess.TimeoutExpired:
            raise OSError(f'{path} did not answer in {timeout:g} s') from None
        modules = _loaded_modules(folder)
    if run.returncode:
        raise OSError(
            f'{path} exited with status {run.returncode}: '
            f'{run.stderr.strip()[-200:]}'
        )
    answers: dict[str, object] = {}
    for line in run.stdout.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ValueError(
                f'{path} answered {line[:80]!r}, which is not a JSON object'
            )
        name = message.get('id')
        if isinstance(name, str) and 'return' in message:
            answers[name] = message['return']
    return answers, modules


def _loaded_modules(folder: str) -> set[str]:
    """Return the paths of the modules that the dynamic loader has named."""
    modules = set()
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with open(path, encoding='utf-8', errors='surrogateescape') as file:
            for line in file:
                match = _LOADED.search(line)
                if match:
                    modules.add(os.path.normpath(match[1]))
    return modules
