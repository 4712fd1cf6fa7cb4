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

"""Boots and deletes guests by the API, and looks at them on the host."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
from typing import Any
from typing import TypeVar

from openstack import connection
from openstack import exceptions

from lab.cloud import cloud as clouds
from lab.cloud import guest_image
from lab.run import errors
from lab.run import marks

T = TypeVar('T')
#: Emulated guests on a busy machine are slow, but never this slow.
BOOT_SECONDS = 400.0
_CONSOLE_SECONDS = 300.0
_DELETE_SECONDS = 300.0
_FAULT_SECONDS = 300.0
_EVERY = 0.3
_FLAVOR_RAM_MIB = 128


@dataclasses.dataclass(frozen=True)
class HostProcess:
    """The QEMU process of a guest, as the kernel reports it."""

    pid: int
    #: "Seccomp" of /proc/PID/status: 0 is none, 2 is a filter.
    seccomp: int

    @property
    def executable(self) -> Path:
        """The binary that the process runs, whatever its path on the host.

        This works only for a host that is not a virtual machine.
        """
        return Path(f'/proc/{self.pid}/exe')

    def runs(self, binary: Path) -> bool:
        """Whether the process runs this very file."""
        return self.executable.samefile(binary)


class Guests:
    """The guests of one cloud."""

    def __init__(
        self,
        cloud: clouds.Cloud,
        api: connection.Connection | None = None,
        image: str = guest_image.IMAGE,
    ) -> None:
        """Describe the guests.

        :param api: the connection to use; by default a new one
        :param image: the name of their image
        """
        self._cloud = cloud
        self.api = api or cloud.connect()
        self._image_name = image
        self._image: str | None = None

    def flavor(
        self,
        name: str,
        specs: dict[str, str] | None = None,
        ram: int = _FLAVOR_RAM_MIB,
    ) -> Any:
        """Make a flavor that is large enough for the lab's guest.

        :param specs: the extra specs of the flavor
        :param ram: its memory, in MiB
        :raises openstack.exceptions.BadRequestException: when Nova refuses
            an extra spec; the flavor is deleted again
        """
        flavor = self.api.compute.create_flavor(
            name=name, ram=ram, vcpus=1, disk=1
        )
        try:
            if specs:
                self.api.compute.create_flavor_extra_specs(flavor, specs)
        except exceptions.HttpException:
            self.api.compute.delete_flavor(flavor)
            raise
        return flavor

    def boot(
        self,
        name: str,
        flavor: str,
        host: str | None = None,
        availability_zone: str | None = None,
        seconds: float = BOOT_SECONDS,
    ) -> Any:
        """Boot a guest and wait until it is ACTIVE or ERROR.

        The other parameters are those of create().

        :returns: the server as the API shows it then
        :raises LabError: when it has another status after ``seconds``
        """
        server = self.create(name, flavor, host, availability_zone)
        return self.wait_status(server, ('ACTIVE', 'ERROR'), seconds)

    def create(
        self,
        name: str,
        flavor: str,
        host: str | None = None,
        availability_zone: str | None = None,
    ) -> Any:
        """Ask for a guest, and do not wait for it.

        :param flavor: name or id of the flavor
        :param host: ask the scheduler for this host; filters apply
        :param availability_zone: ``nova:HOST`` forces a host; filters do not
            apply
        """
        request: dict[str, Any] = {
            'name': name,
            'networks': 'none',
            'image_id': self._image_id(),
            'flavor_id': self.api.compute.find_flavor(
                flavor, ignore_missing=False
            ).id,
        }
        if host is not None:
            request['host'] = host
        if availability_zone is not None:
            request['availability_zone'] = availability_zone
        return self.api.compute.create_server(**request)

    def wait_status(
        self,
        server: Any,
        statuses: tuple[str, ...],
        seconds: float = BOOT_SECONDS,
    ) -> Any:
        """Wait until a server has one of these statuses.

        :returns: the server
        :raises LabError: when it has another status after ``seconds``
        """
        found = server

        def reached() -> bool:
            nonlocal found
            found = self.api.compute.get_server(server.id)
            # ERROR is shown before the task ends and the fault is stored.
            return found.status in statuses and not found.task_state

        self._wait(
            f'{server.name} to be {" or ".join(statuses)}',
            reached,
            seconds,
            lambda: f'{found.status}, task {found.task_state}',
        )
        return found

    def wait_fault(
        self, server: Any, text: str, seconds: float = _FAULT_SECONDS
    ) -> Any:
        """Wait until the newest fault of a server contains ``text``.

        A compute host reports its reason only after Nova has given up.

        :returns: the server
        :raises LabError: when it has another fault after ``seconds``
        """
        found = server

        def message() -> str:
            return str((found.fault or {}).get('message'))

        def reported() -> bool:
            nonlocal found
            found = self.api.compute.get_server(server.id)
            return text in message()

        self._wait(
            f'the fault "{text}" of {server.name}', reported, seconds, message
        )
        return found

    def wait_console(
        self, server: Any, seconds: float = _CONSOLE_SECONDS
    ) -> str:
        """Wait until the guest's own program has printed on its console.

        :returns: the line that the program printed
        :raises LabError: when it has not printed after ``seconds``
        """

        def printed() -> str:
            output = self.api.compute.get_server_console_output(
                server, length=50
            )['output']
            return next(
                (
                    str(line).strip()
                    for line in output.splitlines()
                    if marks.GUEST_UP in line
                ),
                '',
            )

        return self._wait(
            f'{marks.GUEST_UP} on the console of {server.name}',
            printed,
            seconds,
        )

    def events(self, server: Any) -> list[dict[str, Any]]:
        """The events of all the server's actions, oldest first.

        Each has at least ``event``, ``result`` and ``host``.
        """
        compute, found = self.api.compute, []
        path = f'/servers/{server.id}/os-instance-actions'
        for action in compute.get(path).json()['instanceActions']:
            answer = compute.get(f'{path}/{action["request_id"]}').json()
            found += answer['instanceAction']['events']
        return sorted(found, key=lambda event: str(event['start_time']))

    def delete(self, server: Any, seconds: float = _DELETE_SECONDS) -> None:
        """Delete a server and wait until it no longer exists.

        :raises LabError: when it still exists after ``seconds``
        """
        self.api.compute.delete_server(server, ignore_missing=True)
        self._wait(
            f'the end of {server.name}',
            lambda: self.api.compute.find_server(server.id) is None,
            seconds,
        )

    def qemu_pid(self, server: Any) -> int:
        """The process id of a running guest's QEMU, from its host's files.

        :raises LabError: when the host has no such process
        """
        host = self._cloud.hosts[server.compute_host]
        supervisor = self._cloud.supervisor
        pid_file = host.pids / f'{server.instance_name}.pid'
        text = host.read(supervisor, pid_file)
        if not text.strip().isdigit():
            raise errors.LabError(
                f'{server.name}: {pid_file} contains {text!r}, '
                'not a process id'
            )
        pid = int(text)
        command = host.read(supervisor, Path(f'/proc/{pid}/cmdline'))
        if server.id not in command:
            raise errors.LabError(
                f'{server.name}: process {pid} is not its QEMU'
            )
        return pid

    def process(self, server: Any) -> HostProcess:
        """The QEMU process of a running guest.

        :raises LabError: when there is no such process
        """
        pid = self.qemu_pid(server)
        host = self._cloud.hosts[server.compute_host]
        text = host.read(self._cloud.supervisor, Path(f'/proc/{pid}/status'))
        status = dict(line.split(':', 1) for line in text.splitlines())
        return HostProcess(pid, int(status['Seccomp']))

    def label(self, server: Any) -> str:
        """The security label of a running guest's QEMU.

        :raises LabError: when there is no such process, or the kernel of
            its host has no security module
        """
        pid = self.qemu_pid(server)
        host = self._cloud.hosts[server.compute_host]
        return host.read(
            self._cloud.supervisor, Path(f'/proc/{pid}/attr/current')
        ).strip()

    def _wait(
        self,
        what: str,
        test: Callable[[], T],
        seconds: float,
        instead: Callable[[], str] | None = None,
    ) -> T:
        return self._cloud.supervisor.wait(
            what, test, seconds, every=_EVERY, instead=instead
        )

    def _image_id(self) -> str:
        if self._image is None:
            self._image = str(
                self.api.image.find_image(
                    self._image_name, ignore_missing=False
                ).id
            )
        return self._image
