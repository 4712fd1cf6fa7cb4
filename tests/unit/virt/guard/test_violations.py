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

"""What is known of guests that run and are not as asked."""

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.attested import reason_codes as attested_reasons
from nova_isolation.mechanisms.hypervisor import (
    reason_codes as hypervisor_reasons,
)
from nova_isolation.mechanisms.qemu import reason_codes as qemu_reasons
from nova_isolation.mechanisms.svirt import reason_codes as svirt_reasons
from nova_isolation.model import reasons
from nova_isolation.testing import mechanism_contract
from nova_isolation.virt.guard import violations
from tests.unit import base

QEMU = 'isolation:qemu_sandbox'


def violation(*reasons_, uuid='a', found='x', mechanisms=('qemu',)):
    unmet = tuple(
        reasons.Unmet(reason.code, QEMU, 'true', found) for reason in reasons_
    )
    return violations.Violation(uuid, unmet, frozenset(mechanisms))


class ViolationsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.known = violations.Violations(registry.get())

    def test_new_once(self):
        one = violation(qemu_reasons.BINARY)
        self.assertTrue(self.known.is_new(one))
        self.known.add(one)
        # What exactly was found makes no other violation.
        for same in (one, violation(qemu_reasons.BINARY, found='y')):
            self.assertFalse(self.known.is_new(same))
        for other in (
            violation(qemu_reasons.NO_SANDBOX),
            violation(qemu_reasons.BINARY, qemu_reasons.NO_SANDBOX),
            violation(qemu_reasons.BINARY, uuid='b'),
        ):
            self.assertTrue(self.known.is_new(other))
        self.assertIs(one, self.known.end('a'))
        self.assertIsNone(self.known.end('a'))
        self.assertTrue(self.known.is_new(one))

    def test_a_call_and_what_is_found_then_are_one(self):
        self.known.add(violation(attested_reasons.REVOKED))
        self.assertFalse(self.known.is_new(violation(attested_reasons.FAILED)))
        self.assertTrue(self.known.is_new(violation(attested_reasons.STALE)))

    def test_certain_is_not_doubted(self):
        for reason in (
            qemu_reasons.BINARY,
            svirt_reasons.LABEL,
            svirt_reasons.CLASH,
            svirt_reasons.NOT_ENFORCING,
            attested_reasons.FAILED,
            attested_reasons.REVOKED,
            attested_reasons.NOT_JUDGED,
        ):
            for more in ((), (reasons.VERIFY_FAILED,)):
                one = violation(reason, *more)
                self.assertFalse(self.known.doubt(one, in_turn=True))
                self.assertFalse(self.known.doubt(one, in_turn=False))

    def test_unknown_is_doubted_once_in_a_row(self):
        for reason in (
            reasons.VERIFY_FAILED,
            reasons.MECHANISM_FAILED,
            reasons.FACTS_MISSING,
            svirt_reasons.UNKNOWN,
            qemu_reasons.UNKNOWN,
            reasons.EVIDENCE_MISSING,
            attested_reasons.UNKNOWN,
            attested_reasons.PENDING,
            attested_reasons.STALE,
            attested_reasons.FUTURE,
        ):
            one = violation(reason)
            self.assertTrue(self.known.doubt(one, in_turn=False))
            self.assertTrue(self.known.doubt(one, in_turn=True))
            self.assertTrue(self.known.doubt(one, in_turn=False))
            self.assertFalse(self.known.doubt(one, in_turn=True))
            self.known.end('a')
            self.assertTrue(self.known.doubt(one, in_turn=True))
            self.known.keep(())
            self.assertTrue(self.known.doubt(one, in_turn=True))
            self.known.end('a')

    def test_what_the_host_cannot_see_by_its_own_fault_never_counts(self):
        for reason in (
            reasons.NO_HELPER,
            reasons.HELPER_LOST,
            reasons.HELPER_DENIED,
            reasons.HIDEPID,
            reasons.PID_NAMESPACE,
            reasons.LIBVIRT_UNSEEN,
            reasons.PID_FILES,
            reasons.EMULATOR_UNSEEN,
            reasons.UNEXAMINED,
            svirt_reasons.UNMOUNTED,
        ):
            for _ in range(3):
                one = violation(reason)
                self.assertTrue(self.known.doubt(one, in_turn=True), reason)
            # It excuses nothing else.
            one = violation(reason, qemu_reasons.BINARY)
            self.assertFalse(self.known.doubt(one, in_turn=True))
            one = violation(reason, qemu_reasons.UNKNOWN)
            self.assertTrue(self.known.doubt(one, in_turn=True))
            self.assertFalse(self.known.doubt(one, in_turn=True))
            self.known.end('a')

    def test_what_a_guest_can_bring_about_counts(self):
        # A guest that has broken out can hide its own process.
        one = violation(reasons.GUESTS_UNSEEN)
        self.assertTrue(self.known.doubt(one, in_turn=True))
        self.assertFalse(self.known.doubt(one, in_turn=True))

    def test_codes_that_no_loaded_mechanism_declares_are_certain(self):
        classes = mechanism_contract.installed()
        del classes['svirt']
        known = violations.Violations(registry.build(classes))
        self.assertFalse(
            known.doubt(violation(svirt_reasons.UNKNOWN), in_turn=True)
        )
        self.assertTrue(
            known.doubt(violation(qemu_reasons.UNKNOWN), in_turn=True)
        )

    def test_closed(self):
        self.assertEqual({}, self.known.closed())
        self.known.add(violation(qemu_reasons.BINARY))
        self.known.add(
            violation(svirt_reasons.CLASH, uuid='b', mechanisms=('svirt',))
        )
        # By the facts alone: they say so themselves.
        self.known.add(
            violation(hypervisor_reasons.OTHER, uuid='c', mechanisms=())
        )
        self.assertEqual({'qemu': '', 'svirt': ''}, self.known.closed())
        self.assertEqual(
            {
                'qemu': 'guest a: isolation.qemu.other_binary',
                'svirt': 'guest b: isolation.svirt.category_clash',
            },
            self.known.closed('new'),
        )
        self.known.examined = frozenset('ab')
        self.assertEqual({}, self.known.closed('a'))
        self.known.keep('b')
        self.assertNotEqual({}, self.known.closed('a'))
        self.assertEqual({}, self.known.closed('b'))
