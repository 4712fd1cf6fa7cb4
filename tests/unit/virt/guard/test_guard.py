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

"""The guard, on a hypervisor that is neither libvirt nor QEMU."""

import subprocess
import sys
import threading
import time
from unittest import mock

from nova_isolation.host import measurement
from nova_isolation.mechanisms.qemu import mechanism
from nova_isolation.mechanisms.qemu import sandbox
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.testing import fakes as testing
from nova_isolation.virt import exception
from nova_isolation.virt.guard import admissions
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import sink
from nova_isolation.virt.guard import verification
from tests.unit import base
from tests.unit.virt import fakes
from tests.unit.virt.guard import guard_case

XML = (
    '<domain type="xen"><uuid>a</uuid><on_reboot>destroy</on_reboot></domain>'
)


class NovaConfigTest(base.TestCase):
    def test_none_is_needed(self):
        """Nothing registers an option, so nothing can read one."""
        script = """
from nova_isolation.virt.watch import periodic_verification
from nova_isolation.virt.watch import watch_thread
from tests.unit.virt import fakes
from tests.unit.virt.guard import guard_case
import nova.conf
guard = fakes.make()
assert guard.admit(fakes.request())
periodic_verification.PeriodicVerification('host1', guard, lambda c: None)
assert 'isolation' not in nova.conf.CONF
import sys
assert 'libvirt' not in sys.modules
assert 'nova.virt.libvirt.driver' not in sys.modules
print('built')
"""
        run = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', script],
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual('built\n', run.stdout, run.stderr)


class DecideTest(guard_case.GuardCase):
    def test_admitted(self):
        measured = self.guard.admit(self.request)
        self.assertIsInstance(measured, measurement.Measurement)
        self.assertEqual([], self.sink.results)

    def test_refused(self):
        self.make(a_host=fakes.host(emulator=None))
        refusal = self.assertRaises(
            exception.GuestRefused, self.guard.admit, self.request
        )
        (found,) = self.sink.outcomes
        self.assertEqual([('decide', 'refused')], self.sink.results)
        self.assertEqual(refusal.unmet, found.unmet)
        self.assertIs(self.request, found.request)
        self.assertIn('qemu', found.facts)
        self.assertLessEqual(found.started, found.finished)
        self.assertEqual('', found.action)
        self.assertTrue(found.nova_writes_fault)

    def test_audit(self):
        self.make(a_host=fakes.host(emulator=None), mode='audit')
        self.assertIsNone(self.guard.admit(self.request))
        self.assertEqual([('decide', 'recorded')], self.sink.results)

    def test_mode_is_read_when_it_is_needed(self):
        self.make(a_host=fakes.host(emulator=None), mode='audit')
        self.guard.options.mode = 'enforce'
        self.assertRaises(
            exception.GuestRefused, self.guard.admit, self.request
        )

    def test_violation_closes_the_host(self):
        violation = mock.Mock(
            uuid='another', unmet=(), mechanisms=frozenset({'qemu'})
        )
        self.guard.violations.add(violation)
        self.assertRaises(
            exception.GuestRefused, self.guard.admit, self.request
        )
        self.guard.options.violation_closes_host = False
        self.assertTrue(self.guard.admit(self.request))


class ConfineTest(guard_case.GuardCase):
    def confine(self):
        return self.guard.confine(domain_xml.DomainXml(XML), self.request)

    def test_nothing_to_change(self):
        self.assertEqual(XML, self.confine())
        self.assertEqual([], self.sink.results)

    def test_changed(self):
        def confine(mechanism, domain, wanted, facts):
            domain.set('confined', 'yes')

        with mock.patch.object(mechanism.QemuMechanism, 'confine', confine):
            self.assertEqual(
                XML.replace('"xen"', '"xen" confined="yes"'),
                self.confine(),
            )
            # Audit mode changes no guest.
            self.guard.options.mode = 'audit'
            self.assertEqual(XML, self.confine())

    def test_mechanism_that_fails(self):
        error = SystemExit(1)
        with mock.patch.object(
            mechanism.QemuMechanism, 'confine', side_effect=error
        ):
            self.assertRaises(exception.GuestRefused, self.confine)
        (found,) = self.sink.outcomes
        self.assertEqual(
            ['isolation.mechanism.failed'], [u.code for u in found.unmet]
        )
        self.assertEqual((('qemu', error),), found.failures)
        self.assertEqual([('decide', 'refused')], self.sink.results)


