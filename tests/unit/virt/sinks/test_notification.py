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

"""Which outcomes are notifications, and their payloads."""

import types
from unittest import mock

from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.model import reasons
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.sinks import notification
from tests.unit import base
from tests.unit.virt import fakes

UNMET = (
    reasons.Unmet(
        qemu_reasons.NO_SANDBOX.code, fakes.KEY, 'true', 'Seccomp: 0'
    ),
)
COMMON = {
    'version': '1.0',
    'host': 'host1',
    'unmet': [
        {
            'code': 'isolation.qemu.no_sandbox',
            'key': fakes.KEY,
            'wanted': 'true',
            'found': 'Seccomp: 0',
        }
    ],
}
R = outcome.Result


def made(result, **kwargs):
    return outcome.Outcome(
        request=fakes.request(),
        stage=outcome.Stage.REVERIFY,
        result=result,
        **kwargs,
    )


class NotificationSinkTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = notification.NotificationSink('host1', ['topic'])
        self.notifier = mock.Mock()
        patch = mock.patch.object(
            notification.oslo_messaging, 'Notifier', return_value=self.notifier
        )
        self.made = patch.start()
        self.addCleanup(patch.stop)

    def test_taken(self):
        self.assertEqual(
            {R.VIOLATED, R.RESTORED, R.ENDED},
            {one for one in R if self.sink.takes(made(one))},
        )
        self.assertIs(sink.Needs.TIME, self.sink.needs)

    def sent(self, method):
        ((_, event_type, payload), _) = method.call_args
        return event_type, payload

    def test_violation(self):
        instance = types.SimpleNamespace(
            project_id='project', flavor=types.SimpleNamespace(name='flavor')
        )
        for known, about in (
            (instance, {'project_id': 'project', 'flavor': 'flavor'}),
            (None, {'project_id': None, 'flavor': None}),
        ):
            result = made(
                R.VIOLATED, unmet=UNMET, instance=known, action='pause'
            )
            self.sink.report(result)
            event_type, payload = self.sent(self.notifier.warn)
            self.assertEqual('isolation.violation', event_type)
            self.assertEqual(
                COMMON
                | about
                | {'action': 'pause', 'instance_uuid': result.uuid},
                payload,
            )
        self.notifier.info.assert_not_called()
        self.made.assert_called_once()
        self.assertEqual(['topic'], self.made.call_args.kwargs['topics'])

    def test_end(self):
        for kind, why in ((R.RESTORED, 'mended'), (R.ENDED, 'gone')):
            result = made(kind, resolved=UNMET)
            self.sink.report(result)
            event_type, payload = self.sent(self.notifier.info)
            self.assertEqual('isolation.violation.end', event_type)
            self.assertEqual(
                COMMON | {'why': why, 'instance_uuid': result.uuid}, payload
            )
        self.notifier.warn.assert_not_called()
