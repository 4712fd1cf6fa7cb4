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

"""What the tests of the guard and of its parts begin with."""

from unittest import mock

from nova_isolation.virt.guard import deferred_power_off
from nova_isolation.virt.guard import unended_starts
from tests.unit import base
from tests.unit.virt import fakes


class GuardCase(base.TestCase):
    """A guard, and a guest that it starts.

    :ivar guard: the guard
    :ivar hypervisor: its hypervisor, which is neither libvirt nor QEMU
    :ivar sink: gets the outcomes
    :ivar handle: the guest, which is off
    :ivar request: what is asked for the guest
    """

    def setUp(self):
        super().setUp()
        for module in (deferred_power_off, unended_starts):
            patch = mock.patch.object(module, '_INTERVAL', 0.001)
            patch.start()
            self.addCleanup(patch.stop)
        self.sink = fakes.Sink()
        self.make()

    def make(self, sinks=None, **kwargs):
        """A guard and a guest of its hypervisor, which is off."""
        self.guard = fakes.make(
            [self.sink] if sinks is None else sinks, **kwargs
        )
        self.addCleanup(self.guard.deferred_power_off.work.stop)
        self.addCleanup(self.guard.start_notes.unended.work.stop)
        self.hypervisor = self.guard.hypervisor
        self.handle = fakes.Handle()
        self.hypervisor.handles.append(self.handle)
        self.request = fakes.request()

    def start(self, paused):
        """As Nova starts the guest."""
        self.hypervisor.calls.append(f'start {paused}')
        self.handle.state = 'paused' if paused else 'running'
        return 'started'

    def go_on(self):
        """As Nova resumes the guest."""
        self.hypervisor.calls.append('resume')
        self.handle.state = 'running'

    def launch(self, pause=False):
        """Start the guest by the guard."""
        return self.guard.launch(
            self.handle, self.request, pause, self.start, self.go_on
        )

    def resume(self):
        """Resume the guest by the guard."""
        self.guard.resume(self.handle, self.request, self.go_on)

    def settle(self, work=None):
        """Wait until the pending work is done; by default, the power-offs."""
        thread = (work or self.guard.deferred_power_off.work).thread
        if thread is not None:
            thread.join(10)
            self.assertFalse(thread.is_alive())
