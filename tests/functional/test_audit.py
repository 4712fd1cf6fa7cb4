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

"""Mode audit: all is decided and recorded, nothing is refused or changed."""

from nova.tests.fixtures import libvirt as fakelibvirt

from tests.functional import base
from tests.functional import fixtures


class AuditTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.flags(mode='audit', group='isolation')

    def assertRuns(self, server):
        domain = self.domain(server)
        self.assertEqual(fakelibvirt.VIR_DOMAIN_RUNNING, domain._state)
        self.assertNotIn('seclabel', domain.xml)
        self.assertNotIn('fault', server)

    def test_host_that_would_be_refused(self):
        self.start(fixtures.Machine(selinux='permissive'))
        server = self.boot(self.flavor(svirt='selinux'))
        self.assertRuns(server)
        (line,) = self.logged('hosts meet')
        self.assertIn('Isolation (audit, nothing is refused): 0 of 1', line)
        self.assertIn("{'isolation.svirt.not_enforcing': 1}", line)
        self.assertTrue(self.logged('Audit mode lets the guest run: '))
        for name in ('isolation_decide', 'isolation_verify'):
            event = self.events(server, name)[0]
            self.assertEvent(event, 'Error', 'host1')
            self.assertIn('[isolation.svirt.not_enforcing]', event['details'])

    def test_guest_that_would_be_refused(self):
        self.start(fixtures.Machine(lies={'seccomp': 0}))
        server = self.boot(self.flavor(qemu_sandbox='true', svirt='any'))
        self.assertRuns(server)
        self.assertEqual([], self.events(server, 'isolation_decide'))
        (event,) = self.events(server, 'isolation_verify')
        self.assertEvent(event, 'Error', 'host1')
        self.assertIn('[isolation.qemu.no_sandbox]', event['details'])

    def test_guest_that_is_as_asked(self):
        self.start(fixtures.Machine())
        server = self.boot(self.flavor(qemu_sandbox='true', svirt='any'))
        self.assertRuns(server)
        (event,) = self.events(server, 'isolation_verify')
        self.assertEvent(event, 'Success', 'host1')

    def test_extra_spec_that_is_unknown(self):
        self.start(fixtures.Machine())
        server = self.boot(self.flavor(svrit='any'))
        self.assertRuns(server)
        event = self.events(server, 'isolation_decide')[0]
        self.assertIn('[isolation.spec.unknown]', event['details'])

    def test_forced_host(self):
        # No trait is asked for either.
        self.start(fixtures.Machine(selinux=None))
        server = self.boot(self.flavor(svirt='selinux'), az='nova:host1')
        self.assertRuns(server)

    def test_is_no_guard(self):
        self.start(fixtures.Machine())
        self.assertNotIn('CUSTOM_ISOLATION_GUARDED', self.traits('host1'))
        self.assertIn('CUSTOM_ISOLATION_QEMU_SANDBOX', self.traits('host1'))
        self.flags(mode='enforce', group='isolation')
        self.update('host1')
        self.assertIn('CUSTOM_ISOLATION_GUARDED', self.traits('host1'))
