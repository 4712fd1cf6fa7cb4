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

"""Start programs under a seccomp filter that allows everything.

They stand for the QEMU processes of guests. Each line of the standard input
is a JSON document: a list is a program and the arguments that it is started
with, from the 0th on, and the answer is its process id; a number is the
process to end, and the answer comes when it is gone. The programs have a pipe
as their standard input that nobody writes to, and whose end is the end of
this process, however it ends.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import typing

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
#: BPF_RET | BPF_K, SECCOMP_RET_ALLOW
_ALLOW = struct.pack('HBBI', 0x06, 0, 0, 0x7FFF0000)


class _Filter(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_: typing.ClassVar = [
        ('length', ctypes.c_ushort),
        ('filter', ctypes.c_char_p),
    ]


def _set_filter() -> None:
    """Filter the system calls of this process and of all it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    one = _Filter(1, _ALLOW)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _MODE_FILTER, ctypes.byref(one)
    ):
        raise OSError(ctypes.get_errno(), 'prctl')


def _start(program: str, arguments: list[str], stdin: int) -> int:
    return os.posix_spawn(
        program,
        arguments,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            # Not the pipe of the answers.
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ],
    )


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid


def main() -> None:
    """The command."""
    _set_filter()
    stdin, _ = os.pipe()
    for line in sys.stdin:
        wanted = json.loads(line)
        if isinstance(wanted, int):
            print(_end(wanted), flush=True)
        else:
            program, *arguments = wanted
            print(_start(program, arguments, stdin), flush=True)


if __name__ == '__main__':
    main()
