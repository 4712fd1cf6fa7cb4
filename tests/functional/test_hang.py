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

"""A host on which something that is measured gives no answer, ever."""

from tests.functional import base
from tests.functional import fixtures
from tests.unit.host import test_bounded_calls


class HangTest(base.TestCase):
    """For example, a network file system below QEMU whose server is away."""

    def setUp(self):
        super().setUp()
        # Under eventlet, all of Nova shares one thread with the guard.
        self.flags(measure_timeout=2, request_traits=False, group='isolation')
        self.hang = self.useFixture(test_bounded_calls.Hang())

    def hanging(self):
        """A machine whose emulator cannot be examined."""
        machine = fixtures.Machine()
        machine.emulator = self.hang.read
        return machine

    def test_from_the_start_of_the_service(self):
        self.start(self.hanging())
        for _ in range(3):
            self.boot(self.flavor())
            self.update('host1')
        self.assertTold()

    def test_later(self):
        self.start(fixtures.Machine())
        self.boot(self.flavor(qemu_hardening='pie'))
        self.machines['host1'].emulator = self.hang.read
        for _ in range(3):
            self.boot(self.flavor())
            self.update('host1')
        self.assertTold()
        # The server of the file system is back.
        del self.machines['host1'].emulator
        self.hang.end()
        test_bounded_calls.wait_for_calls()
        self.update('host1')
        self.boot(self.flavor(qemu_hardening='pie'))

    def assertTold(self):
        """Only what hangs is refused, and one thread hangs."""
        self.update('host1')
        server = self.boot(self.flavor(qemu_hardening='pie'), 'ERROR')
        self.assertIn('No valid host', server['fault']['message'])
        self.assertIn(
            "{'isolation.qemu.unknown': 1}", self.logged('hosts meet')[-1]
        )
        self.boot(self.flavor(svirt='selinux'))
        self.assertEqual(1, len(test_bounded_calls.call_threads()))
