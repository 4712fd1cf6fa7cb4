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

"""Restores the lab's machine again and again, and boots guests on it.

The demonstration and the end-to-end tests do both on machines that are busy
with other things. So this adds busy processes until this machine has the
wanted load. A machine that dies, or a guest that does not boot, is a loss.
"""

import argparse
from collections.abc import Sequence
import dataclasses
import math
import os
from pathlib import Path
import statistics
import sys
import time

from lab.cloud import guest_image
from lab.machine import cache
from lab.machine import confined
from lab.machine import image as images
from lab.machine import recipe
from lab.machine import restore
from lab.machine import ssh as connections
from lab.run import errors
from lab.run import layout as layouts
from lab.run import processes
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors

_SECONDS = 1800.0
#: How long the load average may need to rise.
_LOAD_SECONDS = 600.0
#: The guests' folder on the machine, where Nova's guests are.
_FOLDER = recipe.INSTANCES / 'soak'
_DOMAIN = f"""<domain type='qemu'>
  <name>{{name}}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{_FOLDER}/vmlinuz</kernel>
    <initrd>{_FOLDER}/initramfs</initrd>
    <cmdline>earlyprintk=ttyS0 console=ttyS0</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <devices>
    <console type='pty'><log file='{_FOLDER}/{{name}}.log'/></console>
  </devices>
</domain>
"""
#: The first words of a guest's kernel. What follows takes very long: one
#: emulator runs in the other.
_PRINTED = 'Linux version'
#: $1 is a folder of this machine; then the command that unpacks.
_PUSH = """
set -eu -o pipefail
cd "$1"
shift
tar --create vmlinuz initramfs | "$@"
"""


@dataclasses.dataclass
class _Times:
    """Seconds that were needed."""

    restores: list[float] = dataclasses.field(default_factory=list)
    boots: list[float] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return ', '.join(
            f'{what} in {statistics.median(seconds):.0f} s '
            f'(at most {max(seconds):.0f} s)'
            for what, seconds in (
                ('a restore', self.restores),
                ('all boots of a restore', self.boots),
            )
            if seconds
        )


class Soak:
    """Restores of one machine, in the state folder of a lab."""

    def __init__(self, layout: layouts.Layout, module: recipe.Module) -> None:
        self._module = module
        self._layout = layout
        self._supervisor = supervisors.Supervisor(layout)
        self._progress = progresses.Progress()
        self._times = _Times()

    def run(self, restores: int, boots: int, load: float, nice: int) -> int:
        """Restore and boot.

        :param boots: guests that boot at once after each restore
        :param load: the load average that this machine is to have
        :param nice: the niceness of the processes that make the load
        :returns: how many restores were lost
        """
        source = cache.image(confined.KIND, self._supervisor, self._progress)
        guest = guest_image.make(self._supervisor)
        losses = 0
        try:
            self._load(load, nice)
            for number in range(1, restores + 1):
                try:
                    with self._progress.step(f'restore {number}'):
                        self._once(source, guest, boots)
                except errors.LabError as error:
                    losses += 1
                    self._progress.say(f'restore {number} is lost: {error}')
                    self._keep_logs(number)
                self._progress.say(
                    f'load average {os.getloadavg()[0]:.1f}, '
                    f'{losses} of {number} lost'
                )
        finally:
            with signals.ignored():
                self._supervisor.stop(list(self._supervisor.daemons()), 20)
                processes.kill(list(processes.belonging(self._layout)), 60)
        self._progress.say(
            f'{restores} restores with {boots} boots each, {losses} lost; '
            f'{self._times}'
        )
        return losses

    def _load(self, load: float, nice: int) -> None:
        for number in range(math.ceil(load - os.getloadavg()[0])):
            self._supervisor.start(
                f'busy-{number}',
                ['nice', '-n', str(nice), 'sh', '-c', 'while :; do :; done'],
            )
        self._supervisor.wait(
            f'a load average of {load:.0f}',
            lambda: os.getloadavg()[0] >= load * 0.9,
            _LOAD_SECONDS,
            every=1,
            instead=lambda: f'{os.getloadavg()[0]:.1f}',
        )

    def _once(
        self, source: images.Image, guest: guest_image.GuestFiles, boots: int
    ) -> None:
        start = time.monotonic()
        with restore.restored(
            self._supervisor,
            confined.KIND,
            source,
            self._module,
            self._layout.state / restore.NAME,
        ) as ssh:
            self._times.restores.append(time.monotonic() - start)
            start = time.monotonic()
            self._boot(ssh, guest.folder, boots)
            self._times.boots.append(time.monotonic() - start)

    def _boot(self, ssh: connections.Ssh, guest: Path, boots: int) -> None:
        ssh.check(['mkdir', '-p', _FOLDER])
        self._supervisor.run(
            'push',
            [
                'bash',
                '-c',
                _PUSH,
                'bash',
                guest,
                *ssh.command(['tar', '--extract', '-C', _FOLDER]),
            ],
            _SECONDS,
        )
        names = [f'soak-{number}' for number in range(1, boots + 1)]
        for name in names:
            self._virsh(
                ssh, 'create', '/dev/stdin', text=_DOMAIN.format(name=name)
            )
        for name in names:
            self._supervisor.wait(
                f'the guest {name}',
                lambda name=name: self._printed(ssh, name),  # type: ignore
                _SECONDS,
                every=1,
            )
        for name in names:
            self._virsh(ssh, 'destroy', name)

    @staticmethod
    def _printed(ssh: connections.Ssh, name: str) -> bool:
        output = ssh.run(['cat', _FOLDER / f'{name}.log']).stdout
        return _PRINTED in output

    @staticmethod
    def _virsh(ssh: connections.Ssh, *command: str, text: str = '') -> None:
        ssh.check(
            ['virsh', '-q', '-c', 'qemu:///system', *command], _SECONDS, text
        )

    def _keep_logs(self, number: int) -> None:
        for log in self._layout.log.glob(f'{restore.NAME}*.log'):
            log.rename(log.with_name(f'lost-{number}-{log.name}'))


def main(arguments: Sequence[str] | None = None) -> int:
    """Restore and boot as often as the command line says.

    :returns: the exit status: 0 when nothing was lost
    """
    parser = argparse.ArgumentParser(
        prog='python -m lab.soak', description=__doc__
    )
    parser.add_argument(
        '--state',
        type=Path,
        default=layouts.default_state('soak'),
        metavar='DIR',
        help='folder of its files and logs (default: %(default)s)',
    )
    parser.add_argument('--restores', type=int, default=20)
    parser.add_argument('--boots', type=int, default=2)
    parser.add_argument(
        '--load', type=float, default=8, help='wanted load average'
    )
    parser.add_argument(
        '--nice', type=int, default=0, help='niceness of what makes the load'
    )
    parser.add_argument(
        '--with',
        dest='module',
        choices=recipe.MODULES,
        default=recipe.MODULES[0],
    )
    given = parser.parse_args(arguments)
    layout = layouts.Layout(given.state.absolute())
    try:
        with signals.termination_raises():
            layout.make()
            losses = Soak(layout, given.module).run(
                given.restores, given.boots, given.load, given.nice
            )
    except errors.LabError as error:
        sys.stderr.write(f'lab: {error}\n')
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if losses else 0


if __name__ == '__main__':
    sys.exit(main())
