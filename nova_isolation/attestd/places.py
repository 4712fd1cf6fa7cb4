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
"""Who may be connected to a port, where more want to be than there is room.

The address or certificate that has most connections gives way first, and of
those that have equally many, the one that came last. So nobody can take the
places of all others, however many connections he makes, and those who were
there stay.
"""

from collections.abc import Callable
from collections.abc import Hashable
import ipaddress
import math
import time
import typing

#: Bits of an IPv6 address that count: one machine has all addresses of its
#: network.
_IPV6_BITS = 64
#: Seconds after which somebody who has left can be forgotten.
_FORGET_SECONDS = 3600.0
#: The part of the places in the handshake to which a network with many clients
#: has a right, as a divisor.
_SHARES = 16


class Connection(typing.Protocol):
    """A connection that can be made to give way."""

    def abort(self) -> None:
        """Close the connection at once."""


def network(address: str) -> str:
    """Return what counts as one address.

    :param address: as :meth:`socket.socket.accept` returns the address
    """
    try:
        found = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_BITS), strict=False))


class Acquaintances:
    """When each peer was first there, for a limited number of peers."""

    def __init__(self, limit: int) -> None:
        """:param limit: how many peers are remembered"""
        self._limit = limit
        #: peer -> when it was first and last there, by the monotonic clock,
        #: and with how many clients at most; the one that was last there
        #: longest ago comes first
        self._times: dict[Hashable, tuple[float, float, int]] = {}

    def greet(self, peer: Hashable, number: int = 1) -> None:
        """Remember that a peer is there now.

        When the memory is full, only a peer who has not been there for an
        hour is forgotten. Otherwise somebody with many addresses could make
        us forget all others.

        :param number: how many clients the peer has now
        """
        now = time.monotonic()
        first, _, most = self._times.pop(peer, (now, now, 1))
        if len(self._times) >= self._limit:
            oldest = next(iter(self._times))
            if self._times[oldest][1] > now - _FORGET_SECONDS:
                return
            del self._times[oldest]
        self._times[peer] = first, now, max(most, number)

    def since(self, peer: Hashable) -> float:
        """Return when a peer was first there; infinity for a stranger."""
        return self._times.get(peer, (math.inf,))[0]

    def most(self, peer: Hashable) -> int:
        """Return how many clients a peer had at most; 1 for a stranger."""
        return self._times.get(peer, (0, 0, 1))[2]


class Places:
    """A limited number of connections, each of one peer.

    :ivar refused: how many connections had to give way or found no place
    :ivar greediest: the peer that had most connections when the last of them
        was refused
    """

    def __init__(
        self, limit: int, known: Acquaintances, *, for_newest: bool
    ) -> None:
        """:param limit: how many connections there may be

        :param known: the peers who were there before
        :param for_newest: True: a newcomer always gets a place, and the
            oldest connection of the greediest peer gives way. False: the
            newest one gives way, and a newcomer whose peer is the greediest
            gets no place.
        """
        self.refused = 0
        self.greediest: Hashable = None
        self._limit = limit
        #: So many connections of one peer count like one of another peer.
        self._share = max(limit // _SHARES, 1)
        self._known = known
        self._for_newest = for_newest
        #: peer -> its connections, in the order in which they came
        self._held: dict[Hashable, dict[Connection, None]] = {}
        self._count = 0

    def take(self, peer: Hashable, connection: Connection) -> bool:
        """Give a connection a place, if need be that of another one.

        :returns: whether the connection has a place
        """
        if self._count >= self._limit and not self._make_room(peer):
            return False
        self._held.setdefault(peer, {})[connection] = None
        self._count += 1
        return True

    def count(self, belongs: Callable[[typing.Any], bool]) -> int:
        """Return how many connections the peers have that belong together.

        :param belongs: called with a peer
        """
        return sum(
            len(held) for peer, held in self._held.items() if belongs(peer)
        )

    def leave(self, peer: Hashable, connection: Connection) -> None:
        """Give a place back, if the connection has one."""
        held = self._held.get(peer, {})
        if connection in held:
            del held[connection]
            self._count -= 1
            if not held:
                del self._held[peer]

    def _make_room(self, newcomer: Hashable) -> bool:
        self.refused += 1
        peer = self.greediest = max(self._held, key=self._rank)
        held = self._held[peer]
        if self._for_newest:
            connection = next(iter(held))
        else:
            rank = len(self._held.get(newcomer, ())) + 1
            if (rank, self._known.since(newcomer)) >= self._rank(peer):
                return False
            connection = next(reversed(held))
        self.leave(peer, connection)
        connection.abort()
        return True

    def _rank(self, peer: Hashable) -> tuple[float, float]:
        # All clients behind one address are one peer: they may return at the
        # same time, and a few strangers must not keep them out.
        right = min(self._known.most(peer), self._share)
        return len(self._held[peer]) / right, self._known.since(peer)
