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

"""Keeps the built QEMU, and builds it when an input has changed.

It is built as an admin builds one: by the recipe that "nova-isolation-manage
qemu recipe" writes, from Debian's sources.
"""

from collections.abc import Sequence
import hashlib
from pathlib import Path
import shutil
import tempfile

from lab.emulator import sources
from lab.run import errors
from lab.run import layout as layouts
from lab.run import lock
from lab.run import processes
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors

PROGRAM = 'qemu-system-x86_64'

#: What guests of Nova need and no component of the catalogue.
NEEDED: tuple[str, ...] = ('--absent', 'all', '--needed-only')
#: What QEMU builds by default, without any component of the catalogue: each
#: row of the catalogue says truly what builds it, or it is there.
DEFAULTS: tuple[str, ...] = ('--absent', 'all')

_BUILDING = 'building-'
_RECIPE = 'recipe'
_RECIPE_SECONDS = 120
_BUILD_SECONDS = 5400
_LOCK_SECONDS = 2 * _BUILD_SECONDS
#: The build leaves the processors to whatever runs beside it.
_NICE = 5
#: How many built programs are kept: of two recipes, and two versions of QEMU.
_KEPT = 4


def emulator(
    supervisor: supervisors.Supervisor,
    progress: progresses.Progress,
    words: Sequence[str] = NEEDED,
) -> Path:
    """The built QEMU; it is built if it does not exist.

    :param words: arguments of "qemu recipe"
    :raises LabError: when it cannot be built
    """
    folder = layouts.cache() / 'emulator'
    folder.mkdir(parents=True, exist_ok=True)
    version = sources.version(supervisor)
    with tempfile.TemporaryDirectory() as name:
        recipe = Path(name) / _RECIPE
        _write(supervisor, recipe, words, sources.release(version))
        found = folder / _key(recipe, version) / PROGRAM
        if found.exists():
            found.parent.touch()
            return found
        with lock.held(folder, _LOCK_SECONDS, 'a QEMU', progress):
            # Another lab may have built it while we waited.
            if not found.exists():
                _build(recipe, found.parent, progress)
                _prune(folder)
    return found


def _write(
    supervisor: supervisors.Supervisor,
    folder: Path,
    words: Sequence[str],
    release: str,
) -> None:
    """Have the command write its recipe."""
    result = supervisor.output(
        [
            layouts.BIN / 'nova-isolation-manage',
            'qemu',
            'recipe',
            *words,
            '--release',
            release,
            '--output',
            folder,
        ],
        _RECIPE_SECONDS,
        # The state folder of a cloud is still to be made, and must be empty.
        environment={'HOME': str(folder.parent)},
    )
    if result.returncode:
        raise errors.LabError(f'qemu recipe: {result.stdout}{result.stderr}')


def _key(recipe: Path, version: str) -> str:
    """A name for the QEMU that changes when an input of it changes.

    The inputs are the recipe and the version of Debian's package.
    """
    digest = hashlib.sha256(version.encode())
    for file in sorted(recipe.iterdir()):
        digest.update(f'{file.name}\0'.encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(recipe: Path, wanted: Path, progress: progresses.Progress) -> None:
    """Build in another folder and rename: no half program has the name."""
    for old in wanted.parent.glob(f'{_BUILDING}*'):
        shutil.rmtree(old)
    layout = layouts.Layout(
        Path(tempfile.mkdtemp(prefix=_BUILDING, dir=wanted.parent))
    )
    for folder in (layout.log, layout.run):
        folder.mkdir()
    progress.say(
        'building a QEMU, once: 3 minutes, more on a busy machine; logs in '
        f'{layout.log}'
    )
    supervisor = supervisors.Supervisor(layout)
    work, result = layout.state / 'work', layout.state / 'result'
    try:
        with signals.termination_raises(), progress.step('qemu-build'):
            work.mkdir()
            source = sources.fetch(supervisor, work)
            supervisor.run(
                'build',
                ['bash', recipe / 'build.sh', source, work / 'build'],
                _BUILD_SECONDS,
                nice=_NICE,
            )
            result.mkdir()
            shutil.move(work / 'build' / PROGRAM, result)
            shutil.copytree(recipe, result / _RECIPE)
    except BaseException:
        with signals.ignored():
            processes.kill(list(processes.belonging(layout)), 20)
            # Its logs tell what went wrong.
            shutil.rmtree(work, ignore_errors=True)
        raise
    result.rename(wanted)
    shutil.rmtree(layout.state)


def _prune(folder: Path) -> None:
    """Remove all but the programs that were used last."""
    built = [
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(_BUILDING)
    ]
    for old in sorted(built, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
        shutil.rmtree(old)
