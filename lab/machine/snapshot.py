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


"""Boots the machine once for each security module, and saves a snapshot."""

from pathlib import Path

from lab.machine import image as images
from lab.machine import kind as kinds
from lab.machine import qemu
from lab.machine import ssh as connections
from lab.run import errors
from lab.run import ports
from lab.run import supervisor as supervisors

#: A boot takes one or two minutes on two idle cores.
_BOOT_SECONDS = 3000


class Booter:
    """Makes the snapshots of an image."""

    def __init__(
        self,
        kind: kinds.Kind,
        supervisor: supervisors.Supervisor,
        image: images.Image,
    ) -> None:
        self._kind = kind
        self._supervisor = supervisor
        self._image = image

    def make(self, boot: str) -> None:
        """Boot in this way, check the machine, and save it.

        :param boot: one of the boots of the kind

        :raises LabError: when a step failed
        """
        supervisor, name = self._supervisor, f'machine-{boot}'
        disk = self._image.snapshot(boot)
        # A relative path remains valid when the folder is renamed.
        overlay(supervisor, Path(self._image.disk.name), disk)
        folder = self._image.folder / boot
        folder.mkdir()
        machine = qemu.Machine(supervisor, self._image, boot, name, folder)
        port = ports.find().base
        daemon = machine.start(disk, port)
        ssh = connections.Ssh(
            supervisor, self._image, f'{name}-ssh', port, folder
        )
        try:
            ssh.open(_BOOT_SECONDS, daemon)
            self._kind.check(ssh, boot)
            self._kind.warm(ssh)
            supervisor.stop([f'{name}-ssh'], 20)
            machine.save()
        finally:
            supervisor.stop([f'{name}-ssh', name], 20)


def overlay(
    supervisor: supervisors.Supervisor, disk: Path, target: Path
) -> None:
    """Make a qcow2 file over a raw disk.

    :param disk: the path of the raw disk as the qcow2 file records it
    :raises LabError: when qemu-img fails
    """
    image_tool(
        supervisor,
        ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', disk, target],
    )


def image_tool(
    supervisor: supervisors.Supervisor, arguments: list[str | Path]
) -> None:
    """Run qemu-img.

    :raises LabError: when qemu-img fails
    """
    result = supervisor.output(['qemu-img', *arguments])
    if result.returncode:
        raise errors.LabError(f'qemu-img {arguments[0]}: {result.stderr}')
