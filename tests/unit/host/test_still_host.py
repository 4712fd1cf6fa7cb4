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


import inspect
from unittest import mock

from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.host import still_host
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.model import requirements
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import verification
from tests.unit import base
from tests.unit.host import test_measurement

UUID = '11111111-2222-3333-4444-555555555555'


class StillHostTest(base.TestCase):
    """All is asked of the host, and for the emulator it is asked once."""

    def setUp(self):
        super().setUp()
        self.host = mock.create_autospec(sources.Host, instance=True)
        self.still = still_host.StillHost(self.host)

    def test_each_question(self):
        names = [
            name
            for name, value in vars(sources.Host).items()
            if inspect.isfunction(value) and not name.startswith('_')
        ]
        self.assertIn('emulator', names)
        for name in names:
            method = getattr(sources.Host, name)
            arguments = list(inspect.signature(method).parameters)[1:]
            answer = getattr(self.host, name).return_value = object()
            self.assertIs(answer, getattr(self.still, name)(*arguments), name)
            getattr(self.host, name).assert_called_once_with(*arguments)

    def test_emulator(self):
        self.host.emulator.side_effect = [OSError('not now'), 'QEMU']
        self.assertRaises(OSError, self.still.emulator)
        for _ in range(2):
            self.assertEqual('QEMU', self.still.emulator())

    def test_other_answers_are_not_kept(self):
        for _ in range(2):
            self.still.evidence('attested')
        self.assertEqual(2, self.host.evidence.call_count)


class MeasurementTest(base.TestCase):
    """What the guests that are verified on one measurement share."""

    def setUp(self):
        super().setUp()
        self.host = test_measurement.HOST
        self.measured = measurement.measure(
            self.host, registry.get(), bounded_calls.BoundedCalls(60)
        )

    def request(self, model):
        return guest_request.GuestRequest(
            UUID,
            requirements.parse(
                {'isolation:svirt': model}, registry.get().vocabulary
            ),
        )

    def test_emulator(self):
        with mock.patch.object(self.host, 'emulator') as emulator:
            self.measured.host.emulator()
        emulator.assert_not_called()

    def test_what_the_host_does_not_meet(self):
        for model, accepted in (('selinux', True), ('apparmor', False)):
            request = self.request(model)
            found = verification.decide(request, self.measured, registry.get())
            self.assertIs(accepted, not found)
            with mock.patch.object(
                verification.host_facts, 'decide', side_effect=AssertionError
            ):
                again = verification.decide(
                    request, self.measured, registry.get()
                )
            self.assertIs(found, again)

    def test_closed(self):
        request = self.request('selinux')
        for measured, accepted in (
            (self.measured, True),
            (self.measured.closed({'svirt': ''}), False),
        ):
            found = verification.decide(request, measured, registry.get())
            self.assertIs(accepted, not found)
