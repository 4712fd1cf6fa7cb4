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


"""Commands on the machine, over one connection that stays open.

An emulated machine needs seconds to agree on keys, so that is done once.
"""

from collections.abc import Sequence
from pathlib import Path
import shlex
import subprocess  # nosec B404: only for the type of a result

from lab.machine import image as images
from lab.run import errors
from lab.run import records
from lab.run import supervisor as supervisors

#: After so many unanswered messages ssh gives the machine up.
_ALIVE_SECONDS, _ALIVE_COUNT = 30, 10
_CONNECT_SECONDS = 60
#: How long one login may take: an emulated machine whose cores are shared by
#: ten others needs minutes for it. If QEMU dies, ssh ends at once.
_LOGIN_SECONDS = 300
#: The limit for a short program, on such a machine.
PROGRAM_SECONDS = 300.0
#: The exit status when ssh itself fails.
_NO_CONNECTION = 255


class Ssh:
    """A connection to root's account on the machine."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        image: images.Image,
        name: str,
        port: int,
        folder: Path,
    ) -> None:
        """Describe the connection; nothing happens yet.

        :param name: the name of the ssh process
        :param port: the port of 127.0.0.1 that leads to the machine's ssh
        :param folder: where the socket of the connection will be
        """
        self._supervisor = supervisor
        self._image = image
        self._name = name
        self._port = port
        self._socket = folder / 'ssh'

    def open(self, seconds: float, machine: records.Daemon) -> None:
        """Connect as soon as the machine accepts it.

        :param machine: the QEMU process, whose death ends the wait
        :raises LabError: when there is no connection after ``seconds``
        """
        self._supervisor.wait(
            self._name, self._accepted, seconds, machine, every=0.5
        )
        daemon = self._supervisor.start(
            self._name, [*self._command(), '-M', '-N', self._destination()]
        )
        self._supervisor.wait(self._name, self._socket.exists, seconds, daemon)

    def command(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command line that runs ``argv`` on the machine."""
        return [
            *self._command(),
            self._destination(),
            shlex.join(str(word) for word in argv),
        ]

    def run(
        self,
        argv: Sequence[str | Path],
        seconds: float = PROGRAM_SECONDS,
        text: str = '',
    ) -> subprocess.CompletedProcess[str]:
        """Run a short program on the machine.

        :param text: the standard input of the program
        :returns: the result, whether the program failed or not
        :raises DiedError: when the machine has died
        :raises LabError: when the program does not end in time
        """
        what = shlex.join(map(str, argv))
        try:
            result = self._supervisor.output(self.command(argv), seconds, text)
        except errors.LabError:
            self._supervisor.check(what)
            raise
        if result.returncode == _NO_CONNECTION:
            self._supervisor.check(what, settle=True)
        return result

    def check(
        self,
        argv: Sequence[str | Path],
        seconds: float = PROGRAM_SECONDS,
        text: str = '',
    ) -> str:
        """Run a short program on the machine, which has to succeed.

        :returns: what the program printed
        :raises DiedError: when the machine has died
        :raises LabError: when the program fails or does not end in time
        """
        result = self.run(argv, seconds, text)
        if result.returncode:
            raise errors.LabError(
                f'{self._name}: {shlex.join(map(str, argv))} failed '
                f'({result.returncode}): {result.stderr or result.stdout}'
            )
        return result.stdout

    def _accepted(self) -> bool:
        """Whether the machine accepts a login now."""
        try:
            result = self._supervisor.output(
                self.command(['true']), _LOGIN_SECONDS
            )
        except errors.LabError:
            # It has not answered yet; the wait has a limit of its own.
            return False
        return result.returncode == 0

    def _command(self) -> list[str | Path]:
        options = {
            'BatchMode': 'yes',
            'ConnectTimeout': _CONNECT_SECONDS,
            'ControlPath': self._socket,
            'GlobalKnownHostsFile': '/dev/null',
            'HostKeyAlias': images.HOST_ALIAS,
            'IdentitiesOnly': 'yes',
            'LogLevel': 'ERROR',
            'ServerAliveCountMax': _ALIVE_COUNT,
            'ServerAliveInterval': _ALIVE_SECONDS,
            'StrictHostKeyChecking': 'yes',
            'UserKnownHostsFile': self._image.known_hosts,
        }
        command: list[str | Path] = ['ssh', '-F', 'none']
        for name, value in options.items():
            command += ['-o', f'{name}={value}']
        return [*command, '-i', self._image.key, '-p', str(self._port)]

    @staticmethod
    def _destination() -> str:
        return 'root@127.0.0.1'
