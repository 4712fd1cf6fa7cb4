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

"""Fetches Debian's sources of QEMU.

They are those of the archives that apt of this machine has, in the release of
the QEMU that is installed. apt works in folders of the caller: what this
machine knows of its archives does not change.
"""

from pathlib import Path
import re

from lab.machine import sources as archives
from lab.run import errors
from lab.run import supervisor as supervisors

_PACKAGE = 'qemu'
_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
_SECONDS = 900
#: What a suite of Debian is called in VERSION_CODENAME of os-release(5).
_CODENAME = re.compile(r'^VERSION_CODENAME=(\w+)$', re.M)


def version(supervisor: supervisors.Supervisor) -> str:
    """The version of the installed QEMU's source package, without its epoch.

    :raises LabError: when QEMU is not installed from a package
    """
    result = supervisor.output(
        [
            'dpkg-query',
            '-W',
            '-f',
            '${source:Version}',
            'qemu-system-x86',
        ]
    )
    if result.returncode or not result.stdout:
        raise errors.LabError(f'qemu-system-x86: {result.stderr}')
    return result.stdout.rpartition(':')[2]


def release(version: str) -> str:
    """The release of QEMU of a version, e.g. ``7.2``."""
    return '.'.join(re.split('[.+~-]', version)[:2])


def fetch(supervisor: supervisors.Supervisor, folder: Path) -> Path:
    """Fetch and unpack the newest sources that the archives have.

    :param folder: an empty folder
    :returns: the folder of the unpacked sources
    :raises LabError: when they cannot be fetched
    """
    lists, cache = folder / 'lists', folder / 'cache'
    for path in (lists / 'partial', cache / 'archives' / 'partial'):
        path.mkdir(parents=True)
    listed = folder / 'sources.list'
    listed.write_text(
        ''.join(f'{line}\n' for line in _lines(supervisor)), 'ascii'
    )
    options = [
        f'Dir::Etc::SourceList={listed}',
        'Dir::Etc::SourceParts=/dev/null',
        f'Dir::State::Lists={lists}',
        f'Dir::Cache={cache}',
        # The folder is one of root alone.
        'APT::Sandbox::User=root',
    ]
    apt = ['apt-get', '-q', *(w for o in options for w in ('-o', o))]
    supervisor.run(
        'sources-update',
        [*apt, 'update'],
        _SECONDS,
        archives.environment(supervisor),
    )
    unpacked = folder / 'unpacked'
    unpacked.mkdir()
    supervisor.run(
        'sources-fetch',
        ['sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', unpacked, *apt,
         'source', _PACKAGE],
        _SECONDS,
        archives.environment(supervisor),
    )  # fmt: skip
    found = [path for path in unpacked.iterdir() if path.is_dir()]
    if len(found) != 1:
        raise errors.LabError(
            f'the sources of {_PACKAGE} unpacked to {found}; wanted one folder'
        )
    return found[0]


def _lines(supervisor: supervisors.Supervisor) -> list[str]:
    """The lines of sources.list for the sources of this machine's Debian."""
    text = Path('/etc/os-release').read_text('utf-8')
    found = _CODENAME.search(text)
    if found is None:
        raise errors.LabError('/etc/os-release names no suite of Debian')
    return [
        line.replace('deb ', f'deb-src [signed-by={_KEYRING}] ', 1)
        for line in archives.debian(supervisor, found[1])
    ]
