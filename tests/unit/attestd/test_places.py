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
"""Tests of nova_isolation.attestd.places."""

import math

import ddt
import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.attestd import places
from tests.unit import base


class Connection:
    """One that remembers that it had to leave."""

    def __init__(self):
        self.is_open = True

    def abort(self):
        self.is_open = False


@ddt.ddt
class NetworkTest(base.TestCase):
    """What counts as one address."""

    @ddt.data(
        ('192.0.2.1', '192.0.2.1'),
        ('::ffff:192.0.2.1', '192.0.2.1'),
        ('2001:db8:0:1:2:3:4:5', '2001:db8:0:1::/64'),
        ('2001:db8:0:1::', '2001:db8:0:1::/64'),
        ('2001:db8:0:2::', '2001:db8:0:2::/64'),
        ('fe80::1%eth0', 'fe80::/64'),
        ('::1', '::/64'),
        ('no address', 'no address'),
    )
    @ddt.unpack
    def test_network(self, address, wanted):
        self.assertEqual(wanted, places.network(address))


class AcquaintancesTest(base.TestCase):
    """Who was there before, within a limit."""

    def setUp(self):
        super().setUp()
        self.now = 0.0
        self.useFixture(fixtures.MockPatch('time.monotonic', lambda: self.now))
        self.known = places.Acquaintances(2)

    def test_first_time_counts(self):
        self.assertEqual(math.inf, self.known.since('a'))
        for self.now in (1.0, 2.0):
            self.known.greet('a')
        self.assertEqual(1.0, self.known.since('a'))

    def test_strangers_make_nobody_forgotten(self):
        self.known.greet('a')
        self.known.greet('b')
        for number in range(100):
            self.known.greet(number)
            self.assertEqual(math.inf, self.known.since(number))
        self.assertEqual(0.0, self.known.since('a'))
        self.assertEqual(0.0, self.known.since('b'))

    def test_who_is_long_gone_is_forgotten(self):
        self.known.greet('a')
        self.now = 2000.0
        self.known.greet('b')
        self.now = 3601.0
        self.known.greet('c')
        self.assertEqual(math.inf, self.known.since('a'))
        self.assertEqual(2000.0, self.known.since('b'))
        self.assertEqual(3601.0, self.known.since('c'))

    def test_most_clients_of_one(self):
        self.assertEqual(1, self.known.most('a'))
        for number in (1, 3, 2):
            self.known.greet('a', number)
        self.assertEqual(3, self.known.most('a'))


class PlacesTest(base.TestCase):
    """Who gives way to whom."""

    def setUp(self):
        super().setUp()
        self.now = 0.0
        self.useFixture(fixtures.MockPatch('time.monotonic', lambda: self.now))
        self.known = places.Acquaintances(100)

    def greet(self, *peers):
        for peer in peers:
            self.now += 1
            self.known.greet(peer)

    def full(self, text, for_newest=False):
        """Places that are full: one connection for each letter."""
        made = places.Places(len(text), self.known, for_newest=for_newest)
        held = []
        for peer in text:
            one = Connection()
            self.assertTrue(made.take(peer, one))
            held.append(one)
        self.assertEqual(0, made.refused)
        return made, held

    def who(self, held):
        return ''.join('01'[one.is_open] for one in held)

    def test_greediest_gives_way(self):
        made, held = self.full('abaaa')
        self.assertTrue(made.take('c', Connection()))
        self.assertEqual('11110', self.who(held))
        self.assertEqual((1, 'a'), (made.refused, made.greediest))
        self.assertTrue(made.take('b', Connection()))
        self.assertEqual('11100', self.who(held))
        # Nobody takes so much that he has more than another one.
        self.assertFalse(made.take('b', Connection()))

    def test_greediest_gets_no_more(self):
        made, held = self.full('abb')
        self.greet('b')
        self.assertFalse(made.take('b', Connection()))
        self.assertEqual('111', self.who(held))

    def test_who_was_there_keeps_a_place(self):
        self.greet('a', 'b')
        made, held = self.full('xya')
        # A stranger takes no place of another one, nor of somebody known.
        self.assertFalse(made.take('z', Connection()))
        self.assertTrue(made.take('b', Connection()))
        self.assertEqual('011', self.who(held))
        # Not even of somebody who is known for a shorter time.
        self.assertFalse(made.take('z', Connection()))

    def test_in_the_handshake_newcomers_get_in(self):
        self.greet('a')
        made, held = self.full('axyx', for_newest=True)
        self.assertTrue(made.take('x', Connection()))
        self.assertEqual('1011', self.who(held))
        for _ in range(10):
            self.assertTrue(made.take('x', Connection()))
        self.assertEqual('1010', self.who(held))

    def test_in_the_handshake_those_who_are_known_stay(self):
        self.greet('a')
        made, held = self.full('axy', for_newest=True)
        for stranger in range(10):
            self.assertTrue(made.take(stranger, Connection()))
        self.assertEqual('100', self.who(held))

    def test_in_the_handshake_a_fleet_has_more(self):
        """Those behind one address may return at once, but not all places."""
        self.known.greet('a', 200)
        made, held = self.full('aa' + 'x' * 30, for_newest=True)
        for stranger in range(100):
            self.assertTrue(made.take(stranger, Connection()))
        self.assertEqual('11', self.who(held[:2]))
        # As many as a 16th of them count like one connection.
        self.assertTrue(made.take('a', Connection()))
        for stranger in range(100):
            self.assertTrue(made.take(stranger, Connection()))
        self.assertEqual('01', self.who(held[:2]))

    def test_number_of_connections(self):
        made, _ = self.full('abaca')
        self.assertEqual(4, made.count(lambda peer: peer in 'ab'))

    def test_place_is_given_back_once(self):
        made, held = self.full('ab')
        for _ in range(3):
            made.leave('a', held[0])
            made.leave('c', held[0])
        self.assertTrue(made.take('b', Connection()))
        self.assertFalse(made.take('b', Connection()))

    @hypothesis.given(
        st.lists(st.tuples(st.integers(0, 3), st.booleans())),
        st.integers(1, 5),
        st.booleans(),
    )
    def test_never_more_than_the_limit(self, steps, limit, for_newest):
        made = places.Places(
            limit, places.Acquaintances(2), for_newest=for_newest
        )
        held = []
        for peer, comes in steps:
            if comes:
                one = Connection()
                if made.take(peer, one):
                    held.append((peer, one))
            elif held:
                made.leave(*held.pop(0))
            held = [(peer, one) for peer, one in held if one.is_open]
            self.assertLessEqual(len(held), limit)
