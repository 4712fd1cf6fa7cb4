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

"""What benchmarks read in the log of a lab's nova-compute."""

from pathlib import Path

import fixtures

from lab.run import errors
from tests.unit import base
from tools import bench_start
from tools import nova_log

UUID = '7b1ed83f-ad6f-464b-bf02-dcad6fbc5bc6'
OTHER = '13e26792-796d-4166-a4b4-1142a7170e57'
_REQUEST = 'req-7848bbec-b718-41bf-a118-2205147f0879 fbb9 4b70 - - default'

#: Lines of a lab.
LOG = f"""\
2026-11-28 07:13:51.321 457 DEBUG nova.compute.manager [None {_REQUEST}] \
[instance: {UUID}] Start spawning the instance on the hypervisor. \
_build_and_run_instance /nova/compute/manager.py:2711
2026-11-28 07:13:51.999 457 INFO nova.virt.libvirt.driver [-] \
[instance: {OTHER}] Instance spawned successfully.
2026-11-28 07:13:52.238 457 INFO nova.virt.libvirt.driver [-] \
[instance: {UUID}] Instance spawned successfully.
2026-11-28 07:13:52.294 457 INFO nova.compute.manager [None {_REQUEST}] \
[instance: {UUID}] Took 0.92 seconds to spawn the instance on the hypervisor.
"""


class NovaLogTest(base.TestCase):
    def write(self, text):
        path = Path(self.useFixture(fixtures.TempDir()).path) / 'log'
        path.write_text(text)
        return path

    def test_a_guest_s_own_lines(self):
        log = self.write(LOG)
        (first,) = nova_log.times(log, OTHER, 'spawned successfully')
        (second,) = nova_log.times(log, UUID, 'spawned successfully')
        self.assertAlmostEqual(0.239, second - first, places=6)
        self.assertEqual([], nova_log.times(log, UUID, 'Took 1'))

    def test_the_words_are_no_pattern(self):
        self.assertEqual([], nova_log.times(self.write(LOG), UUID, '.*'))

    def test_the_only_line(self):
        words = 'spawned successfully'
        log = self.write(LOG)
        self.assertEqual(
            nova_log.times(log, UUID, words), [nova_log.time(log, UUID, words)]
        )
        for text in ('', LOG + LOG):
            log = self.write(text)
            self.assertRaises(errors.LabError, nova_log.time, log, UUID, words)

    def test_a_start(self):
        taken = bench_start.taken(self.write(LOG), UUID)
        self.assertEqual(
            {'until it runs': 917, 'until Nova goes on': 973},
            {end: round(found) for end, found in taken.items()},
        )
