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

import contextlib
import types
from unittest import mock

from nova.compute import task_states
from nova.compute import vm_states
from oslo_concurrency import lockutils

from nova_isolation.host import domain_metadata
from nova_isolation.model import reasons
from nova_isolation.virt.guard import sink
from nova_isolation.virt.watch import host_answers
from nova_isolation.virt.watch import periodic_verification
from nova_isolation.virt.watch import running_guests
from tests.unit import base
from tests.unit import fakes as host_fakes
from tests.unit.virt import fakes

HOST = 'host1'

#: All tasks and all states that Nova gives to a server.
TASKS, STATES = (
    sorted(
        value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    )
    for module in (task_states, vm_states)
)

_OTHER = 'b' * 8 + host_fakes.UUID[8:]

_UNMET = reasons.Unmet('isolation.host.lacks', fakes.KEY, 'true', 'false')

DOMAIN = f"""
<domain xmlns:nova="{domain_metadata.NAMESPACE}">
  <uuid>{host_fakes.UUID}</uuid>
  <metadata><nova:instance><nova:flavor><nova:extraSpecs>
    <nova:extraSpec name="{fakes.KEY}">true</nova:extraSpec>
  </nova:extraSpecs></nova:flavor></nova:instance></metadata>
</domain>
"""


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
        self.one = objects.Instance.get_by_uuid
        self.one.return_value = self.instance
        patch = mock.patch.object(host_answers, 'objects', objects)
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
        self.assertEqual(self.guard.host.measure().document, found.facts)
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

    def test_guest_that_executes_is_verified_in_every_task(self):
        self.violate()
        for task_state in (None, *TASKS):
            for vm_state in STATES:
                self.instance.task_state = task_state
                self.instance.vm_state = vm_state
                before = len(self.sink.results)
                self.watch.run()
                self.assertEqual(
                    [('reverify', 'violated')],
                    self.sink.results[before:],
                    (task_state, vm_state),
                )
                self.restore()
                self.watch.run()
                self.violate()

    def test_guest_that_is_being_made_is_passed_over(self):
        self.violate()
        self.handle.state = 'paused'
        self.instance.task_state = 'spawning'
        for _ in range(3):
            self.watch.run()
        self.assertEqual([], self.sink.results)
        self.assertNotIn('verify', self.hypervisor.calls)
        # Not for ever, in one run.
        with mock.patch.object(running_guests, '_LONGEST_START', 0.0):
            self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)

    def test_guest_that_was_made(self):
        self.violate()
        self.handle.state = 'paused'
        self.instance.task_state = 'spawning'
        self.watch.run()
        self.assertEqual([], self.sink.results)
        # Its start is over, whatever Nova says.
        self.handle.state = 'running'
        self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)

    def test_guest_that_is_started_anew_meanwhile(self):
        # What is read belongs to no run in particular: a process that ends,
        # or one that is not QEMU yet.
        self.violate()
        guest = self.hypervisor.guest

        def restarts(handle, shared=None):
            handle.runs += 1
            return guest(handle, shared)

        with mock.patch.object(self.hypervisor, 'guest', restarts):
            self.watch.run()
        self.assertEqual([], self.sink.results)
        self.assertEqual({}, self.guard.violations.known)
        self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)

    def test_guest_that_ends_meanwhile(self):
        guest = self.hypervisor.guest

        def ends(handle, shared=None):
            handle.state = 'off'
            return guest(handle, shared)

        self.violate()
        with mock.patch.object(self.hypervisor, 'guest', ends):
            self.watch.run()
        self.assertEqual([], self.sink.results)

    def test_guest_that_ends_meanwhile_costs_no_other_its_verification(self):
        """On Xen libvirt has no domain then, and says so with an error."""
        other = fakes.Handle(uuid=_OTHER, state='running')
        self.hypervisor.handles.append(other)
        instance = types.SimpleNamespace(**vars(self.instance))
        instance.uuid = _OTHER
        self.list.return_value = [self.instance, instance]
        guest = self.hypervisor.guest

        def ends(handle, shared=None):
            if handle is self.handle:
                handle.state = 'off'
                raise RuntimeError('Domain not found')
            return guest(handle, shared)

        with mock.patch.object(self.hypervisor, 'guest', ends):
            self.watch.run()
        self.assertEqual([('reverify', 'accepted')], self.sink.results)
        self.assertEqual(_OTHER, self.sink.outcomes[0].uuid)
        self.assertEqual({}, self.guard.violations.known)

    def test_guest_that_runs_and_cannot_be_looked_at(self):
        with mock.patch.object(
            self.hypervisor, 'guest', side_effect=RuntimeError('away')
        ):
            self.watch.run()
            # What cannot be examined counts when it cannot twice.
            self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)
        (unmet,) = self.sink.outcomes[0].unmet
        self.assertEqual('isolation.verify.failed', unmet.code)

    def test_guest_that_cannot_be_looked_at_on_a_host_that_falls_short(self):
        """What the host lacks is told, which the admin can mend."""
        with (
            mock.patch.object(
                self.hypervisor, 'guest', side_effect=RuntimeError('away')
            ),
            mock.patch.object(
                self.guard.host, 'decide', return_value=(_UNMET,)
            ),
        ):
            self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)
        self.assertEqual((_UNMET,), self.sink.outcomes[0].unmet)

    def test_reaction_while_nova_works_without_end(self):
        for action, state in (('pause', 'paused'), ('stop', 'off')):
            self.guard.options.on_violation = action
            self.handle.state = 'running'
            self.instance.task_state = 'powering-off'
            self.violate()
            saved = []
            self.instance.save = lambda saved=saved, **kwargs: saved.append(1)
            with self.nova_works():
                self.watch.run()
                # Mostly it is over in a moment.
                self.assertEqual('running', self.handle.state)
                self.assertEqual('failed', self.sink.outcomes[-1].action)
                self.watch.run()
                self.assertEqual(state, self.handle.state)
                self.assertEqual(action, self.sink.outcomes[-1].action)
            self.assertEqual([], saved)
            self.handle.state = 'off'
            self.watch.run()
            self.assertEqual(('reverify', 'ended'), self.sink.results[-1])

    def test_reaction_does_not_meet_the_next_run(self):
        self.guard.options.on_violation = 'stop'
        self.violate()
        with self.nova_works():
            self.watch.run()
            # A hard reboot, say.
            self.handle.runs += 1
            self.watch.run()
            self.assertEqual('running', self.handle.state)
            self.watch.run()
            self.assertEqual('off', self.handle.state)

    def test_paused_guest_is_recorded_when_nova_has_no_task(self):
        self.guard.options.on_violation = 'pause'
        self.instance.task_state = 'image_uploading'
        self.violate()
        saved = []
        self.instance.save = lambda **kwargs: saved.append(kwargs)
        self.watch.run()
        self.assertEqual('paused', self.handle.state)
        self.assertEqual('pause', self.sink.outcomes[-1].action)
        self.assertEqual([], saved)
        self.instance.task_state = None
        self.watch.run()
        self.assertEqual(1, len(saved))

    def elsewhere(self):
        """Nova takes the guest for one of another host, or for none."""
        self.instance.host = 'host2'
        self.list.return_value = []
        self.hypervisor.definition = mock.Mock(return_value=DOMAIN)

    def test_guest_whose_instance_is_not_here(self):
        # A migration or an evacuation that failed after the guest had begun
        # to run, or that has not ended yet.
        self.elsewhere()
        self.violate()
        self.guard.options.on_violation = 'pause'
        # A guest that has just arrived is verified by Nova's own steps.
        self.watch.run(frozenset([host_fakes.UUID]), False)
        self.assertEqual([], self.sink.results)
        self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)
        self.assertEqual('paused', self.handle.state)
        self.watch.run()
        self.assertEqual(1, len(self.sink.results))
        self.handle.state = 'off'
        self.watch.run()
        self.assertEqual(('reverify', 'ended'), self.sink.results[-1])

    def test_guest_that_is_arriving(self):
        # Its migration may last for hours.
        self.elsewhere()
        self.violate()
        self.handle.state = 'paused'
        with mock.patch.object(running_guests, '_LONGEST_START', 0.0):
            for _ in range(3):
                self.watch.run()
        self.assertEqual([], self.sink.results)
        self.assertNotIn('verify', self.hypervisor.calls)

    def test_untagged_guest_whose_instance_is_not_here(self):
        self.elsewhere()
        self.untagged()
        self.violate()
        self.watch.run()
        self.assertEqual([], self.sink.results)
        self.one.assert_not_called()

    def test_database_that_fails_in_the_middle(self):
        self.violate()
        self.one.side_effect = OSError('no conductor')
        self.watch.run()
        self.assertEqual([('reverify', 'violated')], self.sink.results)

    @contextlib.contextmanager
    def nova_works(self):
        """Nova holds its lock of the instance."""
        with lockutils.lock(host_fakes.UUID, 'nova-'):
            yield

    def untagged(self):
        self.instance.flavor.extra_specs = {}
        self.hypervisor.definition = mock.Mock(return_value='<domain/>')

    def test_wake_for_an_untagged_guest_costs_nothing(self):
        self.untagged()
        woken = frozenset([host_fakes.UUID])
        # It is new: its domain says that it is not tagged.
        self.watch.run(woken, False)
        self.assertEqual(1, self.hypervisor.definition.call_count)
        self.assertEqual(([], []), (self.list.mock_calls, self.one.mock_calls))
        self.watch.run()
        # It is known by now.
        self.list.reset_mock()
        with mock.patch.object(self.hypervisor, 'running') as running:
            self.watch.run(woken, False)
        running.assert_not_called()
        self.assertEqual(1, self.hypervisor.definition.call_count)
        self.assertEqual(([], []), (self.list.mock_calls, self.one.mock_calls))

    def test_wake_for_a_tagged_guest_loads_only_its_instance(self):
        for _ in range(2):
            self.violate()
            self.hypervisor.definition = mock.Mock(return_value=DOMAIN)
            self.watch.run(frozenset([host_fakes.UUID]), False)
            self.assertEqual(('reverify', 'violated'), self.sink.results[-1])
            self.list.assert_not_called()
            self.restore()
            self.watch.run(frozenset([host_fakes.UUID]), False)
            self.assertEqual(('reverify', 'restored'), self.sink.results[-1])
