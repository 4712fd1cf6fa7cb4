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

"""A host that cannot see its guests' processes, and sees them again."""

from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.cmd import explain
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.model import sight
from tests.functional import base
from tests.functional import fixtures

SVIRT = 'CUSTOM_ISOLATION_SVIRT_SELINUX'
SANDBOX = 'CUSTOM_ISOLATION_QEMU_SANDBOX'
PIE = 'CUSTOM_ISOLATION_QEMU_PIE'
KVM = 'CUSTOM_ISOLATION_HYPERVISOR_KVM'

NO_HELPER = {sight.Sight.EXECUTABLE: reasons.NO_HELPER}
PID_NAMESPACE = dict.fromkeys(sight.ALL, reasons.PID_NAMESPACE)


class SelfExaminationTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.flags(on_violation='stop', group='isolation')
        self.start(fixtures.Machine())
        self.machine = self.machines['host1']
        self.hardened = self.flavor(qemu_hardening='pie')
        self.confined = self.flavor(svirt='selinux')
        self.simple = self.flavor(hypervisor='kvm')

    def become_blind(self, unseen):
        self.machine.unseen = unseen
        self.update('host1')

    def look(self):
        """Verify the guests of the host once, in turn."""
        self.driver('host1')._watch._work.run()

    def no_valid_host(self, flavor):
        server = self.boot(flavor, 'ERROR')
        self.assertIn('No valid host', server['fault']['message'])
        # It was refused before it was sent anywhere.
        self.assertNotIn('createWithFlags', ''.join(self.machine.calls))

    def codes(self, flavor):
        """The codes that explain shows for the host."""
        answers = explain.explain(flavor, registry.get()).answers
        return {code for one in answers for code in one.decision.codes}

    def test_no_guest_is_attracted(self):
        self.become_blind(NO_HELPER)
        traits = self.traits('host1')
        self.assertEqual(set(), traits & {SANDBOX, PIE})
        self.assertLessEqual({SVIRT, KVM}, traits)
        self.no_valid_host(self.hardened)
        self.assertEqual({reasons.NO_HELPER.code}, self.codes(self.hardened))
        # Who reads nothing of what cannot be seen is as before.
        for flavor in (self.confined, self.simple, self.flavor()):
            self.boot(flavor)
            self.assertEqual(set(), self.codes(flavor))

    def test_nothing_can_be_seen(self):
        self.become_blind(PID_NAMESPACE)
        self.assertEqual(set(), self.traits('host1') & {SVIRT, SANDBOX, PIE})
        self.no_valid_host(self.hardened)
        self.no_valid_host(self.confined)
        for flavor in (self.hardened, self.confined):
            self.assertEqual({reasons.PID_NAMESPACE.code}, self.codes(flavor))
        self.boot(self.simple)

    def test_no_trait_but_the_filter(self):
        # Placement does not know of the traits; the filter refuses by itself.
        with base.no_prefilter():
            self.become_blind(NO_HELPER)
            self.no_valid_host(self.hardened)
        self.assertTrue(self.logged(reasons.NO_HELPER.code))

    def test_a_start_on_a_host_that_has_just_become_blind(self):
        # The scheduler does not know yet.
        self.machine.unseen = NO_HELPER
        self.refused(self.hardened, reasons.NO_HELPER.code)
        self.machine.unseen = {}
        self.machine.on_start = lambda _: self.lose_sight()
        server = self.refused(self.hardened, reasons.NO_HELPER.code)
        self.assertNothingLeft(server, 'host1')

    def lose_sight(self):
        """No process can be read any more, and the host finds out why."""
        self.machine.unseen = NO_HELPER
        self.machine.lies['executable'] = OSError('not read')

    def test_a_guest_that_is_seen_needs_no_examination(self):
        self.machine.on_start = lambda _: setattr(
            self.machine, 'unseen', NO_HELPER
        )
        server = self.boot(self.hardened)
        (event,) = self.events(server, 'isolation_verify')
        self.assertEqual('Success', event['result'])

    def test_the_helper_is_lost_between_the_facts_and_the_proof(self):
        self.machine.lies['executable'] = sight.Unseen(
            reasons.HELPER_LOST, 'killed'
        )
        self.refused(self.hardened, reasons.HELPER_LOST.code)

    def test_running_guests_are_left_alone(self):
        servers = [self.boot(f) for f in (self.hardened, self.confined)]
        self.look()
        self.become_blind(PID_NAMESPACE)
        self.machine.calls.clear()
        for _ in range(4):
            self.look()
        for server in servers:
            self.assertEqual(
                fakelibvirt.VIR_DOMAIN_RUNNING, self.domain(server)._state
            )
            self.assertEqual([], self.events(server, 'isolation_reverify'))
        self.assertEqual({}, self.guard('host1').violations.known)
        self.assertEqual([], [c for c in self.machine.calls if 'destr' in c])
        self.no_valid_host(self.confined)

    def test_a_violation_beside_it_counts(self):
        server = self.boot(self.flavor(qemu_hardening='pie', svirt='selinux'))
        self.look()
        self.machine.unseen = NO_HELPER
        self.machine.selinux = 'permissive'
        self.look()
        self.assertEqual(
            {server['id']}, set(self.guard('host1').violations.known)
        )

    def test_a_violation_that_was_known_is_not_forgotten(self):
        server = self.boot(self.hardened)
        self.flags(on_violation='report', group='isolation')
        self.machine.lies['executable'] = self.machine.identity.__class__(
            9, 9, 9, 9, 9
        )
        self.look()
        self.machine.unseen = NO_HELPER
        self.look()
        self.assertEqual(
            {server['id']}, set(self.guard('host1').violations.known)
        )
        self.machine.unseen = {}
        del self.machine.lies['executable']
        self.look()
        self.assertEqual({}, self.guard('host1').violations.known)

    def test_mended_by_itself(self):
        self.look()
        self.become_blind(NO_HELPER)
        self.no_valid_host(self.hardened)
        self.machine.unseen = {}
        # The watch publishes what has changed, within its turn.
        self.look()
        self.assertLessEqual({SANDBOX, PIE}, self.traits('host1'))
        self.boot(self.hardened)
