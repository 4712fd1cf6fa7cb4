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

"""Finds the processes of this machine that belong to a lab, by two marks.

Every process that the lab starts has the lab's state folder in an
environment variable, which its children inherit. libvirt empties the
environment of the QEMU processes that it starts. Those are recognised by the
mount namespace of their compute host, in which the host's own folder is
mounted on /run/libvirt.
"""

import os
from pathlib import Path
import signal
import time

from lab.run import layout as layouts

TAG = 'NOVA_ISOLATION_LAB'


def start_ticks(pid: int) -> int | None:
    """The time at which a process started, in clock ticks since boot.

    A process id alone may be used again; a process id and this number
    identify one process.

    :returns: None when the process has ended or is a zombie. A main thread
        that is one beside other threads has not ended the process, which
        still has its sockets
    """
    try:
        text = Path(f'/proc/{pid}/stat').read_text(
            encoding='utf-8', errors='replace'
        )
    except OSError:
        return None
    fields = text.rpartition(')')[2].split()
    ended = fields[0] in 'ZX' and int(fields[17]) <= 1
    return None if ended else int(fields[19])


def command(pid: int) -> str:
    """The command line of a process; empty when the process has ended."""
    try:
        line = Path(f'/proc/{pid}/cmdline').read_bytes()
    except OSError:
        return ''
    return line.rstrip(b'\0').replace(b'\0', b' ').decode(errors='replace')


def belonging(layout: layouts.Layout) -> dict[int, str]:
    """The processes of a lab: command lines by process id."""
    tag = f'{TAG}={layout.state}'.encode()
    hosts = set()
    for run in (layout.state / 'hosts').glob('*/run-libvirt'):
        status = run.stat()
        hosts.add((status.st_dev, status.st_ino))
    found = {}
    for entry in os.scandir('/proc'):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        if (_tagged(pid, tag) or _run_libvirt(pid) in hosts) and start_ticks(
            pid
        ) is not None:
            found[pid] = command(pid)
    return found


def _tagged(pid: int, tag: bytes) -> bool:
    try:
        environment = Path(f'/proc/{pid}/environ').read_bytes()
    except OSError:
        return False
    return tag in environment.split(b'\0')


def _run_libvirt(pid: int) -> tuple[int, int] | None:
    try:
        status = os.stat(f'/proc/{pid}/root/run/libvirt')
    except OSError:
        return None
    return status.st_dev, status.st_ino


def kill(pids: list[int], seconds: float) -> list[int]:
    """Kill processes and wait until they have ended.

    :returns: the ids of the processes that still exist after ``seconds``
    """
    named = {pid: start_ticks(pid) for pid in pids}
    for pid, ticks in named.items():
        if ticks is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    end = time.monotonic() + seconds
    while True:
        left = [
            pid
            for pid, ticks in named.items()
            if ticks is not None and start_ticks(pid) == ticks
        ]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)
