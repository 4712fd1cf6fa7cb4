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


"""Restores a machine that no cloud uses, for tests."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import shutil
import time

from lab.machine import cache
from lab.machine import image as images
from lab.machine import kind as kinds
from lab.machine import qemu
from lab.machine import ssh as connections
from lab.run import ports
from lab.run import supervisor as supervisors

#: The name of the QEMU process, and of its log.
NAME = 'machine'
_SECONDS = 1800.0
_STOP_SECONDS = 20.0


@contextlib.contextmanager
def restored(
    supervisor: supervisors.Supervisor,
    kind: kinds.Kind,
    source: images.Image,
    boot: str,
    folder: Path,
) -> Iterator[connections.Ssh]:
    """Run a machine from its snapshot during the body of the ``with``.

    :param source: the machine; see lab.machine.cache.image
    :param boot: one of the boots of the kind
    :param folder: a folder for its files, which is made and removed
    :returns: the connection to the machine, which has been checked
    :raises DiedError: when the machine dies
    :raises LabError: when the machine does not answer, or is not what it
        should be
    """
    folder.mkdir()
    try:
        image = cache.copy(supervisor, source, boot, folder)
        port = ports.find().base
        daemon = qemu.Machine(supervisor, image, boot, NAME, folder).start(
            image.snapshot(boot), port, restore=True
        )
        ssh = connections.Ssh(supervisor, image, f'{NAME}-ssh', port, folder)
        ssh.open(_SECONDS, daemon)
        # The clock of the machine still shows when the snapshot was taken.
        ssh.check(['date', '--set', f'@{time.time():.3f}'])
        kind.check(ssh, boot)
        yield ssh
    finally:
        supervisor.stop([f'{NAME}-ssh', NAME], _STOP_SECONDS)
        shutil.rmtree(folder)
