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

"""Sends signals on a host with Xen at the moment at which a guest is started.

libvirt saves the state of a domain when it has made it, paused, and before it
answers that the guest is started. What gets its signal then gets it before
nova-compute can verify the guest.
"""

from collections.abc import Iterator
import contextlib
from typing import Literal

from lab.machine import ssh as connections
from lab.run import errors
from lab.run import supervisor as supervisors
from lab.xen import recipe

_NAME = 'xen-at-start'
#: Of libvirt's driver of Xen; one for each domain.
_STATES = '/run/libvirt/libxl/instance-*.xml'
#: Emulated guests on a busy machine are slow, but never this slow.
_SECONDS = 900

#: Prints "armed", then "signalled DOMAIN", then "ran" as soon as the new guest
#: has written anything on its console: its kernel does so in the first moment.
#: Prints something each second, and so ends when nobody listens any more. $1
#: is the name of a signal, followed by the processes that get it.
_PROGRAM = f"""
import glob, os, signal, sys, time

def states():
    return set(glob.glob({_STATES!r}))

def wait(test):
    end = time.monotonic() + 1
    while not test():
        time.sleep(0.02)
        if time.monotonic() > end:
            print("waits", flush=True)
            end += 1

def has_run():
    try:
        return os.path.getsize(console) > 0
    except FileNotFoundError:
        return False

number = getattr(signal, "SIG" + sys.argv[1])
known = states()
print("armed", flush=True)
wait(lambda: states() - known)
for pid in sys.argv[2:]:
    os.kill(int(pid), number)
name = os.path.basename((states() - known).pop()).removesuffix(".xml")
print("signalled", name, flush=True)
console = "{recipe.CONSOLES}/guest-" + name + ".log"
wait(has_run)
print("ran", flush=True)
"""


class AtStart:
    """Looks for the next guest that libvirt starts on the host."""

    def __init__(
        self, supervisor: supervisors.Supervisor, ssh: connections.Ssh
    ) -> None:
        """:param ssh: the connection to dom0"""
        self._supervisor = supervisor
        self._ssh = ssh
        self._begin = 0

    @contextlib.contextmanager
    def armed(
        self, signal: Literal['KILL', 'STOP'], *pids: int
    ) -> Iterator[None]:
        """Look during the body of the ``with``.

        :param signal: the signal that the processes get
        :param pids: processes of dom0
        """
        log = self._supervisor.log(_NAME)
        self._begin = log.stat().st_size if log.exists() else 0
        # Other programs do not have it wait for the only processor.
        daemon = self._supervisor.start(
            _NAME,
            self._ssh.command(
                [
                    'nice',
                    '--adjustment=-20',
                    'python3',
                    '-c',
                    _PROGRAM,
                    signal,
                    *map(str, pids),
                ]
            ),
            ends=True,
        )
        try:
            self._supervisor.wait(
                'the look for a guest',
                lambda: self._said('armed'),
                300,
                daemon,
            )
            yield
        finally:
            self._supervisor.stop([_NAME], 20)

    def wait(self) -> str:
        """Wait until the processes have got the signal.

        :returns: the name of the domain, which is paused
        """
        return self._supervisor.wait(
            'the start of a guest', lambda: self._said('signalled'), _SECONDS
        )

    @property
    def ran(self) -> bool:
        """Whether the guest has run, if only for a moment.

        :raises LabError: when nobody looks any more
        """
        looks = self._supervisor.daemons()[_NAME].alive()
        found = bool(self._said('ran'))
        if not found and not looks:
            raise errors.LabError(f'{_NAME} no longer looks')
        return found

    def _said(self, word: str) -> str:
        """The last word of a line of the program."""
        with self._supervisor.log(_NAME).open('rb') as file:
            file.seek(self._begin)
            lines = file.read().decode(errors='replace').splitlines()
        return next(
            (line.split()[-1] for line in lines if line.startswith(word)), ''
        )
