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


"""Asks what nova-compute and its privileged helper ask of the host.

A program that is run on the host, as root, in the domain of nova-compute:
``QEMU_PID PID_FILE TYPE DAEMON_FILE DAEMON_PID SECRET``. It prints a line for
each question: its name, and the answer or the error.
"""

from collections.abc import Callable
import os
import resource
import signal
import sys
import time

GUEST_PID, PID_FILE, TYPE, DAEMON_FILE, DAEMON_PID, SECRET = sys.argv[1:]
EMULATOR = '/usr/bin/qemu-system-x86_64'
NOBODY = 65534
SECONDS = 300

GUEST = f'system_u:system_r:{TYPE}:s0'
LIBVIRTD = 'system_u:system_r:virtd_t:s0'
HOOK = 'system_u:object_r:bin_t:s0'


def read(path: str) -> bytes:
    """The first bytes of a file."""
    with open(path, 'rb') as file:
        return file.read(4096)


def ask(name: str, question: str) -> bytes:
    """What a file of selinuxfs answers."""
    descriptor = os.open('/sys/fs/selinux/' + name, os.O_RDWR)
    os.write(descriptor, question.encode())
    return os.read(descriptor, 4096)


def apart(step: Callable[[], object]) -> str:
    """Do something in a process of its own, which has other rights then.

    :raises OSError: it cannot be done
    """
    child = os.fork()
    if not child:
        code = 255
        try:
            step()
            code = 0
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))
    return 'done'


def drop() -> None:
    """Keep no capability, as the helper keeps some."""
    from oslo_privsep import capabilities

    capabilities.drop_all_caps_except([], [], [])


def end() -> int:
    """End a process of another user.

    :returns: the signal that has ended it
    :raises OSError: it cannot be ended, or has not become another user
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writer, b'x')
            time.sleep(SECONDS)
        finally:
            os._exit(0)
    os.close(writer)
    if os.read(reader, 1):
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        raise PermissionError(1, os.strerror(1))
    return os.WTERMSIG(status)


def examine(root: str = '') -> int:
    """Have the emulator tell what it has in it.

    :param root: the root folder in which a helper starts it, as nobody
    :returns: the number of its types
    """
    from nova_isolation.probes import emulator
    from nova_isolation.probes import foreign_root

    launcher = foreign_root.launcher(root, NOBODY, NOBODY) if root else ()
    found = emulator.examine(EMULATOR, SECONDS, root, launcher)
    return len(found.types)


QUESTIONS: dict[str, Callable[[], object]] = {
    'mode': lambda: read('/sys/fs/selinux/enforce'),
    'access': lambda: ask('access', f'{GUEST} {GUEST} 2'),
    'create': lambda: ask('create', f'{LIBVIRTD} {HOOK} 2'),
    'context': lambda: ask('context', GUEST),
    'program': lambda: read(EMULATOR)[:4],
    'folder': lambda: len(os.listdir(os.path.dirname(PID_FILE))),
    'pid': lambda: read(PID_FILE),
    'arguments': lambda: read(f'/proc/{GUEST_PID}/cmdline')[:9],
    'label': lambda: read(f'/proc/{GUEST_PID}/attr/current'),
    'executable': lambda: os.stat(f'/proc/{GUEST_PID}/exe').st_size,
    'daemon_pid': lambda: read(DAEMON_FILE),
    'daemon': lambda: read(f'/proc/{DAEMON_PID}/comm'),
    'daemon_arguments': lambda: read(f'/proc/{DAEMON_PID}/cmdline')[:9],
    'daemon_status': lambda: read(f'/proc/{DAEMON_PID}/status')[:9],
    'daemon_label': lambda: read(f'/proc/{DAEMON_PID}/attr/current'),
    'daemon_executable': lambda: os.stat(f'/proc/{DAEMON_PID}/exe').st_size,
    'daemon_root': lambda: os.stat(f'/proc/{DAEMON_PID}/root/usr').st_ino,
    'secret': lambda: read(SECRET),
    'core': lambda: apart(
        lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ),
    'capabilities': lambda: apart(drop),
    'root': lambda: apart(lambda: os.chroot('/')),
    'group': lambda: apart(lambda: os.setgroups([])),
    'user': lambda: apart(lambda: os.setresuid(NOBODY, NOBODY, NOBODY)),
    'end': end,
    'emulator': examine,
    'emulator_there': lambda: examine(f'/proc/{DAEMON_PID}/root'),
}

for question, asked in QUESTIONS.items():
    try:
        answer = asked()
    except OSError as error:
        # Some errors of ours are texts alone.
        answer = error.strerror or str(error).replace('\n', ' ')
    print(question, answer, flush=True)
