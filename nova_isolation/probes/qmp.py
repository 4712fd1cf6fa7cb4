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

"""A conversation with an emulator over QMP, while its process is looked at.

The emulator is started with a machine that has no devices, no configuration
and no display. This machine never runs a guest.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import json
import os
import re
import selectors
import signal
import socket
import struct
import subprocess  # nosec B404: runs one program, by its path, no shell
import time
import typing

T = typing.TypeVar('T')

#: TCG comes first, because TCG needs no device. QEMU allocates memory for
#: translated code even if it never runs any. SELinux denies such memory to a
#: service (execmem) unless the writable and the executable pages are mapped
#: separately (tcg/region.c of QEMU). qtest, which runs no processor, is last:
#: a device model of Xen has neither of the others, and its own needs a domain.
_ARGUMENTS = (
    '-machine', 'none', '-accel', 'tcg,split-wx=on', '-accel', 'kvm',
    '-accel', 'qtest',
    '-nodefaults', '-no-user-config', '-display', 'none',
    '-S', '-qmp', 'stdio',
)  # fmt: skip

_QUESTIONS: tuple[dict[str, object], ...] = (
    {'execute': 'qmp_capabilities'},
    {
        'execute': 'qom-list-types',
        # An abstract type shows a family whose devices have other names.
        'arguments': {'abstract': True},
        'id': 'types',
    },
    {'execute': 'query-command-line-options', 'id': 'options'},
)

#: The id of the last question. QEMU answers in the order of the questions.
_LAST = 'options'

_QUIT = {'execute': 'quit'}

#: Bytes that the program may write in all. QEMU writes less than 1 MiB.
_MOST = 8 << 20

#: Bytes that are read at once.
_PIECE = 64 << 10

#: Seconds that a program which was killed may take to end.
_KILLED = 5.0

#: The kernel's ``struct ucred``, unix(7): process id, user, group.
_CREDENTIALS = struct.Struct('3i')

_LOADER_SAYS = {'LD_DEBUG': 'files'}

#: A line of the dynamic loader's (LD_DEBUG, ld.so(8)), which begins with the
#: id of the process, and one about a module that QEMU loaded.
_LOADER = re.compile(rb'\s*\d+:\t')
_LOADED = re.compile(rb'file=(/.*?) \[\d+\];\s+dynamically loaded by ')


@dataclasses.dataclass(frozen=True)
class Answers(typing.Generic[T]):
    """The answers of an emulator.

    :ivar types: the answer to qom-list-types; ``None`` if there is none
    :ivar options: the answer to query-command-line-options, likewise
    :ivar modules: the paths of the modules that it loaded for the answers
    :ivar process: what was seen of the process that gave the answers
    """

    types: object
    options: object
    modules: frozenset[str]
    process: T


class _Messages:
    """The messages in the bytes that an emulator writes.

    :ivar answers: id of a question -> answer
    :ivar complete: whether no further answer is to come
    """

    def __init__(self, path: str) -> None:
        """:param path: the emulator, for error messages"""
        self._path = path
        self.answers: dict[str, object] = {}
        self.complete = False
        self._rest = b''

    def add(self, data: bytes) -> None:
        """Take the next bytes; no bytes mean that it writes no more.

        :raises ValueError: a line is no message
        """
        *lines, self._rest = (self._rest + data).split(b'\n')
        if not data and self._rest:
            lines.append(self._rest)
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ValueError(
                f'{self._path} answered {line[:80]!r}, which is not a JSON '
                f'object'
            )
        name = message.get('id')
        if not isinstance(name, str):
            return
        if 'return' in message:
            self.answers[name] = message['return']
        self.complete |= name == _LAST


class _Conversation:
    """The program that was started, and what it has written.

    :ivar messages: its answers
    :ivar errors: what it wrote to its standard error
    """

    def __init__(
        self, path: str, seconds: float, launcher: Sequence[str]
    ) -> None:
        """Start the program.

        The kernel tells for each piece of a socket's bytes which process
        wrote them. It cannot tell that of a pipe's.

        :raises OSError: the program cannot be started
        """
        self._path = path
        self.messages = _Messages(path)
        self.errors = bytearray()
        self._left = _MOST
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            # eventlet lets no socket block; the program's own has to.
            os.set_blocking(self._socket.fileno(), False)
            os.set_blocking(theirs.fileno(), True)
            try:
                self._process = subprocess.Popen(  # noqa: S603  # nosec B603
                    [*launcher, path, *_ARGUMENTS],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    # The dynamic loader tells which modules QEMU loads, and
                    # from where. QEMU has no command for that. A launcher
                    # sees to it itself.
                    env=None if launcher else {**os.environ, **_LOADER_SAYS},
                    # Whatever it starts ends with it.
                    start_new_session=True,
                )
            except BaseException:
                self._socket.close()
                raise

    @property
    def pid(self) -> int:
        """The id of the started process."""
        return self._process.pid

    def say(self, *commands: Mapping[str, object]) -> None:
        """Send commands, which fit into a socket, so this does not wait."""
        text = ''.join(json.dumps(command) + '\n' for command in commands)
        # A program that has ended reads nothing; its status tells why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # eventlet's os.write tries for ever where the reader has ended.
            os.writev(self._socket.fileno(), [text.encode()])

    def hear(self, until: Callable[[], bool]) -> None:
        """Take what the program writes.

        :param until: whether that is enough; the end of the program is
            always enough
        :raises OSError: the program does not answer in time
        :raises ValueError: the program writes no message of QMP, too much,
            or lets another process write
        """
        # The class is looked up when it is used: eventlet puts its own there.
        selector = selectors.DefaultSelector()
        errors = self._process.stderr
        with selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if errors is not None and not errors.closed:
                selector.register(errors, selectors.EVENT_READ)
            while selector.get_map() and not until():
                left = self._end - time.monotonic()
                if left <= 0:
                    raise self._timeout()
                for key, _ in selector.select(left):
                    if key.fileobj is self._socket:
                        data = self._message_bytes()
                        self.messages.add(data)
                    else:
                        data = os.read(key.fd, _PIECE)
                        self.errors += data
                    self._count(data)
                    if not data:
                        selector.unregister(key.fileobj)

    def _message_bytes(self) -> bytes:
        try:
            data, control, _, _ = self._socket.recvmsg(
                _PIECE, socket.CMSG_SPACE(_CREDENTIALS.size)
            )
        except ConnectionResetError:
            return b''
        for level, kind, value in control:
            if data and (level, kind) == (
                socket.SOL_SOCKET,
                socket.SCM_CREDENTIALS,
            ):
                writer, _, _ = _CREDENTIALS.unpack(value)
                if writer != self.pid:
                    raise ValueError(
                        f'{self._path}, the <emulator> of libvirt, starts '
                        f'QEMU as another process, of which nothing can be '
                        f'proven; let it start QEMU with exec, or put QEMU '
                        f'itself there'
                    )
        return data

    def _count(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f'{self._path} wrote more than {_MOST} bytes')

    def wait(self) -> None:
        """Wait until the program has ended.

        :raises OSError: it does not end in time, or ends with an error
        """
        try:
            status = self._process.wait(max(0.0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._timeout() from None
        if status:
            text = b'\n'.join(
                line
                for line in self.errors.splitlines()
                if not _LOADER.match(line)
            )
            raise OSError(
                f'{self._path} exited with status {status}: '
                f'{text.decode(errors="replace").strip()[-200:]}'
            )

    def close(self) -> None:
        """End the program and what it started, and close its pipes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._socket.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        # A program that cannot be killed now is reaped by subprocess later.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILLED)

    def _timeout(self) -> OSError:
        return OSError(f'{self._path} did not answer in {self._seconds:g} s')


