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

What libvirt starts may be a wrapper: a script or a program that starts QEMU in
its own place (exec). So the file that the answering process runs is measured,
whatever its path is.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import functools
import mmap
import os
import re

from nova_isolation.probes import elf
from nova_isolation.probes import foreign_root
from nova_isolation.probes import native_thread
from nova_isolation.probes import program
from nova_isolation.probes import qmp

#: The QOM type of the machine with which the binary is started.
_OWN_TYPE = 'none-machine'

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

#: The links to the file that a process runs and to its root folder.
_EXE_ROOT = ('exe', 'root')

#: How many paths of the binary count.
_FOLDERS = 32


@dataclasses.dataclass(frozen=True)
class _Running:
    """The file that the answering process runs.

    :ivar link: the kernel's link to the file, while the process runs
    :ivar path: the path of the file
    """

    identity: program.Identity
    link: str = dataclasses.field(compare=False)
    path: str = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class _File:
    """What depends on the bytes of a file alone.

    :ivar hardening: the words of hardening
    :ivar folders: the folders of modules that the file names
    """

    hardening: frozenset[str]
    folders: frozenset[str]


def fingerprint(
    path: str, others: Iterable[str], root: str = ''
) -> program.Fingerprint:
    """Return the identity of the files on which :func:`examine` depends.

    A module that is installed or removed changes the types that the emulator
    knows, although the binary stays the same.

    :param path: what libvirt starts
    :param others: what else counts (:attr:`program.Emulator.others`); that
        need not exist
    :param root: the root folder of all of them; '': that of this process
    :raises OSError: what libvirt starts cannot be read
    """
    return native_thread.call(_fingerprint, path, tuple(others), root)


def _fingerprint(
    path: str, others: Iterable[str], root: str
) -> program.Fingerprint:
    return (
        (path, program.identity(_seen(path, root))),
        *_identities(others, root),
    )


def identities(paths: Iterable[str], root: str = '') -> program.Fingerprint:
    """Return the identity of files and folders that need not exist.

    :param paths: where they are
    :param root: the root folder of all of them; '': that of this process
    :raises OSError: whether one exists cannot be found out
    """
    return native_thread.call(_identities, tuple(paths), root)


def _identities(paths: Iterable[str], root: str) -> program.Fingerprint:
    return tuple((path, _identity(path, root)) for path in paths)


def _seen(path: str, root: str) -> str:
    """Return where this process sees a file of a root folder."""
    return foreign_root.path(root, path) if root else path


def _identity(path: str, root: str) -> program.Identity | None:
    try:
        return program.identity(_seen(path, root))
    except (FileNotFoundError, NotADirectoryError):
        return None


def examine(
    path: str,
    timeout: float,
    root: str = '',
    launcher: Sequence[str] = (),
) -> program.Emulator:
    """Examine an emulator.

    :param path: what libvirt starts
    :param timeout: seconds that it may run
    :param root: the root folder in which libvirt starts it; '': that of this
        process
    :param launcher: a command that starts it there
    :raises OSError: it cannot be read or run, does not answer in time, or
        was replaced meanwhile
    :raises ValueError: what runs is not a QEMU, or another process than the
        one that was started
    """
    before = fingerprint(path, (), root)
    answers = qmp.ask(
        path,
        timeout,
        functools.partial(native_thread.call, _look, path),
        launcher,
    )
    running, file = answers.process
    after = fingerprint(path, (running.path,), root)
    if after != (*before, (running.path, running.identity)):
        raise OSError(
            f'{path} was replaced while it was examined, or runs the file '
            f'{running.path}, which does not stay'
        )
    types = _words(path, answers.types, 'name')
    options = _words(path, answers.options, 'option')
    # A type that is not listed counts as absent. So a list without the type
    # of the running machine is not complete and cannot be used.
    if _OWN_TYPE not in types:
        raise ValueError(
            f'{path} does not list {_OWN_TYPE}, the type of its own machine'
        )
    loaded = {os.path.dirname(module) for module in answers.modules}
    return program.Emulator(
        path,
        running.path,
        running.identity,
        file.hardening,
        types,
        'sandbox' in options,
        identities(sorted(file.folders | loaded), root),
    )


def _look(path: str, pid: int) -> tuple[_Running, _File]:
    """Measure the file that a process runs.

    :raises OSError: the process or its file cannot be examined
    :raises ValueError: the file is not a QEMU
    """
    link = f'/proc/{pid}/exe'
    try:
        running = _Running(program.identity(link), link, _path(pid))
    except PermissionError as error:
        raise PermissionError(
            f"{path} runs a file that cannot be seen ({error}); libvirt's "
            f'<emulator> must have no setuid bit and no file capabilities'
        ) from error
    return running, _measured(running)


def _path(pid: int) -> str:
    """Return the path of the file that a process runs, as the process has it.

    The kernel tells paths from the root of a mount namespace, which is above
    the root folder of a process that has changed only the folder.
    """
    path, root = (os.readlink(f'/proc/{pid}/{name}') for name in _EXE_ROOT)
    below = path.removeprefix(root.rstrip('/'))
    return below if below.startswith('/') else path


@functools.lru_cache(maxsize=8)
def _measured(running: _Running) -> _File:
    return _File(elf.hardening(running.link), _named_folders(running))


def _named_folders(running: _Running) -> frozenset[str]:
    """Return the folders in which the binary itself says to look.

    :raises ValueError: the binary is not a QEMU
    """
    found: set[str] = set()
    with (
        open(running.link, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        # A wrapper that passes on what another process answers has not.
        if data.find(_OWN_TYPE.encode()) < 0:
            raise ValueError(
                f'{running.path} answers and is not QEMU; a wrapper as '
                f"libvirt's <emulator> must start QEMU in its own place "
                f'(exec), so that what runs can be measured'
            )
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
