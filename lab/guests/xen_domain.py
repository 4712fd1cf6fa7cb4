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
import uuid

from lab.machine import ssh as connections
from lab.run import errors
from lab.run import supervisor as supervisors
from lab.xen import recipe

#: How long the guest may need to run what it is told.
_SECONDS = 300


def device_models(ssh: connections.Ssh, number: int) -> list[str]:
    """The labels and command lines of a domain's device models.

    :param ssh: the connection to dom0
    :param number: Xen's number of the domain; 0: dom0, which has one
    """
    return [
        line
        for line in ssh.check(['ps', '-eo', 'label=,args=']).splitlines()
        if f' -xen-domid {number} ' in line
    ]


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
    def exists(self) -> bool:
        """Whether Xen has such a domain."""
        return any(words[0] == self.name for words in self._list())

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
        return self._listed()[-1]

    @property
    def state(self) -> str:
        """Its state, as ``xl list`` shows it: ``-b----``, ``--p---``."""
        return self._listed()[4]

    @property
    def memory_mib(self) -> int:
        """How much memory it has."""
        return int(self._listed()[2])

    @property
    def console(self) -> Path:
        """xenconsoled's log of it."""
        return recipe.CONSOLES / f'guest-{self.name}.log'

    def backend(self, device: str = 'vbd/51712') -> int:
        """The number of the domain that serves a device: its first disk."""
        return int(
            self._dom0(
                'xenstore-read',
                f'/local/domain/{self.number}/device/{device}/backend-id',
            )
        )

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
        before = len(self._said(line))
        self.type(f'peer {" ".join(words)}')
        return self._answer(line, before)

    def run(self, command: str) -> str:
        """Have the guest run a command of its shell.

        Its programs are those of /bin/busybox, by that name.

        :returns: what the command printed, on one line
        :raises LabError: when the guest does not say it
        """
        line = f'ANSWER-{uuid.uuid4().hex}: '
        # The terminal shows what is typed, too, but not at a line's start.
        self.type(f'echo "{line}"$({command})')
        return self._answer(line, 0)

    def type(self, line: str) -> None:
        """Type a line on the guest's console."""
        terminal = self._dom0(
            'xenstore-read', f'/local/domain/{self.number}/console/tty'
        )
        self._ssh.check(
            ['sh', '-c', 'cat >"$1"', 'sh', terminal], text=f'{line}\n'
        )

    def _answer(self, line: str, count: int) -> str:
        """Wait for the next line that begins so, after ``count`` of them."""
        said = self._supervisor.wait(
            f'"{line}" of {self.name}',
            lambda: self._said(line)[count:],
            _SECONDS,
            every=0.5,
        )
        return said[0]

    def _said(self, start: str) -> list[str]:
        text = self._dom0('cat', str(self.console))
        return re.findall(f'^{re.escape(start)}(.*?)\r?$', text, re.M)

    def _listed(self) -> Sequence[str]:
        for words in self._list():
            if words[0] == self.name:
                return words
        raise errors.LabError(f'Xen has no {self.name}')

    def _list(self) -> list[list[str]]:
        listed = self._dom0('xl', 'list', '-Z')
        return [line.split() for line in listed.splitlines()]

    def _dom0(self, *command: str) -> str:
        return self._ssh.check(command).strip()
