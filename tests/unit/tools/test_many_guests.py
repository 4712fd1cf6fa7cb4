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

"""The processes of the benchmark of many guests."""

import os
from pathlib import Path
import time

import fixtures

from nova_isolation.host import qemu_process
from nova_isolation.mechanisms.qemu import sandbox
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.probes import program
from tests.unit import base
from tools import many_guests


def is_alive(pid):
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
    except FileNotFoundError:
        return False
    # Whoever adopts it may not wait for it at once.
    return state.split()[0] != 'Z'


class LabelsTest(base.TestCase):
    def test_no_guest_reaches_another(self):
        labels = [
            security_label.parse(many_guests.label(number))
            for number in range(1, 3000)
        ]
        self.assertEqual(
            len(labels), len({label.categories for label in labels})
        )
        for label in labels:
            self.assertEqual(2, len(label.categories))
            self.assertTrue(security_label.is_confined(label, {'svirt_tcg_t'}))


class ManyGuestsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)

    def find(self, guests, guest):
        return qemu_process.QemuProcess.find(
            str(guests.run_dir), guest.name, guest.uuid, str(guests.proc)
        )

    def test_a_guest_is_seen_as_a_qemu(self):
        with many_guests.made(self.folder) as guests:
            for _ in range(2):
                guests.start()
            guest = guests.running[1]
            process = self.find(guests, guest)
            self.assertEqual(guest.pid, process.pid)
            self.assertEqual(2, process.seccomp())
            self.assertTrue(sandbox.is_on(process.arguments()))
            self.assertEqual(guest.label, process.label())
            self.assertEqual(
                program.identity(many_guests.SHELL), process.executable()
            )

    def test_the_oldest_ends(self):
        with many_guests.made(self.folder) as guests:
            for _ in range(2):
                guests.start()
            first, second = guests.running
            guests.end()
            self.assertEqual([second], guests.running)
            self.assertFalse(os.path.exists(f'/proc/{first.pid}'))
            self.assertRaises(OSError, self.find, guests, first)
            self.find(guests, second)

    def test_all_end_with_the_host(self):
        with many_guests.made(self.folder) as guests:
            guests.start()
            pids = [int(path.name) for path in guests.proc.iterdir()]
            # The guest and libvirt's daemon.
            self.assertEqual(2, len(pids))
        end = time.monotonic() + 30
        while any(map(is_alive, pids)):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
