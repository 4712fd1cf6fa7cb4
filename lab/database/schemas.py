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

"""The databases of the projects: made once, then copied.

A project makes its tables by the hundred migrations of its history, which
takes most of the processor time of a cloud's start. What they leave behind
depends on the versions of the project, of what it migrates with and of MariaDB
alone. It is kept in the cache, as SQL, and read from there by the next cloud.
"""

from collections.abc import Sequence
import hashlib
from importlib import metadata
import os
from pathlib import Path
import sys

from packaging import version as versions

from lab.config import site as sites
from lab.daemons import mariadb
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

_PROGRAMS = layouts.CHECKOUT / 'lab' / 'database'
_SECONDS = 900
#: Niceness of the databases for which few steps wait.
_NICE = 10
#: What the projects migrate with.
_MIGRATES = ('alembic', 'neutron-lib', 'oslo.db', 'SQLAlchemy')


class Schemas:
    """Makes the databases of one cloud, in an empty MariaDB."""

    def __init__(
        self, supervisor: supervisors.Supervisor, site: sites.Site
    ) -> None:
        self._supervisor = supervisor
        self._site = site

    def keystone(self) -> None:
        """Make Keystone's tables, keys, administrator and endpoint."""
        etc = self._site.layout.etc
        conf = etc / 'keystone' / 'keystone.conf'
        self._tables(
            'keystone',
            ['keystone'],
            [
                layouts.BIN / 'keystone-manage',
                '--config-file',
                conf,
                'db_sync',
            ],
        )
        for folder in ('fernet', 'credential'):
            path = self._site.layout.data / 'keystone' / folder
            path.mkdir(mode=0o700)
        self._supervisor.run(
            'keystone-set-up',
            [
                sys.executable,
                '-P',
                _PROGRAMS / 'keystone_set_up.py',
                conf,
                self._site.url('keystone'),
                sites.REGION,
            ],
            _SECONDS,
            {'OS_BOOTSTRAP_PASSWORD': self._site.passwords['admin']},
        )

    def nova(self) -> None:
        """Make the tables of Nova's API and cells, and map the cells."""
        conf = self._site.layout.nova_conf
        cell0 = self._site.layout.etc / 'nova' / 'cell0.conf'
        self._tables(
            'nova',
            mariadb.NOVA_DATABASES,
            [sys.executable, '-P', _PROGRAMS / 'nova_schema.py', conf, cell0],
        )
        self._supervisor.run(
            'nova-cells',
            [
                sys.executable,
                '-P',
                _PROGRAMS / 'nova_cells.py',
                conf,
                sites.CELL_DATABASE + 'nova_cell1',
                sites.CELL_DATABASE + 'nova_cell0',
                sites.CELL_TRANSPORT,
            ],
            _SECONDS,
        )

    def neutron(self) -> None:
        """Make Neutron's tables."""
        conf = self._site.layout.etc / 'neutron' / 'neutron.conf'
        self._tables(
            'neutron',
            ['neutron'],
            [
                layouts.BIN / 'neutron-db-manage',
                '--config-file',
                conf,
                'upgrade',
                'heads',
            ],
            _NICE,
        )

    def placement(self) -> None:
        """Make Placement's tables."""
        conf = self._site.layout.etc / 'placement' / 'placement.conf'
        self._tables(
            'openstack-placement',
            ['placement'],
            [
                layouts.BIN / 'placement-manage',
                '--config-file',
                conf,
                'db',
                'sync',
            ],
        )

    def glance(self) -> None:
        """Make Glance's tables."""
        conf = self._site.layout.etc / 'glance' / 'glance-api.conf'
        self._tables(
            'glance',
            ['glance'],
            [layouts.BIN / 'glance-manage', '--config-file', conf, 'db_sync'],
            _NICE,
        )

    def _tables(
        self,
        project: str,
        databases: Sequence[str],
        migrate: Sequence[str | Path],
        nice: int = 0,
    ) -> None:
        """Fill empty databases.

        :param project: the name of the project's distribution
        :param migrate: the command that makes the tables of all of them
        :raises LabError: when it fails
        """
        folder = self._folder(project)
        kept = [folder / f'{name}.sql' for name in databases] if folder else []
        if kept and all(file.exists() for file in kept):
            for name, file in zip(databases, kept, strict=True):
                mariadb.load(
                    self._supervisor, self._site, name, file.read_text('utf-8')
                )
            return
        self._supervisor.run(f'{project}-tables', migrate, _SECONDS, nice=nice)
        for file in kept:
            text = mariadb.dump(self._supervisor, self._site, file.stem)
            _keep(file, text)

    def _folder(self, project: str) -> Path | None:
        """Where the SQL of a project is kept.

        :returns: None for a version that is no release: two states of a source
            folder may have the same
        """
        if versions.Version(metadata.version(project)).is_devrelease:
            return None
        server = self._supervisor.output(['mariadbd', '--version']).stdout
        inputs = [f'{name} {metadata.version(name)}' for name in _MIGRATES]
        digest = hashlib.sha256('\n'.join([server, *inputs]).encode())
        name = f'{project}-{metadata.version(project)}'
        return (
            layouts.cache() / 'schemas' / f'{name}-{digest.hexdigest()[:16]}'
        )


def _keep(file: Path, text: str) -> None:
    """Write a file whole: another cloud may do so at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f'.{os.getpid()}')
    part.write_text(text, 'utf-8')
    part.replace(file)
