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


"""A guest on a host with Xen, as dom0 and the hypervisor see it."""

from collections.abc import Sequence
from pathlib import Path
import re

from lab.machine import ssh as connections
from lab.run import errors
from lab.run import marks
from lab.run import supervisor as supervisors
from lab.xen import recipe

#: How long the guest may need to run what it is told.
_SECONDS = 300


class Domain:
    """A running domain that was made of the lab's guest."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        ssh: connections.Ssh,
        name: str,
    ) -> None:
        """Describe it.

        :param ssh: the connection to dom0
        :param name: libvirt's and Xen's name of it
        """
        self._supervisor = supervisor
        self._ssh = ssh
        self.name = name

    @property
    def number(self) -> int:
        """Xen's number of it.

        :raises LabError: when there is no such domain
        """
        return int(self._dom0('xl', 'domid', self.name))

    @property
    def label(self) -> str:
        """Its label, from the hypervisor.

        :raises LabError: when there is no such domain
        """
        return self.listed[-1]

    @property
    def state(self) -> str:
        """Its state, as ``xl list`` shows it: ``-b----``, ``--p---``."""
        return self.listed[4]

    @property
    def console(self) -> Path:
        """xenconsoled's log of it."""
        return recipe.CONSOLES / f'guest-{self.name}.log'

    @property
    def starts(self) -> int:
        """How often guests of this name have started, by what they wrote."""
        return self._log().count(marks.GUEST_UP)

    def backend(self, device: str = 'vbd/51712') -> int:
        """The number of the domain that serves a device: its first disk."""
        return int(
            self._dom0(
                'xenstore-read',
                f'/local/domain/{self.number}/device/{device}/backend-id',
            )
        )

    def has(self, device: str) -> bool:
        """Whether it has a device: ``vif/0``, ``vbd/51728``."""
        path = f'/local/domain/{self.number}/device/{device}'
        return self._ssh.run(['xenstore-exists', path]).returncode == 0

    def connected(self, device: str = 'vbd/51712') -> bool:
        """Whether a device is connected on the guest's side."""
        path = f'/local/domain/{self.number}/device/{device}/state'
        return self._dom0('xenstore-read', path) == '4'

    def peer(self, *words: str) -> str:
        """Have the guest reach for another one; see lab/xen/peer.c.

        :returns: the result, without its first words: ``allowed: NUMBER`` or
            ``refused: ERROR``
        :raises LabError: when the guest does not say it
        """
        line = f'PEER {words[0]} {words[1]}: '
        return self.run(f'peer {" ".join(words)}', line)

    def run(self, command: str, answer: str) -> str:
        """Have the guest run a command.

        :param command: a line for its shell
        :param answer: how a line begins that the command prints
        :returns: the rest of that line
        :raises LabError: when the guest does not print it
        """
        before = self._said(answer)
        self.write(command)
        said = self._supervisor.wait(
            f'"{answer}" of {self.name}',
            lambda: self._said(answer)[len(before) :],
            _SECONDS,
            every=0.5,
        )
        return said[0]

    def write(self, command: str) -> None:
        """Write a command on its console, and do not wait for it.

        :param command: a line for its shell
        """
        terminal = self._dom0(
            'xenstore-read', f'/local/domain/{self.number}/console/tty'
        )
        self._ssh.check(['tee', terminal], text=f'{command}\n')

    def _said(self, start: str) -> list[str]:
        return re.findall(f'^{re.escape(start)}(.*?)\r?$', self._log(), re.M)

    def _log(self) -> str:
        # It may not have been made yet.
        return self._ssh.run(['cat', str(self.console)]).stdout

    @property
    def listed(self) -> Sequence[str]:
        """What ``xl list`` shows of it: name, number, MiB, processors, ...

        :raises LabError: when there is no such domain
        """
        for line in self._dom0('xl', 'list', '-Z').splitlines():
            words = line.split()
            if words[0] == self.name:
                return words
        raise errors.LabError(f'Xen has no {self.name}')

    def _dom0(self, *command: str) -> str:
        return self._ssh.check(command).strip()
