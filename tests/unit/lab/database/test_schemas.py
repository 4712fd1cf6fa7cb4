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


"""Tests of lab.database.schemas, without MariaDB and the projects."""

from collections.abc import Callable
from pathlib import Path
import subprocess
import tempfile
from typing import Any
import unittest
from unittest import mock

from lab.daemons import mariadb
from lab.database import schemas


class SchemasTest(unittest.TestCase):
    """What is made once, and what is read from the cache."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = 'mariadbd Ver 11.8.2'
        self.versions = {'glance': '33.0.0', 'nova': '34.0.0'}
        self.dump = mock.Mock(side_effect=lambda *words: f'-- {words[-1]}')
        self.load = mock.Mock()
        for target, name, value in (
            (schemas.layouts, 'cache', lambda: Path(folder.name)),
            (schemas.metadata, 'version', self._version),
            (mariadb, 'dump', self.dump),
            (mariadb, 'load', self.load),
        ):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.supervisor = mock.Mock()
        self.supervisor.output.side_effect = self._output
        self.schemas = schemas.Schemas(self.supervisor, mock.MagicMock())

    def _version(self, name: str) -> str:
        return self.versions.get(name, '1.0')

    def _output(self, *_words: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, self.server, '')

    def programs(self) -> list[str]:
        """The programs that ran since the last call."""
        names = [call.args[0] for call in self.supervisor.run.mock_calls]
        self.supervisor.run.reset_mock()
        return names

    def test_made_once(self) -> None:
        self.schemas.nova()
        self.assertEqual(['nova-tables', 'nova-cells'], self.programs())
        self.load.assert_not_called()

        self.schemas.nova()
        # The cells have this cloud's own ports and passwords.
        self.assertEqual(['nova-cells'], self.programs())
        self.assertEqual(
            [(name, f'-- {name}') for name in mariadb.NOVA_DATABASES],
            [call.args[2:] for call in self.load.mock_calls],
        )

    def test_another_version(self) -> None:
        self.schemas.glance()
        self.programs()
        changes: tuple[Callable[[], None], ...] = (
            lambda: self.versions.update(glance='33.0.1'),
            lambda: self.versions.update(alembic='1.21'),
            lambda: setattr(self, 'server', 'mariadbd Ver 12.0.1'),
        )
        for change in changes:
            change()
            self.schemas.glance()
            self.assertEqual(['glance-tables'], self.programs())
        self.load.assert_not_called()

    def test_interrupted(self) -> None:
        """Some of a project's databases were kept, and not all."""
        self.dump.side_effect = ['-- one', KeyboardInterrupt]
        with self.assertRaises(KeyboardInterrupt):
            self.schemas.nova()
        self.programs()
        self.dump.side_effect = None
        self.dump.return_value = '-- whole'

        self.schemas.nova()
        self.assertEqual(['nova-tables', 'nova-cells'], self.programs())
        self.load.assert_not_called()

    def test_source_folder(self) -> None:
        """Two states of it may have the same version."""
        self.versions['glance'] = '34.0.0.dev12'
        for _ in range(2):
            self.schemas.glance()
            self.assertEqual(['glance-tables'], self.programs())
        self.dump.assert_not_called()
        self.load.assert_not_called()