class AdmittedTest(guard_case.GuardCase):
    """Facts that two decisions share, and what changes between them."""

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        clock = mock.Mock(monotonic=lambda: self.now)
        patch = mock.patch.object(admissions, 'time', clock)
        patch.start()
        self.addCleanup(patch.stop)
        self.measured = 0
        self.host = fakes.host()
        self.make(a_host=self.host)
        fresh = self.guard.host.measure

        def measure(request=None, examine=True):
            self.measured += 1
            return fresh(request, examine)

        self.guard.host.measure = measure

    def confine(self):
        return self.guard.confine(domain_xml.DomainXml(XML), self.request)

    def weaken(self):
        """Let the host be one that meets nothing, from now on."""
        self.host._emulator = fakes.host(emulator=None)._emulator

    def test_one_measurement_before_the_start_and_one_after_it(self):
        self.guard.admit(self.request)
        self.assertEqual(XML, self.confine())
        self.assertEqual(1, self.measured)
        self.launch()
        self.assertEqual(2, self.measured)
        self.assertEqual('running', self.handle.state)

    def test_the_host_examines_itself_before_the_start_alone(self):
        with mock.patch.object(
            self.host, 'unseen', wraps=self.host.unseen
        ) as examined:
            self.guard.admit(self.request)
            self.assertEqual(1, examined.call_count)
            self.launch()
        # What was read of the guest shows that the host can see it.
        self.assertEqual(1, examined.call_count)
        self.assertEqual('running', self.handle.state)

    def test_what_was_unmet_once_is_refused(self):
        # The next verification would find nothing.
        found = [verification.failed(self.request, OSError('no answer'))]
        verify = self.guard.verify
        self.guard.verify = lambda *args: (found or [verify(*args)]).pop()
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual([], found)
        self.assertEqual('off', self.handle.state)
        self.assertNotIn('resume', self.hypervisor.calls)

    def test_why_a_guest_could_not_be_seen(self):
        self.guard.admit(self.request)
        self.confine()
        self.host.hide({sight.Sight.PROCESS: reasons.HIDEPID})
        self.hypervisor.guest = lambda *_: testing.BrokenGuest(
            FileNotFoundError('/proc/7/status')
        )
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertNotIn('resume', self.hypervisor.calls)
        (found,) = self.sink.outcomes
        self.assertEqual([reasons.HIDEPID.code], [u.code for u in found.unmet])

    def test_each_definition_has_an_admission_of_its_own(self):
        self.guard.admit(self.request)
        for measured in (1, 2, 3):
            self.confine()
            self.assertEqual(measured, self.measured)
        self.request = fakes.request('f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0002')
        self.confine()
        self.assertEqual(4, self.measured)

    def test_facts_that_are_too_old(self):
        self.guard.admit(self.request)
        self.now += 5.1
        self.weaken()
        self.assertRaises(exception.GuestRefused, self.confine)
        self.assertEqual(2, self.measured)

    def test_the_host_changes_after_the_admission(self):
        self.guard.admit(self.request)
        self.weaken()
        self.confine()
        # It is found before the guest has executed an instruction.
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertNotIn('resume', self.hypervisor.calls)
        self.assertEqual([('verify', 'refused')], self.sink.results)

    def test_the_host_changes_while_the_guest_is_started(self):
        self.guard.admit(self.request)
        self.confine()
        start = self.start

        def start_and_change(paused):
            self.weaken()
            return start(paused)

        self.start = start_and_change
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertNotIn('resume', self.hypervisor.calls)

    def test_the_host_changes_while_the_guest_is_looked_up(self):
        # The measurement is the last thing before the verification.
        look_up = self.hypervisor.guest

        def change_and_look_up(*args):
            self.weaken()
            return look_up(*args)

        self.hypervisor.guest = change_and_look_up
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertNotIn('resume', self.hypervisor.calls)

    def test_another_guest_violates_after_the_admission(self):
        self.guard.admit(self.request)
        self.guard.violations.add(
            mock.Mock(uuid='another', unmet=(), mechanisms=frozenset({'qemu'}))
        )
        self.assertRaises(exception.GuestRefused, self.confine)
        # The refusal is based on facts that were measured for it.
        self.assertEqual(2, self.measured)

    def test_nothing_is_left_behind(self):
        for number in range(100):
            self.guard.admit(fakes.request(f'guest-{number}'))
        self.assertEqual(100, len(self.guard._admissions._kept))
        self.now += 5.1
        self.guard.admit(self.request)
        self.assertEqual([self.request.uuid], [*self.guard._admissions._kept])


