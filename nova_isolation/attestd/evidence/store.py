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

"""The tables of the log and of the keys, in SQLite or PostgreSQL."""

from collections.abc import Iterator
import contextlib
import typing

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy import exc

from nova_isolation.model import errors

_METADATA = sa.MetaData()

#: The log. Nothing is ever removed from it but the content of old entries;
#: their hashes stay, so that proofs about all others stay possible.
ENTRIES = sa.Table(
    'evidence_entries',
    _METADATA,
    sa.Column('index', sa.BigInteger, primary_key=True, autoincrement=False),
    #: The hash of the entry.
    sa.Column('leaf', sa.LargeBinary(32), nullable=False),
    #: When it was taken, seconds since the epoch.
    sa.Column('time', sa.BigInteger, nullable=False),
    # The rest is null when its time was over, and in an entry about a key
    # all but the entry.
    #: The name of the statement.
    sa.Column('content', sa.String(64), unique=True),
    #: The UUID of the server, and for whom the statement is.
    sa.Column('server', sa.String(36)),
    sa.Column('audience', sa.String(8)),
    #: The entry and the envelope, JSON.
    sa.Column('entry', sa.Text),
    sa.Column('envelope', sa.Text),
    sa.Index('evidence_entries_server', 'server', 'audience', 'index'),
    sa.Index('evidence_entries_time', 'time'),
)

#: The newest signed head: one row.
HEAD = sa.Table(
    'evidence_head',
    _METADATA,
    sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),
    sa.Column('head', sa.Text, nullable=False),
)

#: The keys of hosts.
KEYS = sa.Table(
    'evidence_keys',
    _METADATA,
    sa.Column('key_id', sa.String(64), primary_key=True),
    sa.Column('kind', sa.String(8), nullable=False),
    sa.Column('public', sa.Text, nullable=False),
    sa.Column('host', sa.String(255), nullable=False),
    #: The agent of the host; '' for a key in a file.
    sa.Column('agent', sa.String(255), nullable=False),
    sa.Column('state', sa.String(8), nullable=False),
    #: When the state was entered, seconds since the epoch, and why.
    sa.Column('since', sa.BigInteger, nullable=False),
    sa.Column('why', sa.String(255), nullable=False),
    sa.Index('evidence_keys_agent', 'agent'),
)

#: Events of keys that the log does not have yet: entries, JSON. Commands write
#: them as well, which do not write the log.
KEY_EVENTS = sa.Table(
    'evidence_key_events',
    _METADATA,
    sa.Column('id', sa.Integer, primary_key=True, autoincrement=True),
    sa.Column('time', sa.BigInteger, nullable=False),
    sa.Column('entry', sa.Text, nullable=False),
)

#: The keys of a TPM that an agent had at its first enrollment.
PINS = sa.Table(
    'evidence_pins',
    _METADATA,
    sa.Column('agent', sa.String(255), primary_key=True),
    sa.Column('ek', sa.LargeBinary, nullable=False),
    sa.Column('ak', sa.LargeBinary, nullable=False),
)


class StoreError(errors.IsolationError):
    """The storage cannot be used; the message says why."""


class Store:
    """A database. Belongs to one thread at a time."""

    def __init__(self, url: str) -> None:
        """:param url: of SQLAlchemy

        :raises StoreError: it cannot be used
        """
        try:
            self._engine = sa.create_engine(url)
        except (exc.SQLAlchemyError, ImportError) as error:
            # The words might have the password.
            raise StoreError(
                'wanted a URL of SQLAlchemy whose driver is installed, found '
                f'{type(error).__name__}'
            ) from None
        if self._engine.dialect.name == 'sqlite':
            event.listen(self._engine, 'connect', _configure_sqlite)
        with self.begin() as connection:
            _METADATA.create_all(connection)

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Run a transaction, which is durable when this returns.

        :raises StoreError: it has failed, and nothing of it was done
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.SQLAlchemyError as error:
            # The whole text would repeat the values.
            cause = getattr(error, 'orig', None) or error
            raise StoreError(
                f'the database of [evidence] failed: {type(cause).__name__}: '
                f'{str(cause)[:200]}'
            ) from None

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


def _configure_sqlite(connection: typing.Any, record: typing.Any) -> None:
    """Let the administrator's commands read and write meanwhile.

    A transaction that was committed survives a loss of power. An entry is a
    little larger than half of SQLite's usual page, so that each took a whole
    one; a database that exists keeps its pages.
    """
    cursor = connection.cursor()
    cursor.execute('PRAGMA page_size = 16384')
    cursor.execute('PRAGMA journal_mode = WAL')
    cursor.execute('PRAGMA synchronous = FULL')
    cursor.execute('PRAGMA busy_timeout = 10000')
    cursor.close()
