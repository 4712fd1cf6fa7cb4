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

"""The memory that the verification of running guests takes."""

import gc
import sys
import tracemalloc
import types
import uuid

import fixtures

from nova_isolation.virt.watch import host_answers
from nova_isolation.virt.watch import periodic_verification
from tests.unit import base
from tests.unit.virt import fakes

HOST = 'host1'
#: The verifications of a day, one a minute.
DAY = 24 * 60


class MemoryTest(base.TestCase):
    def setUp(self):
        super().setUp()
        # No mocks, which keep what they were called with.
        self.instances = {}
        objects = types.SimpleNamespace(
            InstanceList=types.SimpleNamespace(
                get_by_host=lambda *_, **__: list(self.instances.values())
            ),
            Instance=types.SimpleNamespace(
                get_by_uuid=lambda _, one, **__: self.instances[one]
            ),
        )
        self.useFixture(
            fixtures.MonkeyPatch(f'{host_answers.__name__}.objects', objects)
        )
        self.guard = fakes.make()
        self.watch = periodic_verification.PeriodicVerification(
            HOST, self.guard, lambda _: None
        )

    def boot(self, number):
        """A guest runs, and Nova knows it."""
        name = str(uuid.UUID(int=number + 1))
        self.guard.hypervisor.handles.append(fakes.Handle(name, 'running'))
        self.instances[name] = types.SimpleNamespace(
            uuid=name,
            host=HOST,
            task_state=None,
            vm_state='active',
            flavor=types.SimpleNamespace(extra_specs=fakes.SPECS, name='f'),
            project_id='p',
            save=lambda **_: None,
        )

    def end(self):
        """The oldest guest ends, and Nova deletes it."""
        handle = self.guard.hypervisor.handles.pop(0)
        del self.instances[handle.id]

    def run_once(self):
        self.watch.run()
        # The fake keeps them.
        self.guard.hypervisor.calls.clear()

    def test_500_guests(self):
        # What modules keep from the first time is not the guests'.
        self.boot(0)
        self.run_once()
        for number in range(1, 500):
            self.boot(number)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(2):
            self.run_once()
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0], 5_000_000)

    def test_a_day_in_which_guests_come_and_go(self):
        self.boot(0)
        before = 0
        for minute in range(DAY):
            if minute == 120:
                gc.collect()
                before = sys.getallocatedblocks()
            if minute % 30 == 0:
                self.end()
                self.boot(minute + 1)
            # A violation in each hour, and its end.
            if minute % 60 == 5:
                self.guard.hypervisor.options['seccomp'] = 0
            if minute % 60 == 8:
                self.guard.hypervisor.options.clear()
            self.run_once()
        gc.collect()
        self.assertLess(sys.getallocatedblocks() - before, 1000)