def ask(
    path: str,
    seconds: float,
    look: Callable[[int], T],
    launcher: Sequence[str] = (),
) -> Answers[T]:
    """Start an emulator, ask what it knows, look at its process, and end it.

    :param path: the emulator
    :param seconds: how long it may run
    :param look: takes the id of the process that gave the answers, while the
        process runs; may raise OSError and ValueError
    :param launcher: a command that starts the emulator in its own place, and
        sets ``LD_DEBUG=files`` for it
    :raises OSError: the emulator cannot be run, fails, or does not answer in
        time
    :raises ValueError: it does not talk as QEMU does, or lets another process
        talk
    """
    talk = _Conversation(path, seconds, launcher)
    try:
        talk.say(*_QUESTIONS)
        talk.hear(lambda: talk.messages.complete)
        if not talk.messages.complete:
            talk.wait()
            raise ValueError(
                f'{path} does not answer like QEMU: it ended by itself'
            )
        seen = look(talk.pid)
        talk.say(_QUIT)
        talk.hear(lambda: False)
        talk.wait()
    finally:
        talk.close()
    answers = talk.messages.answers
    return Answers(
        answers.get('types'),
        answers.get('options'),
        _loaded(bytes(talk.errors)),
        seen,
    )


def _loaded(errors: bytes) -> frozenset[str]:
    """Return the paths of the modules that the dynamic loader has named."""
    found = map(_LOADED.search, errors.splitlines())
    return frozenset(
        os.path.normpath(os.fsdecode(match[1])) for match in found if match
    )
