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

"""Which outcomes are events, and what is in them."""

import datetime
import json
import types
from unittest import mock

from nova import exception

from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.sinks import event
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


class EventSinkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = event.EventSink('host1')
        for name in ('event', 'action', 'objects'):
            setattr(self, name, mock.Mock())
        self.objects.InstanceActionEvent.return_value = self.event
        self.objects.InstanceAction = self.action
        for name, value in (
            ('objects', self.objects),
            (
                'nova_context',
                types.SimpleNamespace(
                    get_admin_context=lambda: types.SimpleNamespace(
                        request_id='req-admin'
                    )
                ),
            ),
        ):
            patch = mock.patch.object(event, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def test_taken(self):
        taken = {
            (stage, result)
            for stage in S
            for result in R
            if self.sink.takes(made(stage, result))
        }
        self.assertEqual(
            {
                (S.DECIDE, R.REFUSED),
                (S.DECIDE, R.RECORDED),
                (S.VERIFY, R.ACCEPTED),
                (S.VERIFY, R.REFUSED),
                (S.VERIFY, R.RECORDED),
                (S.REVERIFY, R.VIOLATED),
                (S.REVERIFY, R.RESTORED),
            },
            taken,
        )
        self.assertIs(sink.Needs.DATABASE, self.sink.needs)

    def test_names_are_public(self):
        self.assertEqual(
            ['isolation_decide', 'isolation_verify', 'isolation_reverify'],
            [self.sink.title(made(stage, R.REFUSED)) for stage in S],
        )

    def written(self):
        return self.objects.InstanceActionEvent.call_args.kwargs

    def test_error(self):
        result = made(S.DECIDE, R.REFUSED, unmet=UNMET)
        self.sink.report(result)
        self.assertEqual(
            {
                'event': 'isolation_decide',
                'host': 'host1',
                'start_time': result.started,
                'finish_time': result.finished,
                'result': 'Error',
                'details': f'Isolation refuses the guest: {UNMET[0]}',
            },
            self.written(),
        )
        self.event.create.assert_called_once_with(result.uuid, 'req-admin')

    def test_success(self):
        result = made(
            S.REVERIFY,
            R.RESTORED,
            resolved=UNMET,
            proofs=(mechanisms_base.Proof(fakes.KEY, 'Seccomp: 2'),),
            finished=datetime.datetime(2026, 11, 26, 12),
        )
        self.sink.report(result)
        written = self.written()
        self.assertEqual('Success', written['result'])
        self.assertEqual(
            {
                'at': '2026-11-26T12:00:00Z',
                'verified': True,
                'proofs': [{'requirement': fakes.KEY, 'read': 'Seccomp: 2'}],
                'unmet': [],
            },
            json.loads(written['details']),
        )

    def test_without_an_action_of_a_user(self):
        self.event.create.side_effect = [
            exception.InstanceActionNotFound(
                request_id='req-admin', instance_uuid='a'
            ),
            None,
        ]
        result = made(S.REVERIFY, R.VIOLATED, unmet=UNMET)
        self.sink.report(result)
        self.action.action_start.assert_called_once_with(
            mock.ANY, result.uuid, 'isolation', want_result=False
        )
        self.assertEqual(2, self.event.create.call_count)
        self.action.action_finish.assert_called_once()
