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


"""Keeps the built machine, and builds it when an input has changed."""

import functools
import os
from pathlib import Path
import shutil
import tempfile

from lab.machine import image as images
from lab.machine import kind as kinds
from lab.machine import snapshot
from lab.run import errors
from lab.run import layout as layouts
from lab.run import lock
from lab.run import plan as plans
from lab.run import processes
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors

#: Longer than any build.
_LOCK_SECONDS = 4 * 3600
_BUILDING = 'building-'


def image(
    kind: kinds.Kind,
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
) -> images.Image:
    """The machine with its snapshots; it is built if it does not exist.

    :raises LabError: when the machine cannot be built
    """
    folder = layouts.cache() / kind.name
    found = kind.image(folder / kind.key(supervisor))
    if found.folder.exists():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with lock.held(folder, _LOCK_SECONDS, kind.title, progress):
        # Another lab may have built it while we waited.
        if not found.folder.exists():
            _build(kind, found, progress)
            _prune(folder, found)
    return found


def copy(
    supervisor: supervisors.Supervisor,
    image: images.Image,
    boot: str,
    folder: Path,
) -> images.Image:
    """Copy the files that a machine needs to start from a snapshot.

    The disk below the snapshot is not copied, but linked: nothing writes to
    it.

    :param boot: one of the boots of its kind
    :param folder: where to put the copies
    :returns: the image in that folder
    :raises LabError: when a file cannot be copied
    """
    target = type(image)(folder)
    for source in (*image.needed, image.snapshot(boot)):
        result = supervisor.output(
            ['cp', '-p', '--reflink=auto', '--sparse=always', source, folder],
            900,
        )
        if result.returncode:
            raise errors.LabError(f'{source}: {result.stderr}')
    # The snapshot names the disk by a path relative to its own folder.
    try:
        os.link(image.disk, target.disk)
    except OSError:
        # On another file system.
        target.disk.symlink_to(image.disk)
    return target


def _build(
    kind: kinds.Kind, wanted: images.Image, progress: progresses.Progress
) -> None:
    """Build in another folder and rename it: no half image has the name."""
    if os.geteuid() != 0:
        raise errors.LabError(
            f'only root can build {kind.title}: run this as root'
        )
    for old in wanted.folder.parent.glob(f'{_BUILDING}*'):
        shutil.rmtree(old)
    layout = layouts.Layout(
        Path(tempfile.mkdtemp(prefix=_BUILDING, dir=wanted.folder.parent))
    )
    for folder in (layout.log, layout.run):
        folder.mkdir()
    progress.say(
        f'building {kind.title}, once: 10 minutes, more on a busy machine; '
        f'logs in {layout.log}'
    )
    supervisor = supervisors.Supervisor(layout)
    built = kind.image(layout.state)
    try:
        with signals.termination_raises():
            kind.build(supervisor, progress, built)
            _boot(kind, supervisor, progress, built)
    except BaseException:
        with signals.ignored():
            processes.kill(list(processes.belonging(layout)), 20)
            _remove_all_but(layout.log)
        raise
    if kind.key(supervisor) != wanted.folder.name:
        _remove_all_but(layout.log)
        raise errors.LabError(
            f'an input of {kind.title} was changed while it was built: try '
            'again'
        )
    layout.state.rename(wanted.folder)


def _boot(
    kind: kinds.Kind,
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
    built: images.Image,
) -> None:
    plan = plans.Plan(supervisor, progress)
    booter = snapshot.Booter(kind, supervisor, built)
    for boot in kind.boots:
        plan.add(f'boot-{boot}', functools.partial(booter.make, boot))
    plan.run()


def _remove_all_but(log: Path) -> None:
    """Remove all files of a failed build but its logs."""
    for path in log.parent.iterdir():
        if path.is_dir() and path != log:
            shutil.rmtree(path, ignore_errors=True)
        elif path != log:
            path.unlink()


def _prune(folder: Path, wanted: images.Image) -> None:
    """Remove every other machine.

    A machine that runs keeps its files open, and needs nothing else.
    """
    for old in folder.iterdir():
        if old.is_dir() and old != wanted.folder:
            shutil.rmtree(old)
