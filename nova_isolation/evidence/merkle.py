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

"""A log's Merkle tree: its head, and proofs about it (RFC 6962, section 2.1).

A head is the size of the log and the hash of all its entries. A proof of
inclusion shows that an entry is in the log that has this head. A proof of
consistency shows that one log contains all of an older one, in the same
order, so that nothing was removed, altered or inserted since then.
"""

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import hashlib

#: Bytes of a hash.
HASH_BYTES = 32
#: The longest proof that is checked: the logs of 64 bits have no longer one.
MAX_PATH = 64

#: Levels of a tile: only the roots of tiles, and what is above them, stay in
#: memory, a quarter of a byte for each entry.
_TILE_LEVELS = 8
_TILE = 1 << _TILE_LEVELS
#: How many tiles are kept that were read for proofs.
_KEPT_TILES = 64

#: The hashes of complete subtrees: level -> position at that level.
_Levels = list[list[bytes]]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry (RFC 6962: a leaf begins with a zero)."""
    return hashlib.sha256(b'\0' + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees, which begins with a one."""
    return hashlib.sha256(b'\1' + left + right).digest()


def empty_root() -> bytes:
    """Return the root of a log without entries."""
    return hashlib.sha256().digest()


class Tree:
    """The tree of a log that grows. Not safe for several threads."""

    def __init__(self, read: Callable[[int, int], Sequence[bytes]]) -> None:
        """:param read: returns the hashes of the leaves from one index to
        another one, as :func:`range` has it. It is called only for leaves
        that were added, a tile of 256 at a time.
        """
        self._read = read
        self._size = 0
        #: Of the last tile, which is not full.
        self._open: _Levels = [[] for _ in range(_TILE_LEVELS)]
        #: Of the roots of full tiles, and above them.
        self._above: list[bytearray] = []
        self._tiles: OrderedDict[int, _Levels] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf.

        :raises ValueError: it is no hash
        """
        if len(leaf) != HASH_BYTES:
            raise ValueError(f'a leaf hash of {len(leaf)} bytes')
        self._size += 1
        root = _push(self._open, leaf)
        if root is None:
            return
        self._keep(self._size // _TILE - 1, self._open)
        self._open = [[] for _ in range(_TILE_LEVELS)]
        level = 0
        while True:
            if level == len(self._above):
                self._above.append(bytearray())
            row = self._above[level]
            row += root
            if len(row) % (2 * HASH_BYTES):
                return
            root = node_hash(
                bytes(row[-2 * HASH_BYTES : -HASH_BYTES]),
                bytes(row[-HASH_BYTES:]),
            )
            level += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add the hashes of several leaves."""
        for one in leaves:
            self.append(one)

    def root(self, size: int | None = None) -> bytes:
        """Return the hash of the first entries.

        :param size: how many; None: all
        :raises ValueError: the log has fewer
        """
        size = self._size if size is None else size
        self._check(0 <= size <= self._size, f'the size {size}')
        return self._hash(0, size) if size else empty_root()

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the proof that an entry is one of the first entries.

        :param index: of the entry, from 0
        :param size: how many entries the head has; None: all
        :raises ValueError: there is no such entry, or the log has fewer
        """
        size = self._size if size is None else size
        self._check(
            0 <= index < size <= self._size, f'entry {index} of {size}'
        )
        path = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _left(end - start)
            if index < middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Return the proof that an older head is of the same log.

        :param old: how many entries the older head has, at least one
        :param size: how many the newer head has; None: all
        :raises ValueError: the log has fewer, or the older one has more
        """
        size = self._size if size is None else size
        self._check(
            0 < old <= size <= self._size, f'heads of {old} and {size}'
        )
        path = []
        start, end = 0, size
        while old != end:
            middle = start + _left(end - start)
            if old <= middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        if start:
            # Whoever checks has the older head alone, not this part of it.
            path.append(self._hash(start, end))
        return path[::-1]

    def _check(self, holds: bool, found: str) -> None:
        if not holds:
            raise ValueError(f'{found}, in a log of {self._size} entries')

    def _hash(self, start: int, end: int) -> bytes:
        """Return the hash of a subtree, as the recursion of the RFC has it.

        The left part of each subtree is complete, and begins at a multiple of
        its size.
        """
        size = end - start
        if not size & (size - 1):
            return self._complete(start, size.bit_length() - 1)
        middle = start + _left(size)
        return node_hash(self._hash(start, middle), self._hash(middle, end))

    def _complete(self, start: int, level: int) -> bytes:
        position = start >> level
        if level >= _TILE_LEVELS:
            row = self._above[level - _TILE_LEVELS]
            return bytes(
                row[position * HASH_BYTES : (position + 1) * HASH_BYTES]
            )
        tile = start >> _TILE_LEVELS
        return self._tile(tile)[level][
            position - (tile << (_TILE_LEVELS - level))
        ]

    def _tile(self, number: int) -> _Levels:
        if number == self._size >> _TILE_LEVELS:
            return self._open
        found = self._tiles.get(number)
        if found is None:
            found = [[] for _ in range(_TILE_LEVELS)]
            leaves = self._read(number * _TILE, (number + 1) * _TILE)
            if len(leaves) != _TILE:
                raise ValueError(
                    f'{len(leaves)} leaves of tile {number}, wanted {_TILE}'
                )
            for leaf in leaves:
                root = _push(found, leaf)
            if root != self._complete(number * _TILE, _TILE_LEVELS):
                raise ValueError(f'the leaves of tile {number} were altered')
        self._keep(number, found)
        return found

    def _keep(self, number: int, levels: _Levels) -> None:
        self._tiles[number] = levels
        self._tiles.move_to_end(number)
        if len(self._tiles) > _KEPT_TILES:
            self._tiles.popitem(last=False)


