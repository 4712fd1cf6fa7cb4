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
separate privsep daemon with the two capabilities that they need. Each entry
point does one thing to one kind of file.
"""

from collections.abc import Callable
import os
import typing

from oslo_privsep import capabilities
from oslo_privsep import comm
from oslo_privsep import daemon
from oslo_privsep import priv_context

from nova_isolation.probes import apparmor
from nova_isolation.probes import program

T = typing.TypeVar('T')

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

# The exceptions of the privsep channel, beside those of the called function.
_FAILURES = (
    comm.PrivsepTimeout,
    daemon.FailedToDropPrivileges,
    daemon.ProtocolError,
)

#: The largest file that is read, in bytes.
_MAX = 1 << 20


def read(path: str) -> str:
    """Return the text of a file.

    :raises OSError: the file cannot be read, or only root may read the file
        and the file is not one that this module reads as root
    """
    try:
        return _read(path)
    except PermissionError:
        if not _may_be_read(path):
            raise
    try:
        return str(_read_as_root(path))
    except _FAILURES as error:
        raise PermissionError(f'{path}: privsep: {error!r}') from error


def executable(pid: int, proc: str = '/proc') -> program.Identity:
    """Return the identity of the file that a process runs.

    :param pid: the process id
    :param proc: where the processes are seen, ``[isolation] process_root``
    :raises OSError: the process has ended or cannot be examined
    """
    path = f'{proc}/{int(pid)}/exe'
    try:
        return program.identity(path)
    except PermissionError:
        pass
    try:
        return program.Identity(*_stat_as_root(int(pid), proc))
    except _FAILURES as error:
        raise PermissionError(f'{path}: privsep: {error!r}') from error


def call(entry: Callable[..., T], *arguments: object) -> T:
    """Call an entry point of the context.

    :raises PermissionError: there is no daemon that could answer
    :raises Exception: what the entry point raises
    """
    try:
        return entry(*arguments)
    except _FAILURES as error:
        raise PermissionError(f'privsep: {error!r}') from error


def _read(path: str, flags: int = 0) -> str:
    with open(
        path, 'rb', opener=lambda name, mode: os.open(name, mode | flags)
    ) as stream:
        data = stream.read(_MAX + 1)
    if len(data) > _MAX:
        raise OSError(f'{path} is larger than {_MAX} bytes')
    return data.decode(errors='surrogateescape')


def _may_be_read(path: str) -> bool:
    return path == apparmor.MODE or path.endswith('.pid')


@context.entrypoint
def _read_as_root(path: str) -> str:
    # The daemon does not trust its caller, so the path is checked again.
    if not _may_be_read(path):
        raise PermissionError(path)
    # A symbolic link with an allowed name may lead to any file.
    return _read(path, os.O_NOFOLLOW)


@context.entrypoint
def _stat_as_root(pid: int, proc: str) -> tuple[int, int, int, int, int]:
    found = program.identity(f'{proc}/{int(pid)}/exe')
    return (
        found.device,
        found.inode,
        found.size,
        found.mtime_ns,
        found.ctime_ns,
    )
