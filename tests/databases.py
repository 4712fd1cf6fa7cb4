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

"""SQLite as fast as Nova's functional tests can use it.

Each test has databases of its own, in files, and keeps them. Without this
module a third of the processor time of the tests goes into two things that are
the same each time:

* oslo.db opens a connection for each session and closes it afterwards, and
  SQLite reads the whole schema in each connection. Here connections are kept
  until the database is disposed of, as those to a real server are in
  production: a connection goes back without a transaction and without locks.
* SQLAlchemy translates a statement into SQL once for each engine, and each
  test has four new ones. Here the SQL is kept for all of them. It depends on
  the statement and on the dialect, and no data is in it.
"""

from collections.abc import Hashable
import functools
import types
import typing

from oslo_db.sqlalchemy import engines
import sqlalchemy
from sqlalchemy import pool
from sqlalchemy import util

#: The statements of all services in one test are about half as many.
_STATEMENTS = 3000


class KeptConnections(pool.QueuePool):
    """Connections to a file, as many as are asked for at once."""

    def __init__(self, creator: typing.Any, **options: typing.Any) -> None:
        # 0: all of them are kept. A file is always there: no ping is needed.
        super().__init__(
            creator,
            **options | {'pool_size': 0, 'use_lifo': True, 'pre_ping': False},
        )


class Statements(util.LRUCache):
    """The SQL of statements, for engines whose dialects do not differ.

    SQLAlchemy's keys begin with the dialect, which is an object of an engine.
    """

    def get(self, key: typing.Any, default: typing.Any = None) -> typing.Any:
        return super().get(_without_engine(key), default)

    def __setitem__(self, key: typing.Any, value: typing.Any) -> None:
        super().__setitem__(_without_engine(key), value)


def speed_up() -> None:
    """Use the above in all databases of this process that are files."""
    if engines.pool is not pool:
        return
    engines.pool = types.SimpleNamespace(
        **vars(pool) | {'NullPool': KeptConnections}
    )
    statements = Statements(_STATEMENTS)
    create = engines.create_engine

    @functools.wraps(create)
    def create_engine(*args: typing.Any, **options: typing.Any) -> typing.Any:
        engine: sqlalchemy.Engine = create(*args, **options)
        if isinstance(engine.pool, KeptConnections):
            engine.update_execution_options(compiled_cache=statements)
        return engine

    engines.create_engine = create_engine


def _without_engine(key: tuple[typing.Any, ...]) -> Hashable:
    dialect, *others = key
    return (type(dialect), *others)
