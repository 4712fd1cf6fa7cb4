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

"""Reads the whole cloud from Nova's databases: API database and all cells."""

from collections.abc import Iterable
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import logging
import time
import typing

from oslo_db import exception as db_exception
from oslo_utils import strutils

from nova_isolation.cloud import cells
from nova_isolation.cloud import compute_nodes
from nova_isolation.cloud import flavors
from nova_isolation.cloud import placement_traits
from nova_isolation.cloud import servers
from nova_isolation.host import bounded_calls
from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.report import picture
from nova_isolation.report import server

LOG = logging.getLogger(__name__)

#: How many cells are read at once.
_CELLS_AT_ONCE = 8

#: Seconds that the reading of a cell may take by default.
_CELL_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class _Cell:
    """What a cell held when it was last read."""

    nodes: list[picture.ComputeNode] = dataclasses.field(default_factory=list)
    servers: list[server.Server] = dataclasses.field(default_factory=list)


class ApiDatabaseUnread(errors.IsolationError):
    """Nova's API database cannot be read; the message has no credentials."""


class CloudReader:
    """Makes pictures of the cloud, one after the other.

    A cell that cannot be read does not hide the others: its hosts of the last
    reading are kept, in a state that says that Nova cannot use them, as the
    scheduler does not use a cell that does not answer. The cells are read at
    the same time, so one whose database hangs does not delay the others for
    longer than the limit, and it occupies one thread until its reading ends.
    """

    def __init__(
        self,
        cell_connection: str = '',
        cell_seconds: float = _CELL_SECONDS,
        placement_patience: float = placement_traits.PATIENCE,
    ) -> None:
        """:param cell_connection: see
            :func:`nova_isolation.cloud.cells.connection`

        :param cell_seconds: how long the reading of a cell may take
        :param placement_patience: for how many seconds a reading waits for
            placement; whoever reads once only has no later answer to hope for
        """
        self._connection = cell_connection
        self._cell_seconds = cell_seconds
        self._calls = bounded_calls.BoundedCalls(cell_seconds)
        #: UUID of a cell -> what it held when it was last read
        self._last: dict[str, _Cell] = {}
        self._traits = placement_traits.KeptTraits(patience=placement_patience)

    def read(self) -> picture.Picture:
        """Read everything. For one thread at a time.

        :raises ApiDatabaseUnread: the API database cannot be read
        """
        began = time.time()
        try:
            found = tuple(flavors.every())
            mappings = cells.every(self._connection)
        except cells.CellConnectionError as error:
            raise ApiDatabaseUnread(str(error)) from None
        except Exception as error:
            # A database may be away in many ways.
            raise ApiDatabaseUnread(
                f'the API database cannot be read: {why(error)}'
            ) from error
        nodes: list[picture.ComputeNode] = []
        tagged: list[server.Server] = []
        unread = []
        for cell, read in zip(mappings, self._read_all(mappings), strict=True):
            if isinstance(read, _Cell):
                self._last[cell.uuid] = read
                nodes += read.nodes
            else:
                name, reason = compute_nodes.cell_name(cell), read
                LOG.warning(
                    'Cell %(cell)s cannot be read, so its hosts count as '
                    'unusable: %(reason)s',
                    {'cell': name, 'reason': reason},
                )
                unread.append(picture.UnreadCell(name, reason))
                nodes += [
                    dataclasses.replace(
                        node, state=f'is in cell {name}, which cannot be read'
                    )
                    for node in self._last.get(cell.uuid, _Cell()).nodes
                ]
            tagged += self._last.get(cell.uuid, _Cell()).servers
        for gone in set(self._last) - {cell.uuid for cell in mappings}:
            del self._last[gone]
        held, trouble = self._traits.now()
        return picture.Picture(
            began,
            tuple(sorted(nodes, key=lambda node: (node.host, node.uuid))),
            found,
            tuple(sorted(unread, key=lambda one: one.cell)),
            tuple(sorted(tagged, key=lambda one: one.uuid)),
            held,
            trouble,
        )

    def _read_all(
        self, mappings: Sequence[typing.Any]
    ) -> Iterable[_Cell | str]:
        """Read cells.

        :returns: for each cell what it holds, or why it cannot be read
        """
        if not mappings:
            return []
        # Each of these threads ends in time, because none waits for longer
        # than the limit for the thread that reads.
        with futures.ThreadPoolExecutor(
            min(len(mappings), _CELLS_AT_ONCE), 'isolation-cell'
        ) as pool:
            return list(pool.map(self._read_one, mappings))

    def _read_one(self, cell: typing.Any) -> _Cell | str:
        try:
            return self._calls.call(
                f'cell {cell.uuid}',
                lambda: _Cell(
                    compute_nodes.of_cell(cell), servers.of_cell(cell)
                ),
            )
        except TimeoutError:
            return (
                'its database has not answered within '
                f'{self._cell_seconds:g} s'
            )
        except Exception as error:
            # The database of one cell may be away in many ways.
            return why(error)


def compute_nodes_of_all_cells() -> list[picture.ComputeNode]:
    """Return the compute nodes of all cells, sorted by host.

    :raises Exception: a database cannot be read
    """
    nodes: list[picture.ComputeNode] = []
    for cell in cells.every():
        nodes += compute_nodes.of_cell(cell)
    return sorted(nodes, key=lambda node: (node.host, node.uuid))


def why(error: Exception) -> str:
    """Return why a database could not be read, without credentials.

    The text of an error of a database driver may hold the statement and its
    parameters; only its class and, for a lost connection, its own words are
    used.
    """
    words = type(error).__name__
    if isinstance(error, db_exception.DBConnectionError):
        inner = error.inner_exception
        cause = getattr(inner, 'orig', None) or inner
        words += f': {strutils.mask_password(str(cause))}'
    return printable.one_line(words, 300)
