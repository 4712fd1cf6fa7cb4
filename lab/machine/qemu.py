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


"""The machine as a QEMU process, and its monitor."""

from collections.abc import Mapping
import json
from pathlib import Path
import socket
from typing import TextIO

from lab.machine import image as images
from lab.run import errors
from lab.run import records
from lab.run import supervisor as supervisors

#: With more than one, each is emulated by a thread of its own. A kernel that
#: patches its code while it runs (static keys, ftrace) then dies now and then
#: of QEMU's translation of the old code: "Oops: int3", seen with QEMU 7.2.
_CPUS = 1
#: MiB for translated code, more than QEMU's default for such a machine.
_CODE_CACHE_MIB = 512
#: The snapshot's name in its qcow2 file.
_SNAPSHOT = 'booted'
#: A second network card, whose cable leads to a hub with nothing else in it.
#: A device cannot be added to a snapshot later, but what is in the hub can.
UNPLUGGED = (
    '-netdev',
    'hubport,id=lan,hubid=0',
    '-device',
    'virtio-net-pci,netdev=lan,romfile=',
)


class Machine:
    """One machine that runs, or is about to."""

    def __init__(
        self,
        supervisor: supervisors.Supervisor,
        image: images.Image,
        boot: str,
        name: str,
        folder: Path,
    ) -> None:
        """Describe the machine; nothing happens yet.

        :param boot: one of the boots of lab.machine.kind.Kind
        :param name: the name of the QEMU process
        :param folder: where the monitor's socket will be
        """
        self._supervisor = supervisor
        self._image = image
        self._boot = boot
        self._name = name
        self._monitor = folder / 'monitor'
        #: What the kernel prints follows what QEMU prints.
        self._console = supervisor.log(name)

    def start(
        self, disk: Path, port: int, restore: bool = False
    ) -> records.Daemon:
        """Start QEMU; it ends when the machine's kernel panics.

        :param disk: a qcow2 file, to which the machine writes
        :param port: a port of 127.0.0.1 to forward to the machine's ssh
        :param restore: continue from the snapshot in the disk. The snapshot
            must have been made with the same command line, apart from ports
            and paths.
        """
        command: list[str | Path] = [
            'qemu-system-x86_64',
            '-machine',
            'q35',
            '-accel',
            f'tcg,tb-size={_CODE_CACHE_MIB}',
            '-smp',
            str(_CPUS),
            '-m',
            str(self._image.MEMORY_MIB),
            '-nodefaults',
            # A panic reboots: lab.machine.recipe.kernel_command_line.
            '-no-reboot',
            '-display',
            'none',
            '-chardev',
            f'file,id=console,path={self._console},append=on',
            '-serial',
            'chardev:console',
            '-qmp',
            f'unix:{self._monitor},server=on,wait=off',
            '-drive',
            f'file={disk},if=virtio,format=qcow2,cache=unsafe,discard=unmap',
            '-netdev',
            f'user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22',
            '-device',
            'virtio-net-pci,netdev=net,romfile=',
            '-device',
            'virtio-rng-pci',
            # Other disks are numbered after the machine's own.
            *self._image.options(self._boot),
        ]
        if restore:
            command += ['-loadvm', _SNAPSHOT]
        return self._supervisor.start(self._name, command)

    def save(self, seconds: float = 1800) -> None:
        """Save memory and devices as a snapshot in the machine's disk.

        :raises DiedError: when QEMU has died
        :raises LabError: when QEMU cannot
        """
        said = self._ask(
            'human-monitor-command',
            {'command-line': f'savevm {_SNAPSHOT}'},
            seconds,
        )
        if said:
            raise errors.LabError(f'{self._name}: savevm: {said}')

    def plug(self, here: Path, there: Path, seconds: float = 300) -> None:
        """Connect the second network card with that of another machine.

        :param here: the path of a socket, which is made
        :param there: that of the other machine, which need not exist yet:
            until it does, nothing arrives
        :raises DiedError: when QEMU has died
        :raises LabError: when QEMU cannot
        """
        local, remote = (
            {'type': 'unix', 'path': str(path)} for path in (here, there)
        )
        for backend in (
            {'type': 'dgram', 'id': 'wire', 'local': local, 'remote': remote},
            {'type': 'hubport', 'id': 'port', 'hubid': 0, 'netdev': 'wire'},
        ):
            self._ask('netdev_add', backend, seconds)

    def _ask(
        self, command: str, arguments: Mapping[str, object], seconds: float
    ) -> object:
        """Connect to the monitor and run a command of QMP."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(seconds)
                connection.connect(str(self._monitor))
                with connection.makefile('rw', encoding='utf-8') as stream:
                    stream.readline()
                    self._execute(stream, 'qmp_capabilities', {})
                    return self._execute(stream, command, arguments)
        except (OSError, errors.LabError) as error:
            self._supervisor.check(command, settle=True)
            raise errors.LabError(
                f'{self._name}: {command}: {error}'
            ) from error

    def _execute(
        self, stream: TextIO, command: str, arguments: Mapping[str, object]
    ) -> object:
        json.dump({'execute': command, 'arguments': arguments}, stream)
        stream.flush()
        for line in stream:
            answer = json.loads(line)
            if 'return' in answer:
                return answer['return']
            if 'error' in answer:
                raise errors.LabError(answer['error']['desc'])
        raise errors.LabError('QEMU closed the connection')
