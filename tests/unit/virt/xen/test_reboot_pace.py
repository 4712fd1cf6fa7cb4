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


from nova_isolation.virt.xen import reboot_pace
from tests.unit import base


class RebootPaceTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.pace = reboot_pace.RebootPace(lambda: self.now)

    def delays(self, uuid, number):
        return [self.pace.delay(uuid) for _ in range(number)]

    def test_a_few_are_at_once(self):
        self.assertEqual([0, 0, 0], self.delays('a', 3))

    def test_more_wait(self):
        self.delays('a', 3)
        self.now += 100
        self.assertEqual(500, self.pace.delay('a'))

    def test_one_that_never_stops(self):
        """Three starts in ten minutes, however often it reboots."""
        starts = []
        for _ in range(12):
            self.now += self.pace.delay('a')
            starts.append(self.now)
            self.now += 1
        for first, fourth in zip(starts, starts[3:], strict=False):
            self.assertLessEqual(600, fourth - first)

    def test_others_do_not_wait(self):
        self.delays('a', 9)
        self.assertEqual([0, 0, 0], self.delays('b', 3))

    def test_calm_ones_are_forgotten(self):
        self.delays('a', 3)
        self.now += 601
        self.assertEqual(0, self.pace.delay('b'))
        self.assertEqual(['b'], list(self.pace._starts))
        self.assertEqual(0, self.pace.delay('a'))

    def test_one_that_waits_is_not_forgotten(self):
        self.delays('a', 4)
        self.now += 599
        self.pace.delay('b')
        self.assertLess(0, self.pace.delay('a'))
