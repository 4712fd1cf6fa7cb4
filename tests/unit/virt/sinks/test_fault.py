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

"""A refusal becomes a fault, late or at once."""

import dataclasses
from unittest import mock

from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.sinks import fault
from tests.unit import base
from tests.unit.virt import fakes

UNMET = (
    reasons.Unmet(
        qemu_reasons.NO_SANDBOX.code, fakes.KEY, 'true', 'Seccomp: 0'
    ),
)


def made(result, **kwargs):
    return outcome.Outcome(
        request=fakes.request(),
        stage=outcome.Stage.VERIFY,
        result=result,
        unmet=UNMET,
        **kwargs,
    )


class FaultSinkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.late = mock.Mock()
        self.sink = fault.FaultSink(self.late)
        patch = mock.patch.object(
            fault.compute_utils, 'add_instance_fault_from_exc'
        )
        self.write = patch.start()
        self.addCleanup(patch.stop)

    def test_taken(self):
        self.assertEqual(
            {outcome.Result.REFUSED, outcome.Result.FAULT_MISSING},
            {one for one in outcome.Result if self.sink.takes(made(one))},
        )
        self.assertIs(sink.Needs.DATABASE, self.sink.needs)

    def test_late(self):
        for stage, started in (
            (outcome.Stage.DECIDE, False),
            (outcome.Stage.VERIFY, True),
        ):
            result = dataclasses.replace(
                made(outcome.Result.REFUSED), stage=stage
            )
            self.sink.report(result)
            ((uuid, error, given), _) = self.late.add.call_args
            self.assertEqual(result.uuid, uuid)
            self.assertEqual(UNMET, error.unmet)
            self.assertIs(started, given)
        self.write.assert_not_called()

    def test_at_once(self):
        for kind in (outcome.Result.REFUSED, outcome.Result.FAULT_MISSING):
            self.write.reset_mock()
            result = made(kind, nova_writes_fault=False)
            self.sink.report(result)
            ((_, instance, error), _) = self.write.call_args
            self.assertEqual(result.uuid, instance.uuid)
            self.assertEqual(UNMET, error.unmet)
        self.late.add.assert_not_called()
