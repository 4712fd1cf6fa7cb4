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

"""Many cells, of which some hang or fail; a real database does not hang."""

import threading
import time
import types
from unittest import mock

from nova_isolation.cloud import reader
from nova_isolation.report import picture
from tests.unit import base

_TIMEOUT = 30


class ReadTest(base.TestCase):
    """What a picture has of cells."""

    def setUp(self):
        super().setUp()
        self.goes_on = threading.Event()
        self.addCleanup(self.goes_on.set)
        #: name of a cell -> what happens when it is read
        self.faults = {}
        self.cells = []
        self.reading = []
        for target, name, made in (
            (reader.flavors, 'every', lambda: iter(())),
            (reader.cells, 'every', lambda connection: self.cells),
            (reader.compute_nodes, 'of_cell', self.nodes),
            (reader.servers, 'of_cell', lambda cell: []),
            (
                reader.placement_traits.KeptTraits,
                'now',
                lambda kept: (None, 'not asked'),
            ),
        ):
            patched = mock.patch.object(target, name, made)
            patched.start()
            self.addCleanup(patched.stop)

    def nodes(self, cell):
        self.reading.append(cell.name)
        fault = self.faults.get(cell.name)
        if fault == 'hangs':
            self.goes_on.wait(_TIMEOUT)
        elif fault is not None:
            raise fault
        return [picture.ComputeNode(f'host-{cell.name}', 'id', {}, '')]

    def add(self, *names):
        self.cells += [
            types.SimpleNamespace(name=name, uuid=f'uuid-{name}')
            for name in names
        ]

    def test_cells_are_read_at_once(self):
        """None of four ends before all have begun."""
        barrier = threading.Barrier(4)
        self.add('a', 'b', 'c', 'd')
        with mock.patch.object(
            reader.servers, 'of_cell', lambda cell: barrier.wait(_TIMEOUT) * []
        ):
            seen = reader.CloudReader(cell_seconds=_TIMEOUT).read()
        self.assertEqual((), seen.unread)
        self.assertEqual(
            ['host-a', 'host-b', 'host-c', 'host-d'],
            [node.host for node in seen.nodes],
        )

    def test_a_cell_that_hangs_costs_itself_only(self):
        self.add('a', 'b', 'c')
        reads = reader.CloudReader(cell_seconds=2)
        self.assertEqual((), reads.read().unread)
        self.faults['b'] = 'hangs'
        seen = reads.read()
        self.assertEqual(
            ('its database has not answered within 2 s',),
            tuple(one.reason for one in seen.unread),
        )
        self.assertEqual(
            [
                ('host-a', ''),
                ('host-b', 'is in cell b, which cannot be read'),
                ('host-c', ''),
            ],
            [(node.host, node.state) for node in seen.nodes],
        )
        # It is not asked again, and not waited for, while it hangs.
        for _ in range(20):
            reads.read()
        self.assertEqual(2, self.reading.count('b'))
        self.assertEqual(22, self.reading.count('a'))
        # It is back.
        del self.faults['b']
        self.goes_on.set()
        end = time.monotonic() + _TIMEOUT
        while reads.read().unread:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_more_cells_that_hang_than_are_read_at_once(self):
        names = [f'c{number}' for number in range(9)]
        self.faults = dict.fromkeys(names, 'hangs')
        self.add(*names, 'good')
        reads = reader.CloudReader(cell_seconds=2)
        for _ in range(2):
            seen = reads.read()
            self.assertEqual(names, [one.cell for one in seen.unread])
            self.assertEqual(['host-good'], [n.host for n in seen.nodes])
        self.assertEqual(9 + 2, len(self.reading))

    def test_a_cell_that_fails(self):
        self.add('a', 'b')
        self.faults['a'] = ValueError('mysql://nova:PASSWORD@db')
        seen = reader.CloudReader().read()
        self.assertEqual((picture.UnreadCell('a', 'ValueError'),), seen.unread)
        self.assertEqual(['host-b'], [node.host for node in seen.nodes])

    def test_no_cell(self):
        self.assertEqual((), reader.CloudReader().read().nodes)