def check_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Return whether a proof of inclusion holds (RFC 9162, 2.1.3.2).

    :param leaf: the hash of the entry, computed by the caller
    :param index: of the entry, from 0
    :param size: how many entries the head has
    :param path: the proof
    :param root: of the head
    """
    if not 0 <= index < size or len(path) > MAX_PATH:
        return False
    # The positions of the entry and of the last entry, at each level.
    here, last, found = index, size - 1, leaf
    for other in path:
        if not last:
            return False
        if here & 1 or here == last:
            found = node_hash(other, found)
            # A last node without a neighbour has risen alone.
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, other)
        here, last = here >> 1, last >> 1
    return not last and found == root


def check_consistency(
    old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]
) -> bool:
    """Return whether a proof of consistency holds (RFC 9162, 2.1.4.2).

    :param old: how many entries the older head has. A head without entries
        is consistent with each other one, by no proof.
    :param size: how many entries the newer head has
    :param old_root: of the older head
    :param root: of the newer head
    :param path: the proof
    """
    if not 0 <= old <= size or len(path) > MAX_PATH:
        return False
    if not old:
        return not path and old_root == empty_root()
    if old == size:
        return not path and old_root == root
    path = list(path)
    if not old & (old - 1):
        # The older log is one complete subtree of the newer one.
        path.insert(0, old_root)
    if not path:
        return False
    here, last = old - 1, size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    found_old = found = path[0]
    for other in path[1:]:
        if not last:
            return False
        if here & 1 or here == last:
            found_old = node_hash(other, found_old)
            found = node_hash(other, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, other)
        here, last = here >> 1, last >> 1
    return not last and found_old == old_root and found == root


def _left(size: int) -> int:
    """Return the size of the left part: the largest power of 2 below size."""
    return 1 << ((size - 1).bit_length() - 1)


def _push(levels: _Levels, leaf: bytes) -> bytes | None:
    """Add a leaf to a tile.

    :returns: the root, when the tile is full
    """
    found = leaf
    for row in levels:
        row.append(found)
        if len(row) & 1:
            return None
        found = node_hash(row[-2], row[-1])
    return found
