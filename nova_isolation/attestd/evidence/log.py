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

"""The log: entries are added, and nothing of it is changed or removed.

Who has kept a head finds out whether something was. Only the content of old
entries is removed, where the administrator has said after how long.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import logging
import time
import typing

from securesystemslib import signer as signers
import sqlalchemy as sa

from nova_isolation.attestd.evidence import store as stores
from nova_isolation.evidence import errors as bad
from nova_isolation.evidence import head as heads
from nova_isolation.evidence import merkle
from nova_isolation.evidence import receipt as receipts
from nova_isolation.evidence import strict_json
from nova_isolation.model import errors

LOG = logging.getLogger(__name__)

#: How many rows are read, or emptied, at once.
_ROWS = 10_000
#: The most values of one query; SQLite has limits.
_VALUES = 500

_ENTRIES = stores.ENTRIES.c
_EVENTS = stores.KEY_EVENTS


class LogError(errors.IsolationError):
    """The log was altered, or does not belong to the key."""


class New(typing.NamedTuple):
    """A statement that is to be added.

    :ivar entry: what the log says about it
    :ivar server: the UUID of the server
    :ivar audience: for whom it is
    :ivar envelope: its envelope, JSON
    """

    entry: receipts.Entry
    server: str
    audience: str
    envelope: str


class Log:
    """One log, with its key. Belongs to one thread at a time."""

    def __init__(self, store: stores.Store, signer: signers.Signer) -> None:
        """Read the log, which takes a second for each million entries.

        :param store: where it is
        :param signer: signs its heads
        :raises LogError: the entries are not those of the last head
        :raises nova_isolation.attestd.evidence.store.StoreError: the database
            cannot be used
        """
        self._store = store
        self._signer = signer
        self._load()

    @property
    def head(self) -> Mapping[str, typing.Any]:
        """The newest signed head: its envelope, JSON values."""
        return self._head

    def _load(self) -> None:
        self._tree: merkle.Tree | None = None
        tree = merkle.Tree(self._leaves)
        with self._store.begin() as connection:
            while rows := connection.execute(
                sa.select(_ENTRIES.index, _ENTRIES.leaf)
                .where(_ENTRIES.index >= len(tree))
                .order_by(_ENTRIES.index)
                .limit(_ROWS)
            ).all():
                for index, leaf in rows:
                    if index != len(tree) or len(leaf) != merkle.HASH_BYTES:
                        raise LogError(
                            f'the log was altered: wanted entry {len(tree)}, '
                            f'found entry {index}'
                        )
                    tree.append(leaf)
            found = connection.scalar(sa.select(stores.HEAD.c.head))
            if found is None:
                if len(tree):
                    raise LogError('the log was altered: its head is missing')
                self._head = self._seal(tree)
                self._write_head(connection, self._head)
            else:
                self._head = json.loads(found)
                self._check(tree)
        self._tree = tree

    def _check(self, tree: merkle.Tree) -> None:
        """Refuse entries that are not those of the last head."""
        try:
            head, _ = heads.read(self._head, [self._signer.public_key])
        except bad.BadEvidence as error:
            raise LogError(
                'the head of the log is not one that [evidence] log_key_file '
                f'has signed: {error}. A new key needs a new, empty database'
            ) from error
        if (head.size, head.root) != (len(tree), tree.root()):
            raise LogError(
                f'the log was altered: its head has {head.size} entries with '
                f'the hash {head.root.hex()}, found {len(tree)} entries with '
                f'the hash {tree.root().hex()}'
            )

    def append(self, new: Sequence[New]) -> list[receipts.Receipt]:
        """Add statements, sign the new head, and return the receipts.

        A statement that the log has already is not added again.

        :param new: in their order
        :returns: one for each of them, durable
        :raises nova_isolation.attestd.evidence.store.StoreError: nothing was
            added
        """
        tree, head = self._usable(), self._head
        try:
            with self._store.begin() as connection:
                known = self._known(
                    connection, [one.entry.content for one in new]
                )
                added = []
                for one in new:
                    if one.entry.content in known:
                        continue
                    data = receipts.dumps_entry(one.entry)
                    leaf = merkle.leaf_hash(data)
                    known[one.entry.content] = (len(tree), data)
                    added.append(
                        {
                            'index': len(tree),
                            'leaf': leaf,
                            'time': one.entry.time,
                            'content': one.entry.content,
                            'server': one.server,
                            'audience': one.audience,
                            'entry': data.decode('ascii'),
                            'envelope': one.envelope,
                        }
                    )
                    tree.append(leaf)
                if added:
                    connection.execute(sa.insert(stores.ENTRIES), added)
                    head = self._seal(tree)
                    self._write_head(connection, head)
        except BaseException:
            # The tree may have what the storage has not.
            self._tree = None
            raise
        # Not before it is durable: nobody else has signed this head.
        self._head = head
        return [self._receipt(*known[one.entry.content]) for one in new]

    def append_key_events(self) -> int:
        """Add what became of keys since the last call.

        :returns: how many entries were added
        :raises nova_isolation.attestd.evidence.store.StoreError: none was
        """
        tree = self._usable()
        with self._store.begin() as connection:
            found = connection.execute(
                sa.select(_EVENTS).order_by(_EVENTS.c.id)
            ).all()
        if not found:
            return 0
        try:
            with self._store.begin() as connection:
                for number, at, entry in found:
                    leaf = merkle.leaf_hash(entry.encode('ascii'))
                    connection.execute(
                        sa.insert(stores.ENTRIES).values(
                            index=len(tree), leaf=leaf, time=at, entry=entry
                        )
                    )
                    connection.execute(
                        sa.delete(_EVENTS).where(_EVENTS.c.id == number)
                    )
                    tree.append(leaf)
                head = self._seal(tree)
                self._write_head(connection, head)
        except BaseException:
            self._tree = None
            raise
        self._head = head
        return len(found)

    def newest(
        self, server: str, audience: str
    ) -> dict[str, typing.Any] | None:
        """Return the bundle of the newest statement about a server.

        :returns: JSON values; None: the log has none, or no longer
        """
        self._usable()
        with self._store.begin() as connection:
            row = connection.execute(
                sa.select(_ENTRIES.index, _ENTRIES.entry, _ENTRIES.envelope)
                .where(
                    _ENTRIES.server == server, _ENTRIES.audience == audience
                )
                .order_by(_ENTRIES.index.desc())
                .limit(1)
            ).one_or_none()
        if row is None:
            return None
        index, entry, envelope = row
        receipt = self._receipt(index, entry.encode('ascii'))
        return {
            'envelope': json.loads(envelope),
            'receipt': receipts.dumps(receipt),
        }

    def consistency(self, old: int) -> dict[str, typing.Any]:
        """Return the newest head, and the proof that it has an older one.

        :param old: how many entries the older head has
        :returns: JSON values, ``{"head": ..., "path": [...]}``
        :raises ValueError: the log has fewer
        """
        tree = self._usable()
        if not 0 <= old <= len(tree):
            raise ValueError(f'{old} of {len(tree)} entries')
        path = tree.consistency(old) if old else []
        return {'head': self._head, 'path': [one.hex() for one in path]}

    def entries(self, first: int, count: int) -> list[dict[str, typing.Any]]:
        """Return entries, for somebody who computes the head himself.

        :returns: ``{"leaf": ..., "entry": ...}``; the entry is null if its
            time was over
        """
        with self._store.begin() as connection:
            return [
                {'leaf': leaf.hex(), 'entry': entry}
                for leaf, entry in connection.execute(
                    sa.select(_ENTRIES.leaf, _ENTRIES.entry)
                    .where(
                        _ENTRIES.index >= first,
                        _ENTRIES.index < first + count,
                    )
                    .order_by(_ENTRIES.index)
                ).all()
            ]

    def remove_content(self, before: float) -> int:
        """Remove the content of entries that are older; the hashes stay.

        What became of keys stays too, by which statements are judged.

        :param before: seconds since the epoch
        :returns: of how many, at most ten thousand at each call
        """
        old = (
            sa.select(_ENTRIES.index)
            .where(_ENTRIES.time < before, _ENTRIES.envelope.is_not(None))
            .order_by(_ENTRIES.index)
            .limit(_ROWS)
            .scalar_subquery()
        )
        with self._store.begin() as connection:
            return connection.execute(
                sa.update(stores.ENTRIES)
                .where(_ENTRIES.index.in_(old))
                .values(
                    content=None,
                    server=None,
                    audience=None,
                    entry=None,
                    envelope=None,
                )
            ).rowcount

    def _usable(self) -> merkle.Tree:
        if self._tree is None:
            self._load()
        assert self._tree is not None  # noqa: S101  # nosec B101
        return self._tree

    def _leaves(self, start: int, end: int) -> list[bytes]:
        with self._store.begin() as connection:
            return list(
                connection.scalars(
                    sa.select(_ENTRIES.leaf)
                    .where(_ENTRIES.index >= start, _ENTRIES.index < end)
                    .order_by(_ENTRIES.index)
                )
            )

    def _known(
        self, connection: sa.Connection, contents: Sequence[str]
    ) -> dict[str, tuple[int, bytes]]:
        """Return the entries that the log has already, by their content."""
        found = {}
        for start in range(0, len(contents), _VALUES):
            for content, number, entry in connection.execute(
                sa.select(
                    _ENTRIES.content, _ENTRIES.index, _ENTRIES.entry
                ).where(
                    _ENTRIES.content.in_(contents[start : start + _VALUES])
                )
            ):
                found[content] = (number, entry.encode('ascii'))
        return found

    def _receipt(self, index: int, entry: bytes) -> receipts.Receipt:
        return receipts.Receipt(
            entry,
            index,
            tuple(self._usable().inclusion(index)),
            self._head,
        )

    def _seal(self, tree: merkle.Tree) -> dict[str, typing.Any]:
        return heads.seal(
            heads.Head(len(tree), tree.root(), int(time.time())), self._signer
        )

    def _write_head(
        self, connection: sa.Connection, head: dict[str, typing.Any]
    ) -> None:
        connection.execute(sa.delete(stores.HEAD))
        connection.execute(
            sa.insert(stores.HEAD).values(
                id=1, head=strict_json.dumps(head).decode('ascii')
            )
        )