class AskedTest(guard_case.GuardCase):
    """What of the host is measured for one guest."""

    def sections(self, sinks):
        """What was measured before the start, and after it."""
        self.make(sinks)
        measured = self.guard.admit(self.request)
        self.launch()
        return [
            {name for name, found in sections.items() if found is not None}
            for sections in (
                facts.loads(one).sections
                for one in (measured.document, self.sink.outcomes[-1].facts)
            )
        ]

    def test_what_its_flavor_asks_for(self):
        self.assertEqual([{'qemu'}] * 2, self.sections([self.sink]))

    def test_all_where_a_statement_is_made(self):
        evidence = fakes.Sink()
        evidence.needs_subject = True
        for found in self.sections([self.sink, evidence]):
            self.assertLess({'qemu', 'hypervisor'}, found)

    def test_another_flavor_at_the_definition(self):
        # Nova resizes: what was measured for the admission does not count
        # for what it was not asked for.
        self.make([self.sink])
        self.guard.admit(self.request)
        self.request = fakes.request(
            specs={**fakes.SPECS, 'isolation:hypervisor': 'kvm'}
        )
        with mock.patch.object(
            self.guard.host, 'measure', wraps=self.guard.host.measure
        ) as measured:
            text = domain_xml.DomainXml(XML)
            self.assertEqual(XML, self.guard.confine(text, self.request))
        self.assertEqual(1, measured.call_count)


class LaunchTest(guard_case.GuardCase):
    def test_started_paused_verified_and_resumed(self):
        self.assertEqual('started', self.launch())
        self.assertEqual('running', self.handle.state)
        self.assertEqual(
            ['begin_start', 'start True', 'verify', 'resume', 'end_start'],
            self.hypervisor.calls,
        )

    def test_outcome_has_all_that_evidence_needs(self):
        self.sink.needs_subject = True
        self.make([self.sink])
        self.launch()
        (found,) = self.sink.outcomes
        self.assertEqual([('verify', 'accepted')], self.sink.results)
        self.assertEqual([fakes.KEY], [p.key for p in found.proofs])
        self.assertEqual(f'Seccomp: 2, {sandbox.ASKED}', found.proofs[0].found)
        self.assertEqual(self.guard.host.measure().document, found.facts)
        self.assertEqual({}, found.evidence)
        self.assertIs(self.request, found.request)
        self.assertLessEqual(found.started, found.finished)
        self.assertEqual(((), (), ''), (found.unmet, found.failures, ''))
        self.assertIsNone(found.error)

    def test_stays_paused_where_nova_wants_that(self):
        self.launch(pause=True)
        self.assertEqual('paused', self.handle.state)
        self.assertEqual([('verify', 'accepted')], self.sink.results)
        # It has not run: its start is not over before it is resumed.
        self.assertTrue(self.handle.starting)
        self.resume()
        self.assertFalse(self.handle.starting)

    def test_a_conductor_that_is_away_does_not_hold_a_start(self):
        answers = threading.Event()
        self.addCleanup(answers.set)
        slow = fakes.Sink(sink.Needs.DATABASE)
        slow.report = lambda result: answers.wait(60)
        self.make([slow])
        began = time.monotonic()
        self.launch()
        # What is not the conductor's is done.
        self.assertEqual('end_start', self.hypervisor.calls[-1])
        self.assertFalse(self.handle.starting)
        self.handle.state = 'paused'
        self.resume()
        self.assertLess(time.monotonic() - began, 4)
        self.assertEqual('running', self.handle.state)

    def test_reported_when_the_guest_runs(self):
        self.sink.report = lambda result: self.hypervisor.calls.append(
            f'report {self.handle.state}'
        )
        self.launch()
        calls = self.hypervisor.calls
        self.assertLess(calls.index('resume'), calls.index('report running'))

    def test_refused(self):
        self.hypervisor.options['seccomp'] = 0
        refusal = self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertEqual(
            ['begin_start', 'start True', 'verify', 'power_off', 'end_start'],
            self.hypervisor.calls,
        )
        (found,) = self.sink.outcomes
        self.assertEqual([('verify', 'refused')], self.sink.results)
        self.assertEqual(refusal.unmet, found.unmet)
        self.assertEqual('power_off', found.action)
        self.assertEqual(refusal.details, found.error.details)

    def test_audit(self):
        self.guard.options.mode = 'audit'
        self.hypervisor.options['seccomp'] = 0
        self.sink.report = lambda result: self.hypervisor.calls.append(
            f'{result.result.value} {self.handle.state}'
        )
        self.launch()
        self.assertEqual('running', self.handle.state)
        calls = self.hypervisor.calls
        self.assertLess(calls.index('resume'), calls.index('recorded running'))

    def test_guest_that_cannot_be_shown(self):
        with mock.patch.object(
            self.hypervisor, 'guest', side_effect=RuntimeError('a defect')
        ):
            error = self.assertRaises(exception.GuestRefused, self.launch)
        (unmet,) = error.unmet
        self.assertEqual('isolation.verify.failed', unmet.code)
        self.assertIn('a defect', unmet.found)
        self.assertEqual('off', self.handle.state)

    def test_cannot_be_resumed(self):
        with mock.patch.object(self, 'go_on', side_effect=OSError('no')):
            self.assertRaises(OSError, self.launch)
        self.assertEqual('off', self.handle.state)
        self.assertEqual([], self.sink.results)

    def test_sinks_that_fail_change_nothing(self):
        for error in (RuntimeError('no'), SystemExit(1)):
            broken = [fakes.Sink(error=error), self.sink]
            self.make(broken)
            self.launch()
            self.assertEqual('running', self.handle.state)
            self.make(broken)
            self.hypervisor.options['seccomp'] = 0
            self.assertRaises(exception.GuestRefused, self.launch)
            self.assertEqual('off', self.handle.state)
        self.assertEqual(
            [('verify', 'accepted'), ('verify', 'refused')] * 2,
            self.sink.results,
        )

    def test_start_that_fails(self):
        for error, calls in (
            (ValueError('no'), []),
            (ConnectionError('no'), ['power_off_paused']),
        ):
            self.hypervisor.calls.clear()
            self.handle.state = 'paused'
            with mock.patch.object(self, 'start', side_effect=error):
                self.assertRaises(type(error), self.launch)
            self.settle()
            self.assertEqual(['begin_start', *calls], self.hypervisor.calls)

    def test_power_off_is_tried_until_it_is_done(self):
        self.hypervisor.options['seccomp'] = 0
        self.hypervisor.failure = OSError('unreachable')
        self.assertRaises(exception.GuestRefused, self.launch)
        self.assertEqual('paused', self.handle.state)
        self.hypervisor.failure = None
        self.settle()
        self.assertEqual('off', self.handle.state)

    def test_started_anew(self):
        self.hypervisor.failure = OSError('unreachable')
        self.guard.deferred_power_off.add(self.request.uuid)
        self.launch()
        self.assertEqual(
            frozenset(), self.guard.deferred_power_off.work.pending
        )


