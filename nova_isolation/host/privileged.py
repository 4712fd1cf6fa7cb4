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

"""Reading of files that only root may read, where nova-compute is not root.

Every read is first tried without privileges. The entry points below run in a
separate privsep daemon with the capabilities that they need. Each entry
point does one thing to one kind of file.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import heapq
import os
import typing

from oslo_config import cfg
from oslo_privsep import capabilities
from oslo_privsep import priv_context

from nova_isolation.host import privileged_helper
from nova_isolation.host import procfs
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes import apparmor
from nova_isolation.probes import emulator
from nova_isolation.probes import native_thread
from nova_isolation.probes import program

context = priv_context.PrivContext(
    __name__.rpartition('.')[0],
    cfg_section='nova_isolation_privileged',
    pypath=__name__ + '.context',
    capabilities=[
        # /proc/PID/exe of another user's process
        capabilities.CAP_SYS_PTRACE,
        # libvirt's pid files
        capabilities.CAP_DAC_READ_SEARCH,
        # an emulator that was started for its answers, as Nova's user, and
        # does not end
        capabilities.CAP_KILL,
    ],
)
# By default there are as many threads as processors. One that reads from a
# process which hangs is lost until that process ends.
cfg.CONF.set_default('thread_pool_size', 16, group=context.cfg_section)

T = typing.TypeVar('T')

_helper = privileged_helper.Helper(context)

#: The file in which the driver of QEMU writes the id of its process, which is
#: that of virtqemud or of libvirtd (qemuStateInitialize in
#: src/qemu/qemu_driver.c of libvirt). It is among the pid files of guests.
DAEMON_FILE = 'driver.pid'

#: A fingerprint, as the helper sends it.
Sent = Sequence[tuple[str, Sequence[int] | None]]

#: What is read of a process.
_OF_PROCESS = ('attr/current', 'cmdline', 'comm', 'stat', 'status')

#: Seconds after which an entry point counts as one that hangs although it has
#: a limit of its own.
_LONGEST = 330.0

#: The largest file that is read, in bytes.
_MAX = 1 << 20


def set_limits(start: float, call: float) -> None:
    """Set how long this host waits for its privileged helper.

    :param start: seconds that the start of the helper may take
    :param call: seconds that the helper may take to read one file
    """
    _helper.set_limits(start, call)


def read(path: str) -> str:
    """Return the text of a file.

    :raises nova_isolation.model.sight.Unseen: only root may read the file,
        and there is no helper
    :raises OSError: the file cannot be read, or only root may read the file
        and the file is not one that this module reads as root
    """
    try:
        return native_thread.call(_read, path)
    except PermissionError:
        if not _may_be_read(path):
            raise
    return str(_helper.call(_read_as_root, path))


def newest_pid_files(folder: str, count: int) -> list[str]:
    """Return the paths of the newest pid files of guests in a folder.

    :param folder: the folder of libvirt's pid files
    :param count: how many paths to return at most
    :raises nova_isolation.model.sight.Unseen: only root may look into the
        folder, and there is no helper
    :raises OSError: there is no such folder
    """
    try:
        return native_thread.call(_newest_pid_files, folder, count)
    except PermissionError:
        return list(_helper.call(_newest_pid_files_as_root, folder, count))


def read_process(pid: int, name: str, proc: str = procfs.PROC) -> str:
    """Return the text of a file about a process.

    :param pid: the process id
    :param name: attr/current, cmdline, comm, stat or status
    :param proc: where /proc is mounted
    :raises nova_isolation.model.sight.Unseen: /proc hides the process, and
        there is no helper
    :raises OSError: the process has ended or cannot be examined
    """
    path = f'{proc}/{int(pid)}/{name}'
    with passing_denials(proc):
        return native_thread.call(procfs.read, path)
    try:
        return str(_helper.call(_read_process_as_root, pid, name, proc))
    except sight.Unseen as error:
        raise _hidden(proc, error) from error


def executable(pid: int, proc: str = procfs.PROC) -> program.Identity:
    """Return the identity of the file that a process runs.

    :param pid: the process id
    :param proc: where /proc is mounted
    :raises nova_isolation.model.sight.Unseen: there is no helper
    :raises OSError: the process has ended or cannot be examined
    """
    path = f'{proc}/{int(pid)}/exe'
    with passing_denials(proc):
        return native_thread.call(program.identity, path)
    return program.Identity(*_helper.call(_stat_as_root, int(pid), proc))


def identities(
    pid: int, paths: Sequence[str], proc: str = procfs.PROC
) -> program.Fingerprint:
    """Return the identity of files and folders in the root of a process.

    :param pid: the process id
    :param paths: where they are for the process; they need not exist
    :param proc: where /proc is mounted
    :raises nova_isolation.model.sight.Unseen: there is no helper
    :raises OSError: the process has ended or cannot be examined
    """
    root = f'{proc}/{int(pid)}/root'
    with passing_denials(proc):
        return _identities(paths, root)
    return received(
        _helper.call(_identities_as_root, int(pid), list(paths), proc)
    )


@contextlib.contextmanager
def passing_denials(proc: str) -> Iterator[None]:
    """Go on after what follows where the kernel denies a look at a process.

    What comes then asks the helper.

    :param proc: where /proc is mounted
    :raises FileNotFoundError: the process has ended
    """
    try:
        yield
    except PermissionError:
        # hidepid=1, or a security module
        pass
    except FileNotFoundError:
        # hidepid=2 hides a process as if it had ended.
        if not native_thread.call(procfs.hides, proc):
            raise


def call(
    entry: Callable[..., T],
    *arguments: object,
    seconds: float | None = _LONGEST,
) -> T:
    """Call an entry point of the context.

    :param seconds: how long to wait for its answer: longer than an entry point
        takes that limits its time itself; None: as for reading one file
    :raises nova_isolation.model.sight.Unseen: there is no helper
    :raises Exception: what the entry point raises
    """
    return _helper.call(entry, *arguments, seconds=seconds)


def sent(found: program.Fingerprint) -> Sent:
    """Return a fingerprint in the form in which the helper sends it."""
    return [
        (path, None if identity is None else identity.fields)
        for path, identity in found
    ]


def received(found: Sent) -> program.Fingerprint:
    """Return the fingerprint that the helper has sent."""
    return tuple(
        (path, None if fields is None else program.Identity(*fields))
        for path, fields in found
    )


def _hidden(proc: str, error: sight.Unseen) -> sight.Unseen:
    """Return the cause why a process cannot be seen without the helper."""
    if not native_thread.call(procfs.hides, proc):
        return error
    return sight.Unseen(reasons.HIDEPID, f'{proc} has hidepid; {error}')


def _read(path: str, flags: int = 0) -> str:
    with open(
        path, 'rb', opener=lambda name, mode: os.open(name, mode | flags)
    ) as stream:
        data = stream.read(_MAX + 1)
    if len(data) > _MAX:
        raise OSError(f'{path} is larger than {_MAX} bytes')
    return data.decode(errors='surrogateescape')


def _identities(paths: Sequence[str], root: str) -> program.Fingerprint:
    (_, here), *found = emulator.identities(('/', *paths), root)
    # A process that has ended has no files, which is no answer about them.
    if here is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), root)
    return tuple(found)


def _newest_pid_files(folder: str, count: int) -> list[str]:
    with os.scandir(folder) as entries:
        found = []
        for entry in entries:
            if entry.name.endswith('.pid') and entry.name != DAEMON_FILE:
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.stat().st_mtime, entry.path))
    return [path for _, path in heapq.nlargest(count, found)]


def _may_be_read(path: str) -> bool:
    return path == apparmor.MODE or path.endswith('.pid')


@contextlib.contextmanager
def _opened(proc: str) -> Iterator[str]:
    """Open a mounted /proc, and return a path to it that stays the same.

    The daemon does not trust its caller. Below a folder of the caller a name
    such as ``status`` may lead to any file.

    :raises PermissionError: it is another folder
    """
    folder = os.open(proc, os.O_PATH | os.O_DIRECTORY)
    try:
        path = f'/proc/self/fd/{folder}'
        if not procfs.is_proc(path):
            raise PermissionError(f'{proc} is no mounted /proc')
        yield path
    finally:
        os.close(folder)


@context.entrypoint
def _read_as_root(path: str) -> str:
    # The daemon does not trust its caller, so the path is checked again.
    if not _may_be_read(path):
        raise PermissionError(path)
    # A symbolic link with an allowed name may lead to any file.
    return _read(path, os.O_NOFOLLOW)


@context.entrypoint
def _newest_pid_files_as_root(folder: str, count: int) -> list[str]:
    return _newest_pid_files(folder, count)


@context.entrypoint
def _read_process_as_root(pid: int, name: str, proc: str) -> str:
    if name not in _OF_PROCESS:
        raise PermissionError(name)
    with _opened(proc) as folder:
        return procfs.read(f'{folder}/{int(pid)}/{name}')


@context.entrypoint
def _stat_as_root(pid: int, proc: str) -> tuple[int, ...]:
    with _opened(proc) as folder:
        return program.identity(f'{folder}/{int(pid)}/exe').fields


@context.entrypoint
def _identities_as_root(pid: int, paths: Sequence[str], proc: str) -> Sent:
    with _opened(proc) as folder:
        return sent(_identities(paths, f'{folder}/{int(pid)}/root'))
