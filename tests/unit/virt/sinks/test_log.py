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

"""Each line of the log names its subject."""

import logging
from unittest import mock

import fixtures

from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.sinks import log
from tests.unit import base
from tests.unit.virt import fakes

UNMET = (
    reasons.Unmet(
        qemu_reasons.NO_SANDBOX.code, fakes.KEY, 'true', 'Seccomp: 0'
    ),
)
R, S = outcome.Result, outcome.Stage


def made(stage, result, **kwargs):
    return outcome.Outcome(
        request=fakes.request(), stage=stage, result=result, **kwargs
    )


class LogSinkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = log.LogSink()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))

    def lines(self, result):
        """What is logged of an outcome."""
        before = len(self.log.output)
        if self.sink.takes(result):
            self.sink.report(result)
        return self.log.output[before:].splitlines()

    def test_lines(self):
        reason = str(UNMET[0])
        for result, expected in (
            (
                made(S.DECIDE, R.REFUSED, unmet=UNMET),
                f'Isolation refuses the guest: {reason}',
            ),
            (
                made(S.VERIFY, R.REFUSED, unmet=UNMET, action='power_off'),
                f'Isolation refuses the guest: {reason}. '
                'The guest is powered off.',
            ),
            (
                made(S.VERIFY, R.RECORDED, unmet=UNMET),
                'Audit mode lets the guest run: '
                f'Isolation refuses the guest: {reason}',
            ),
            (
                made(S.DECIDE, R.REFUSED, unmet=UNMET, destination='host2'),
                'Destination host host2 does not meet the requirements: '
                f'Isolation refuses the guest: {reason}',
            ),
            (
                made(S.REVERIFY, R.VIOLATED, unmet=UNMET, action='pause'),
                'The running guest violates its isolation requirements: '
                f'{reason} (on_violation: pause)',
            ),
            (
                made(S.REVERIFY, R.STILL_VIOLATED, unmet=UNMET, action='stop'),
                'Guest still violates its isolation requirements '
                '(on_violation: stop)',
            ),
            (
                made(S.REVERIFY, R.RESTORED, resolved=UNMET),
                'The running guest meets its isolation requirements again',
            ),
            (
                made(S.REVERIFY, R.ENDED, resolved=UNMET),
                'A guest that violated its isolation requirements no longer '
                'runs on this host',
            ),
            (
                made(
                    S.VERIFY,
                    R.ACCEPTED,
                    proofs=(mechanisms_base.Proof(fakes.KEY, 'Seccomp: 2'),),
                ),
                'The isolation of the guest was verified before it runs: '
                f'{fakes.KEY}: Seccomp: 2',
            ),
        ):
            self.assertEqual([expected], self.lines(result))

    def test_no_line(self):
        for result in (
            made(S.REVERIFY, R.ACCEPTED),
            made(S.VERIFY, R.FAULT_MISSING, unmet=UNMET),
        ):
            self.assertEqual([], self.lines(result))

    def test_each_line_belongs_to_an_instance(self):
        with mock.patch.object(log, 'LOG') as logger:
            result = made(
                S.VERIFY,
                R.REFUSED,
                unmet=UNMET,
                failures=(('qemu', RuntimeError('a defect')),),
            )
            self.sink.report(result)
            for call in logger.mock_calls:
                self.assertEqual(result.uuid, call.kwargs['instance_uuid'])
            self.assertEqual(2, len(logger.mock_calls))

    def test_mechanism_that_failed(self):
        output = '\n'.join(
            self.lines(
                made(
                    S.VERIFY,
                    R.REFUSED,
                    unmet=UNMET,
                    failures=(('qemu', RuntimeError('a defect')),),
                )
            )
        )
        self.assertIn('isolation mechanism qemu failed on this guest', output)
        self.assertIn('RuntimeError: a defect', output)