class ResumeTest(guard_case.GuardCase):
    def test_resumed(self):
        self.handle.state = 'paused'
        self.resume()
        self.assertEqual(['verify', 'resume'], self.hypervisor.calls)
        self.assertEqual([('verify', 'accepted')], self.sink.results)

    def test_refused_and_left_as_it_was(self):
        self.handle.state = 'paused'
        self.hypervisor.options['seccomp'] = 0
        self.assertRaises(exception.GuestRefused, self.resume)
        self.assertEqual('paused', self.handle.state)
        self.assertEqual(['verify'], self.hypervisor.calls)
        self.assertEqual('', self.sink.outcomes[0].action)


class RunTest(guard_case.GuardCase):
    """What is resumed is the run of the guest that was verified."""

    def replaced(self, state='paused'):
        """Somebody ends the guest while it is verified, and starts it."""
        verify = self.guard.verify

        def slow(*args):
            found = verify(*args)
            self.handle.runs += 1
            self.handle.state = state
            return found

        self.guard.verify = slow

    def assertUnproven(self, done):
        error = self.assertRaises(exception.GuestRefused, done)
        self.assertEqual(
            {'isolation.verify.failed'}, {one.code for one in error.unmet}
        )
        self.assertNotIn('resume', self.hypervisor.calls)

    def test_started_anew_while_it_is_verified(self):
        self.replaced()
        self.assertUnproven(self.launch)
        self.assertEqual('off', self.handle.state)

    def test_ended_while_it_is_verified(self):
        self.replaced('off')
        self.assertUnproven(self.launch)

    def test_another_runs_when_the_start_returns(self):
        # The start has told which run it has begun.
        self.hypervisor.started_run = lambda handle: handle.runs - 1
        self.assertUnproven(self.launch)
        self.assertEqual('off', self.handle.state)

    def test_the_run_that_the_start_has_begun(self):
        self.hypervisor.started_run = lambda handle: handle.runs
        with mock.patch.object(
            self.hypervisor, 'run', wraps=self.hypervisor.run
        ) as asked:
            self.launch()
        # Once, when the guest is verified.
        self.assertEqual(1, asked.call_count)
        self.assertEqual('running', self.handle.state)

    def test_paused_one_was_started_anew(self):
        self.handle.state = 'paused'
        self.replaced()
        self.assertUnproven(self.resume)
        self.assertEqual('paused', self.handle.state)

    def test_hypervisor_does_not_tell(self):
        with mock.patch.object(
            self.hypervisor, 'run', side_effect=OSError('away')
        ):
            self.assertUnproven(self.launch)
        self.assertEqual('off', self.handle.state)

    def test_audit_refuses_nothing(self):
        self.make(mode='audit')
        self.replaced()
        self.launch()
        self.assertEqual([('verify', 'recorded')], self.sink.results)
