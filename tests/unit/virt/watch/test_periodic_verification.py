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

"""The watch, on a hypervisor that is neither libvirt nor QEMU."""

import types
from unittest import mock

from nova_isolation.virt.guard import sink
from nova_isolation.virt.watch import periodic_verification
from nova_isolation.virt.watch import running_guests
from tests.unit import base
from tests.unit import fakes as host_fakes
from tests.unit.virt import fakes

HOST = 'host1'


class PeriodicVerificationTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.sink = fakes.Sink()
        self.database = fakes.Sink(sink.Needs.DATABASE)
        self.guard = fakes.make([self.sink, self.database])
        self.hypervisor = self.guard.hypervisor
        self.handle = fakes.Handle(state='running')
        self.hypervisor.handles.append(self.handle)
        self.instance = types.SimpleNamespace(
            uuid=host_fakes.UUID,
            host=HOST,
            task_state=None,
            vm_state='active',
            flavor=types.SimpleNamespace(extra_specs=fakes.SPECS, name='f'),
            project_id='p',
            save=lambda **kwargs: None,
        )
        objects = mock.Mock()
        self.list = objects.InstanceList.get_by_host
        self.list.return_value = [self.instance]
        objects.Instance.get_by_uuid.return_value = self.instance
        patch = mock.patch.object(running_guests, 'objects', objects)
        patch.start()
        self.addCleanup(patch.stop)
        self.published = []
        self.watch = periodic_verification.PeriodicVerification(
            HOST, self.guard, self.published.append
        )

    def violate(self):
        self.hypervisor.options['seccomp'] = 0

    def restore(self):
        self.hypervisor.options.clear()

    def test_as_asked(self):
        self.watch.run()
        self.assertEqual([('reverify', 'accepted')], self.sink.results)
        (found,) = self.sink.outcomes
        # As before the guest runs: all that evidence needs.
        self.assertEqual([fakes.KEY], [p.key for p in found.proofs])
        self.assertEqual(self.guard.measure().document, found.facts)
        self.assertLessEqual(found.started, found.finished)
        self.assertIs(self.instance, found.instance)

    def test_violated_and_restored(self):
        self.violate()
        self.watch.run()
        violated = self.sink.outcomes[-1]
        self.assertEqual('report', violated.action)
        self.assertIs(self.instance, violated.instance)
        self.watch.run()
        self.restore()
        self.watch.run()
        self.assertEqual(
            [('reverify', 'violated'), ('reverify', 'restored')],
            self.sink.results,
        )
        restored = self.sink.outcomes[-1]
        self.assertEqual(violated.unmet, restored.resolved)
        self.assertEqual((), restored.unmet)
        self.assertEqual([fakes.KEY], [p.key for p in restored.proofs])
        self.watch.run()
        self.assertEqual(('reverify', 'accepted'), self.sink.results[-1])

    def test_ended(self):
        self.violate()
        self.watch.run()
        violated = self.sink.outcomes[-1]
        self.handle.state = 'off'
        self.watch.run()
        self.assertEqual(('reverify', 'ended'), self.sink.results[-1])
        ended = self.sink.outcomes[-1]
        self.assertEqual(violated.unmet, ended.resolved)
        self.assertIs(violated.request, ended.request)
        self.assertEqual(violated.uuid, ended.uuid)

    def test_pause(self):
        self.guard.options.on_violation = 'pause'
        self.violate()
        self.hypervisor.failure = OSError('busy')
        self.watch.run()
        self.assertEqual('failed', self.sink.outcomes[-1].action)
        self.hypervisor.failure = None
        self.watch.run()
        self.assertEqual('paused', self.handle.state)
        self.assertEqual(('reverify', 'still_violated'), self.sink.results[-1])
        self.assertEqual('pause', self.sink.outcomes[-1].action)
        self.watch.run()
        self.assertEqual(2, self.hypervisor.calls.count('pause'))
        self.assertEqual(2, len(self.sink.results))

    def test_stop(self):
        self.guard.options.on_violation = 'stop'
        self.violate()
        self.watch.run()
        self.assertEqual('off', self.handle.state)
        self.assertEqual('stop', self.sink.outcomes[-1].action)

    def test_audit_only_reports(self):
        self.guard.options.mode = 'audit'
        self.guard.options.on_violation = 'stop'
        self.violate()
        self.watch.run()
        self.assertEqual('running', self.handle.state)
        self.assertEqual('report', self.sink.outcomes[-1].action)

    def test_database_that_cannot_be_asked(self):
        self.watch.run()
        self.list.side_effect = OSError('no conductor')
        self.violate()
        self.watch.run()
        self.assertEqual(('reverify', 'violated'), self.sink.results[-1])
        self.assertIsNone(self.sink.outcomes[-1].instance)
        self.assertEqual([('reverify', 'accepted')], self.database.results)
        self.list.side_effect = None
        self.watch.run()
        self.assertEqual(
            [('reverify', 'accepted'), ('reverify', 'violated')],
            self.database.results,
        )

    def test_what_guests_share_is_made_once_a_look(self):
        with mock.patch.object(
            self.hypervisor, 'shared', return_value='labels'
        ) as shared:
            with mock.patch.object(
                self.hypervisor, 'guest', wraps=self.hypervisor.guest
            ) as guest:
                self.watch.run()
            guest.assert_called_once_with(self.handle, 'labels')
            shared.assert_called_once_with()
