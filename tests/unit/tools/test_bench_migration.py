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

"""What the benchmark of live migrations makes of what it sees."""

import libvirt

from lab.run import errors
from tests.unit import base
from tools import bench_migration

UUID = '7b1ed83f-ad6f-464b-bf02-dcad6fbc5bc6'
OTHER = '13e26792-796d-4166-a4b4-1142a7170e57'
SUSPENDED = libvirt.VIR_DOMAIN_EVENT_SUSPENDED
RESUMED = libvirt.VIR_DOMAIN_EVENT_RESUMED


class Bench(bench_migration.Bench):
    """Migrates nothing."""

    def __init__(self, seen):
        self.seen = {kind: iter(found) for kind, found in seen.items()}
        self.specs = []

    def _boot(self, cleanup, specs):
        self.specs.append(specs)
        return list(self.seen)[len(self.specs) - 1]

    def _migrate(self, server, number):
        return next(self.seen[server])


class BenchTest(base.TestCase):
    def test_those_that_were_not_resumed_at_arrival_are_counted(self):
        kinds = {'untagged': {}, 'tagged': {'a': 'b'}, 'attested': {'c': 'd'}}
        bench = Bench(
            {
                # Nothing is said about an untagged guest.
                'untagged': [(40.0, False), (50.0, False), (60.0, False)],
                'tagged': [(70.0, True), (1600.0, False), (75.0, True)],
                'attested': [(80.0, True), (81.0, True), (82.0, True)],
            }
        )
        rows = bench.run(3, kinds)
        self.assertEqual(list(kinds.values()), bench.specs)
        self.assertEqual(
            [
                ('untagged', 'ms', 50.0, None),
                ('tagged', 'ms', 75.0, 1.5),
                ('attested', 'ms', 81.0, 1.62),
                ('tagged, not resumed at arrival', 'of 3', 1, None),
                ('attested, not resumed at arrival', 'of 3', 0, None),
            ],
            [(row.case, row.unit, row.median, row.ratio) for row in rows],
        )


class Events(bench_migration.Events):
    """Those that a test names."""

    def __init__(self, found):
        self._found = found


class EventsTest(base.TestCase):
    def test_from_the_first_end_to_the_last_beginning(self):
        events = Events(
            [
                ('a', UUID, SUSPENDED, 1.0),
                ('a', OTHER, SUSPENDED, 0.5),
                ('b', UUID, RESUMED, 1.04),
                ('b', OTHER, RESUMED, 7.0),
                # The destination lets it run, and pauses it once more.
                ('b', UUID, RESUMED, 1.25),
                ('a', UUID, SUSPENDED, 1.3),
            ]
        )
        self.assertAlmostEqual(250, events.stand_still(UUID, 'a', 'b'))

    def test_events_that_are_missing(self):
        for found in (
            [],
            [('a', UUID, SUSPENDED, 1.0)],
            [('b', UUID, RESUMED, 1.0)],
            [('a', UUID, SUSPENDED, 1.0), ('a', UUID, RESUMED, 1.1)],
        ):
            self.assertRaises(
                errors.LabError, Events(found).stand_still, UUID, 'a', 'b'
            )
