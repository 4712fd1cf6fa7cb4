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

from unittest import mock

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import svirt
from nova_isolation.model import reasons
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
        one = violation(reasons.QEMU_BINARY)
        self.assertTrue(self.known.is_new(one))
        self.known.add(one)
        # What exactly was found makes no other violation.
        for same in (one, violation(reasons.QEMU_BINARY, found='y')):
            self.assertFalse(self.known.is_new(same))
        for other in (
            violation(reasons.QEMU_NO_SANDBOX),
            violation(reasons.QEMU_BINARY, reasons.QEMU_NO_SANDBOX),
            violation(reasons.QEMU_BINARY, uuid='b'),
        ):
            self.assertTrue(self.known.is_new(other))
        self.assertIs(one, self.known.end('a'))
        self.assertIsNone(self.known.end('a'))
        self.assertTrue(self.known.is_new(one))

    def test_a_call_and_what_is_found_then_are_one(self):
        self.known.add(violation(reasons.ATTESTED_REVOKED))
        self.assertFalse(self.known.is_new(violation(reasons.ATTESTED_FAILED)))
        self.assertTrue(self.known.is_new(violation(reasons.ATTESTED_STALE)))

    def test_certain_is_not_doubted(self):
        for reason in (
            reasons.QEMU_BINARY,
            reasons.SVIRT_LABEL,
            reasons.SVIRT_CLASH,
            reasons.SVIRT_NOT_ENFORCING,
            reasons.ATTESTED_FAILED,
            reasons.ATTESTED_REVOKED,
            reasons.ATTESTED_NOT_JUDGED,
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
            reasons.SVIRT_UNKNOWN,
            reasons.QEMU_UNKNOWN,
            reasons.EVIDENCE_MISSING,
            reasons.ATTESTED_UNKNOWN,
            reasons.ATTESTED_PENDING,
            reasons.ATTESTED_STALE,
            reasons.ATTESTED_FUTURE,
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

    def test_mechanism_that_cannot_say_what_is_unknown(self):
        with mock.patch.object(
            svirt.SvirtMechanism, 'unknown', side_effect=RuntimeError('no')
        ):
            known = violations.Violations(registry.get())
        self.assertFalse(
            known.doubt(violation(reasons.SVIRT_UNKNOWN), in_turn=True)
        )
        self.assertTrue(
            known.doubt(violation(reasons.QEMU_UNKNOWN), in_turn=True)
        )

    def test_closed(self):
        self.assertEqual({}, self.known.closed())
        self.known.add(violation(reasons.QEMU_BINARY))
        self.known.add(
            violation(reasons.SVIRT_CLASH, uuid='b', mechanisms=('svirt',))
        )
        # By the facts alone: they say so themselves.
        self.known.add(
            violation(reasons.HYPERVISOR_OTHER, uuid='c', mechanisms=())
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
