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

"""What the guard concludes, and how it is reported."""

from unittest import mock

from nova_isolation.virt import exception
from nova_isolation.virt.guard import outcome
from tests.unit.virt import fakes
from tests.unit.virt.guard import guard_case


class HookTest(guard_case.GuardCase):
    def test_hook_that_refuses_a_flavor_of_problems_alone(self):
        self.request = fakes.request(specs={'isolation:no_such': 'x'})
        with (
            mock.patch.object(self.hypervisor, 'is_hook', return_value=True),
            mock.patch.object(self, 'start', side_effect=OSError('hook')),
        ):
            error = self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual(['isolation:no_such'], [u.key for u in error.unmet])
        self.assertIn('isolation.verify.hook', str(error))


class MissingFaultTest(guard_case.GuardCase):
    def test_reported(self):
        self.make(a_host=fakes.host(emulator=None))
        refusal = self.assertRaises(
            exception.GuestRefused, self.guard.admit, self.request
        )
        self.guard.conclusions.report_missing_fault(self.request, refusal)
        found = self.sink.outcomes[-1]
        self.assertIs(outcome.Result.FAULT_MISSING, found.result)
        self.assertFalse(found.nova_writes_fault)
        self.assertEqual(refusal.unmet, found.unmet)
