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

"""What the owner of a server reads of each reason, and what he does not.

A reason is public only where what was wanted and found is always about the
flavor or the server itself: each code is decided about here.
"""

from nova_isolation.mechanisms import registry
from nova_isolation.model import fault_message
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from tests.unit import base

#: About the flavor, the image, or a task of the server itself.
PUBLIC = {
    'isolation.spec.unknown',
    'isolation.spec.reserved',
    'isolation.spec.invalid_value',
    'isolation.spec.conflict',
    'isolation.verify.interrupted',
    'isolation.qemu.emulated_architecture',
    'isolation.qemu.device_absent',
    'isolation.hypervisor.emulated_architecture',
    'isolation.xsm.forbidden_label',
}

#: About a host, its admin's rules, a third party, another guest, or the text
#: of an error, which may name any of them.
FOR_ADMINS = {
    'isolation.mechanism.unavailable',
    'isolation.mechanism.failed',
    'isolation.facts.missing',
    'isolation.facts.stale',
    'isolation.facts.from_the_future',
    'isolation.facts.malformed',
    'isolation.facts.newer_schema',
    'isolation.facts.no_evidence',
    'isolation.host.violated',
    'isolation.host.audits',
    'isolation.host.no_helper',
    'isolation.host.helper_lost',
    'isolation.host.helper_denied',
    'isolation.host.hidepid',
    'isolation.host.pid_namespace',
    'isolation.host.libvirt_unseen',
    'isolation.host.pid_files',
    'isolation.host.guests_unseen',
    'isolation.host.reads_hang',
    'isolation.host.emulator_unseen',
    'isolation.host.unexamined',
    'isolation.verify.failed',
    'isolation.verify.hook',
    'isolation.verify.no_process',
    'isolation.attested.unknown_host',
    'isolation.attested.ambiguous',
    'isolation.attested.pending',
    'isolation.attested.failed',
    'isolation.attested.revoked',
    'isolation.attested.stale',
    'isolation.attested.from_the_future',
    'isolation.attested.pcr_not_judged',
    'isolation.attested.never_launched',
    'isolation.attested.pcr_resettable',
    'isolation.attested.no_boot',
    'isolation.attested.no_runtime',
    'isolation.certification.unknown',
    'isolation.certification.undeclared',
    'isolation.certification.precondition',
    'isolation.hypervisor.unknown',
    'isolation.hypervisor.other',
    'isolation.verify.self_reboot',
    'isolation.qemu.unknown',
    'isolation.qemu.not_hardened',
    'isolation.qemu.no_sandbox',
    'isolation.qemu.component_present',
    'isolation.qemu.other_binary',
    'isolation.qemu.other_modules',
    'isolation.svirt.unknown',
    'isolation.svirt.no_model',
    'isolation.svirt.not_enforcing',
    'isolation.svirt.selinux_unseen',
    'isolation.svirt.default_type',
    'isolation.svirt.type_not_allowed',
    'isolation.svirt.wrong_definition',
    'isolation.svirt.wrong_label',
    'isolation.svirt.category_clash',
    'isolation.xsm.unknown',
    'isolation.xsm.no_xen',
    'isolation.xsm.absent',
    'isolation.xsm.not_enforcing',
    'isolation.xsm.policy_changed',
    'isolation.xsm.no_label',
    'isolation.xsm.wrong_definition',
    'isolation.xsm.wrong_label',
    'isolation.xsm.not_isolated',
    'isolation.xsm.no_stub_domain',
    'isolation.xsm.device_model',
    'isolation.xsm.no_backend',
    'isolation.xsm.backend',
    'isolation.xsm.dom0',
}

WANTED = 'PCR 17 = 38c89eb0aa81'
FOUND = 'guest 9f1c: isolation.svirt.wrong_label'


class OwnerTextTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.known = registry.get().reasons

    def test_each_reason_is_decided_about(self):
        self.assertEqual(set(), PUBLIC & FOR_ADMINS)
        self.assertEqual(PUBLIC | FOR_ADMINS, set(self.known))

    def test_each_reason(self):
        for code in self.known:
            unmet = reasons.Unmet(code, 'isolation:svirt', WANTED, FOUND)
            refusal = exception.GuestRefused([unmet])
            for text in (
                str(refusal),
                refusal.format_message(),
                str(refusal.kwargs),
                fault_message.fit([unmet], '', self.known),
            ):
                self.assertIn(f'[{code}]', text)
                self.assertIn('isolation:svirt', text)
                for secret in (WANTED, FOUND):
                    self.assertEqual(code in PUBLIC, secret in text, text)
            for text in (refusal.details, str(unmet)):
                self.assertIn(WANTED, text)
                self.assertIn(FOUND, text)

    def test_reason_of_nobody(self):
        unmet = reasons.Unmet('isolation.other.one', '', WANTED, FOUND)
        text = exception.GuestRefused([unmet]).format_message()
        self.assertTrue(text.endswith(': facts [isolation.other.one]'), text)

    def test_reason_that_declares_nothing(self):
        declared = reasons.Reason('isolation.other.one', 'It is so.', 'Mend.')
        self.assertFalse(declared.public)
