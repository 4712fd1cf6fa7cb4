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

"""What the functional tests keep of their databases."""

from pathlib import Path
import tempfile
import unittest

import sqlalchemy

from tests import databases

_TABLE = sqlalchemy.table('one', sqlalchemy.column('word'))


class DatabasesTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.statements = databases.Statements(10)

    def engine(self, name: str) -> sqlalchemy.Engine:
        """A database in a file, with one word in it: its name."""
        engine = sqlalchemy.create_engine(
            f'sqlite:///{self.folder / name}',
            poolclass=databases.KeptConnections,
        )
        self.addCleanup(engine.dispose)
        engine.update_execution_options(compiled_cache=self.statements)
        with engine.begin() as connection:
            connection.exec_driver_sql('create table one (word text)')
            connection.execute(_TABLE.insert(), {'word': name})
        return engine

    def words(self, engine: sqlalchemy.Engine) -> list[str]:
        with engine.connect() as connection:
            return list(connection.scalars(sqlalchemy.select(_TABLE.c.word)))

    def test_a_connection_is_kept_without_its_transaction(self) -> None:
        engine = self.engine('a')
        with engine.connect() as connection:
            first = connection.connection.dbapi_connection
            connection.execute(_TABLE.insert(), {'word': 'not committed'})
        with engine.connect() as connection:
            self.assertIs(first, connection.connection.dbapi_connection)
        self.assertEqual(['a'], self.words(engine))

    def test_more_connections_than_a_pool_has_by_default(self) -> None:
        engine = self.engine('a')
        opened = [engine.connect() for _ in range(30)]
        for connection in opened:
            self.addCleanup(connection.close)
        self.assertEqual(
            30, len({one.connection.dbapi_connection for one in opened})
        )

    def test_disposed_of(self) -> None:
        engine = self.engine('a')
        with engine.connect() as connection:
            first = connection.connection.dbapi_connection
        engine.dispose()
        with engine.connect() as connection:
            self.assertIsNot(first, connection.connection.dbapi_connection)
        with self.assertRaisesRegex(Exception, 'closed'):
            first.execute('select 1')

    def test_sql_is_kept_and_data_is_not(self) -> None:
        first, second = self.engine('a'), self.engine('b')
        self.assertEqual(['a'], self.words(first))
        kept = len(self.statements)
        self.assertEqual(['b'], self.words(second))
        self.assertEqual(['a'], self.words(first))
        self.assertEqual(kept, len(self.statements))
