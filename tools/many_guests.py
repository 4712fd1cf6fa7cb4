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

"""Many guests on one host, for a benchmark: their processes and files.

A guest is a shell that sleeps, with the command line of a QEMU. Everything
about it is read from the kernel, except its label: the kernel of the machine
may have no security module. So the bench has a folder that looks like /proc,
with links into it, and files with the labels.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
from pathlib import Path
import shutil
import subprocess  # nosec B404: to start the shells
import sys
import time
import uuid

from nova_isolation.mechanisms.qemu import sandbox

SHELL = '/bin/sh'
#: What a shell does until its standard input ends.
_SLEEP = ('-c', 'read line')
_DAEMON = 'libvirtd'
_DAEMON_LABEL = 'system_u:system_r:virtd_t:s0-s0:c0.c1023'
#: What is read of a process, without the label.
_LINKS = ('cmdline', 'comm', 'exe', 'root', 'stat', 'status')
#: The categories of SELinux are 1,024, and each guest has two of them.
_CATEGORIES = 1024
#: Seconds that a process may take to begin.
_PATIENCE = 30.0

#: Of the size that libvirt's command lines have.
ARGUMENTS = (
    *('-S', '-machine', 'pc-q35-7.2,usb=off,dump-guest-core=off'),
    *('-accel', 'tcg', '-m', 'size=8388608k', '-overcommit', 'mem-lock=off'),
    *('-smp', '4,sockets=4,dies=1,cores=1,threads=1'),
    *('-smbios', 'type=1,manufacturer=OpenStack Foundation,product=Nova'),
    *('-no-user-config', '-nodefaults', '-rtc', 'base=utc,driftfix=slew'),
    *('-device', 'pcie-root-port,port=16,chassis=1,id=pci.1,bus=pcie.0') * 20,
    *('-blockdev', '{"node-name":"libvirt-1-format","driver":"qcow2"}') * 2,
    *sandbox.ASKED.split(),
    *('-msg', 'timestamp=on'),
)


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest that runs.

    :ivar number: its number, from 1 on
    :ivar name: of the domain
    :ivar uuid: of the instance and of the domain
    :ivar label: its label of SELinux
    :ivar pid: of its process
    """

    number: int
    name: str
    uuid: str
    label: str
    pid: int


def label(number: int) -> str:
    """The label of the guest of a number, which no other guest has.

    libvirt gives each guest two categories, the smaller one first.
    """
    first = number % _CATEGORIES
    # Those of numbers that differ by that much have another distance.
    second = (first + 1 + number // _CATEGORIES) % _CATEGORIES
    low, high = sorted((first, second))
    return f'system_u:system_r:svirt_tcg_t:s0:c{low},c{high}'


class ManyGuests:
    """Starts and ends guests. Also a process that stands for libvirtd.

    :ivar run_dir: the folder of the pid files
    :ivar proc: the folder that looks like /proc
    :ivar running: the guests that run, the oldest first
    """

    def __init__(self, folder: Path, launcher: 'subprocess.Popen[str]'):
        """:param folder: an empty folder
        :param launcher: :mod:`tools.sleepers`
        """
        self.run_dir = folder / 'run'
        self.proc = folder / 'proc'
        self.running: list[Guest] = []
        self._launcher = launcher
        self._number = 0
        for path in (self.run_dir, self.proc):
            path.mkdir()
        # A process is called as the link that it was started by.
        daemon = folder / _DAEMON
        daemon.symlink_to(SHELL)
        self._start('driver', _DAEMON_LABEL, str(daemon), (_DAEMON, *_SLEEP))

    def start(self) -> None:
        """Start one more guest."""
        self._number += 1
        number = self._number
        name = f'instance-{number:08x}'
        own = str(uuid.UUID(int=number))
        arguments = (
            *('/usr/bin/qemu-system-x86_64', *_SLEEP),
            *('-name', f'guest={name},debug-threads=on', '-uuid', own),
            *ARGUMENTS,
        )
        pid = self._start(name, label(number), SHELL, arguments)
        self.running.append(Guest(number, name, own, label(number), pid))

    def end(self) -> None:
        """End the oldest guest."""
        guest = self.running.pop(0)
        self._ask(guest.pid)
        (self.run_dir / f'{guest.name}.pid').unlink()
        shutil.rmtree(self.proc / str(guest.pid))

    def _start(
        self, name: str, own: str, program: str, arguments: tuple[str, ...]
    ) -> int:
        pid = self._ask([program, *arguments])
        _wait(pid)
        seen = self.proc / str(pid)
        (seen / 'attr').mkdir(parents=True)
        (seen / 'attr/current').write_text(f'{own}\0', encoding='ascii')
        for link in _LINKS:
            (seen / link).symlink_to(f'/proc/{pid}/{link}')
        (self.run_dir / f'{name}.pid').write_text(f'{pid}\n', encoding='ascii')
        return pid

    def _ask(self, wanted: object) -> int:
        print(json.dumps(wanted), file=self._launcher.stdin, flush=True)
        answer = self._launcher.stdout and self._launcher.stdout.readline()
        if not answer:
            raise RuntimeError('what starts the processes has ended')
        return int(answer)


@contextlib.contextmanager
def made(folder: Path) -> Iterator[ManyGuests]:
    """A host without guests; all its processes end with it."""
    command = [sys.executable, '-m', f'{__package__}.sleepers']
    with subprocess.Popen(  # noqa: S603  # nosec B603: our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as launcher:
        yield ManyGuests(folder, launcher)


def _wait(pid: int) -> None:
    """Wait until a process has its command line.

    The kernel ends the call that starts a process a moment before that.

    :raises RuntimeError: it has none after a while
    """
    end = time.monotonic() + _PATIENCE
    while not Path(f'/proc/{pid}/cmdline').read_bytes():
        if time.monotonic() > end:
            raise RuntimeError(f'process {pid} has no command line')
        time.sleep(0.001)
