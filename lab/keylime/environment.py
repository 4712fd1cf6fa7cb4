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

"""The two environments with Keylime, built once for all labs."""

import dataclasses
import hashlib
import os
from pathlib import Path
import shutil
import tempfile
import time

from lab.machine import sources
from lab.run import errors
from lab.run import layout as layouts
from lab.run import lock
from lab.run import progress as progresses
from lab.run import signals
from lab.run import supervisor as supervisors

#: Debian's interpreter, for which the package python3-gpg is made. Keylime
#: imports it, and PyPI does not have it.
_PYTHON = Path('/usr/bin/python3')
_GPG = Path('/usr/lib/python3/dist-packages/gpg')
_HERE = Path(__file__).parent
_NAMES = ('services', 'agent')
_KEYLIME = 'keylime=='
_BUILDING = 'building-'
_SECONDS = 900
_UNUSED_SECONDS = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Environment:
    """A built pair of environments.

    Programs are run as ``python -m``, because a script contains the path of
    the folder in which it was built.
    """

    folder: Path

    @property
    def services(self) -> Path:
        """The interpreter of registrar, verifier and tenant."""
        return self.folder / 'services' / 'bin' / 'python'

    @property
    def agent(self) -> Path:
        """The interpreter of the agents."""
        return self.folder / 'agent' / 'bin' / 'python'

    def defaults(self, name: str) -> Path:
        """The configuration file made from Keylime's own templates.

        :param name: verifier, registrar, tenant, ca, logging, or agent
        """
        which = 'agent' if name == 'agent' else 'services'
        return self.folder / f'{which}-defaults' / f'{name}.conf'


def environment(
    supervisor: supervisors.Supervisor, progress: progresses.Progress
) -> Environment:
    """The environments; they are built if they do not exist.

    :raises LabError: when they cannot be built
    """
    folder = layouts.cache() / 'keylime'
    found = Environment(folder / _key(supervisor))
    if found.folder.exists():
        os.utime(found.folder)
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with lock.held(folder, 2 * _SECONDS, 'Keylime', progress):
        # Another lab may have built it while we waited.
        if not found.folder.exists():
            _build(found, progress)
            _prune(found)
    return found


def _requirements(name: str) -> Path:
    return _HERE / f'{name}.txt'


def _key(supervisor: supervisors.Supervisor) -> str:
    """A name that changes when an input of the environments changes."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *(_requirements(name) for name in _NAMES)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    commands: tuple[list[str | Path], ...] = (
        [_PYTHON, '-VV'],
        ['dpkg-query', '-W', 'python3-gpg'],
    )
    for command in commands:
        result = supervisor.output(command)
        if result.returncode:
            raise errors.LabError(f'{command[0]}: {result.stderr}')
        digest.update(result.stdout.encode())
    return digest.hexdigest()[:16]


def _build(wanted: Environment, progress: progresses.Progress) -> None:
    """Build in another folder and rename it: no half build has the name."""
    for old in wanted.folder.parent.glob(f'{_BUILDING}*'):
        shutil.rmtree(old)
    layout = layouts.Layout(
        Path(tempfile.mkdtemp(prefix=_BUILDING, dir=wanted.folder.parent))
    )
    for folder in (layout.log, layout.run):
        folder.mkdir()
    progress.say(f'installing Keylime, once; logs in {layout.log}')
    supervisor = supervisors.Supervisor(layout)
    try:
        with signals.termination_raises():
            for name in _NAMES:
                with progress.step(f'keylime-{name}'):
                    _install(supervisor, layout.state, name)
    except BaseException:
        for name in _NAMES:
            shutil.rmtree(layout.state / name, ignore_errors=True)
        raise
    layout.state.rename(wanted.folder)


def _install(
    supervisor: supervisors.Supervisor, folder: Path, name: str
) -> None:
    venv, python = folder / name, folder / name / 'bin' / 'python'
    variables = {
        **sources.environment(supervisor),
        'PIP_CACHE_DIR': str(layouts.cache() / 'pip'),
        'PIP_DISABLE_PIP_VERSION_CHECK': '1',
    }
    supervisor.run(f'{name}-venv', [_PYTHON, '-m', 'venv', venv], _SECONDS)
    pip: list[str | Path] = [python, '-m', 'pip', '-q']
    supervisor.run(
        f'{name}-pip',
        [*pip, 'install', '--no-deps', '-r', _requirements(name)],
        _SECONDS,
        variables,
    )
    supervisor.run(f'{name}-check', [*pip, 'check'], _SECONDS, variables)
    (packages,) = (venv / 'lib').glob('python3*/site-packages')
    shutil.copytree(_GPG, packages / 'gpg')
    # Only the source archive contains the configuration templates.
    source = folder / f'{name}-source'
    version = next(
        line
        for line in _requirements(name).read_text('utf-8').splitlines()
        if line.startswith(_KEYLIME)
    )
    supervisor.run(
        f'{name}-source',
        [
            *pip,
            'download',
            '--no-deps',
            '--no-binary',
            ':all:',
            '-d',
            source,
            version,
        ],
        _SECONDS,
        variables,
    )
    (archive,) = source.glob('*.tar.gz')
    supervisor.run(
        f'{name}-templates',
        ['tar', 'xzf', archive, '--no-same-owner', '-C', source],
        _SECONDS,
    )
    (templates,) = source.glob('*/templates')
    defaults = folder / f'{name}-defaults'
    defaults.mkdir()
    supervisor.run(
        f'{name}-defaults',
        [
            python,
            '-m',
            'keylime.cmd.convert_config',
            '--defaults',
            '--templates',
            templates,
            '--out',
            defaults,
        ],
        _SECONDS,
    )
    shutil.rmtree(source)


def _prune(wanted: Environment) -> None:
    """Remove the other environments, unless a lab may still use them."""
    for old in wanted.folder.parent.iterdir():
        if (
            old.is_dir()
            and old != wanted.folder
            and time.time() - old.stat().st_mtime > _UNUSED_SECONDS
        ):
            shutil.rmtree(old)
