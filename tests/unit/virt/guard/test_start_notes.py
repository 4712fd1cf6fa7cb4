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

"""Notes by which the next process knows which guests are being started."""

from unittest import mock

from nova_isolation.virt import exception
from tests.unit.virt.guard import guard_case


class StartNotesTest(guard_case.GuardCase):
    def test_start_that_cannot_be_noted(self):
        # Later nobody could tell whether the guest was verified.
        with mock.patch.object(
            self.hypervisor, 'begin_start', side_effect=OSError('no')
        ):
            self.assertRaises(OSError, self.launch)
        self.assertEqual([], self.hypervisor.calls)

    def test_end_of_a_start_that_cannot_be_noted(self):
        # The guest runs, and is not ended for this. It is noted as soon as
        # that is possible: somebody may pause the guest.
        with mock.patch.object(
            self.hypervisor, 'end_start', side_effect=OSError('no')
        ):
            self.launch()
            self.assertEqual('running', self.handle.state)
            self.assertTrue(self.handle.starting)
        self.handle.state = 'paused'
        self.settle(self.guard.start_notes.unended.work)
        self.assertFalse(self.handle.starting)
        self.assertEqual('paused', self.handle.state)

    def test_end_of_a_start_that_is_noted_late_meets_no_later_start(self):
        with mock.patch.object(
            self.hypervisor, 'end_start', side_effect=OSError('no')
        ):
            self.launch()
            self.handle.state = 'off'
            self.launch(pause=True)
        self.settle(self.guard.start_notes.unended.work)
        self.assertTrue(self.handle.starting)

    def test_audit_starts_what_cannot_be_noted(self):
        self.guard.options.mode = 'audit'
        with mock.patch.object(
            self.hypervisor, 'begin_start', side_effect=OSError('no')
        ):
            self.launch()
        self.assertEqual('running', self.handle.state)

    def test_no_note_stays_after_a_refusal(self):
        # An administrator may start the domain and pause the guest.
        self.hypervisor.options['seccomp'] = 0
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertFalse(self.handle.starting)
