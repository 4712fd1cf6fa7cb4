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

"""The host as the guard measures it."""

import time

from nova_isolation.model import facts
from nova_isolation.model import traits
from nova_isolation.virt import exception
from tests.unit.host import test_bounded_calls
from tests.unit.virt import fakes
from tests.unit.virt.guard import guard_case


class HangTest(guard_case.GuardCase):
    """A file system under the emulator, or a guest, that gives no answer."""

    #: Seconds, enough for a host that answers on a busy machine.
    LIMIT = 1.0

    def setUp(self):
        super().setUp()
        self.hang = self.useFixture(test_bounded_calls.Hang())

    def make_host_hang(self):
        host = fakes.host()
        host.emulator = self.hang.read
        self.make(a_host=host, measure_timeout=self.LIMIT)

    def test_what_is_published_does_not_wait(self):
        self.make_host_hang()
        start = time.monotonic()
        for _ in range(100):
            self.assertEqual(
                {traits.GUARDED}, self.guard.host.publish().traits
            )
        self.guard.host.renew(0.0)
        self.assertLess(time.monotonic() - start, self.LIMIT)
        # The mechanism that hangs counts as unknown, and the others do not.
        self.guard.host.renew(30)
        document = facts.loads(self.guard.host.publish().document)
        self.assertIsNone(document.sections['qemu'])
        self.assertIsNotNone(document.sections['hypervisor'])

    def test_tagged_guests_are_refused_in_time(self):
        self.make_host_hang()
        start = time.monotonic()
        for _ in range(10):
            refusal = self.assertRaises(
                exception.GuestRefused, self.guard.admit, self.request
            )
            self.assertEqual('isolation.qemu.unknown', refusal.unmet[0].code)
        self.assertLess(time.monotonic() - start, 5 * self.LIMIT)

    def test_a_guest_that_hangs_costs_only_its_own_proof(self):
        self.make(measure_timeout=self.LIMIT)
        self.hypervisor.options['process'] = self.hang.read
        start = time.monotonic()
        for _ in range(10):
            self.handle.state = 'off'
            refusal = self.assertRaises(exception.GuestRefused, self.launch)
            self.assertEqual('isolation.verify.failed', refusal.unmet[0].code)
            self.assertIn(
                f'no answer in {self.LIMIT:g} s', refusal.unmet[0].found
            )
            self.assertEqual('off', self.handle.state)
        self.assertLess(time.monotonic() - start, 5 * self.LIMIT)
        del self.hypervisor.options['process']
        self.request = fakes.request('f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0002')
        self.launch()
        self.assertEqual('running', self.handle.state)
