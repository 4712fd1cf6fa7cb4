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

"""A compute host refuses before anything of the guest is made."""

from unittest import mock

from nova import objects
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.virt import exception
from tests.functional import base
from tests.functional import fixtures

CODE = 'isolation.svirt.not_enforcing'


class RefusalTest(base.TestCase):
    """SELinux turns permissive after the scheduler's decision."""

    def setUp(self):
        super().setUp()
        # The traits would be updated by the host's claim.
        self.flags(request_traits=False, group='isolation')

    def permissive(self, *hosts):
        """What Nova holds of the hosts stays as it was."""
        for host in hosts:
            self.machines[host].selinux = 'permissive'

    def failed_builds(self, host):
        self.update(host)
        return int(self.node(host).stats.get('failed_builds', 0))

    def test_next_host(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.permissive('host1')
        server = self.boot(self.flavor(svirt='selinux'), networks='auto')
        self.assertHost('host2', server)
        self.assertEqual([], self.connection('host1').defined)
        self.assertNothingLeft(server, 'host1')
        self.assertEqual(0, self.failed_builds('host1'))
        (refused,) = self.events(server, 'isolation_decide')
        self.assertEvent(refused, 'Error', 'host1')
        self.assertTrue(
            refused['details'].startswith(exception.GuestRefused.MARK)
        )
        self.assertIn(f'[{CODE}]', refused['details'])
        (verified,) = self.events(server, 'isolation_verify')
        self.assertEvent(verified, 'Success', 'host2')
        self.assertNotIn('fault', self.api.get_server(server['id']))

    def test_failed_builds_are_counted_for_other_failures(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        with mock.patch.object(
            self.driver('host1'), '_create_image', side_effect=OSError
        ):
            server = self.boot(self.flavor(svirt='selinux'))
        self.assertHost('host2', server)
        self.assertEqual(1, self.failed_builds('host1'))

    def test_hook(self):
        # It uses another installation, which is broken, say.
        self.start(fixtures.Machine())
        words = (
            'nova-isolation does not let the guest instance-7 start: /opt/x'
        )
        with mock.patch.object(
            fixtures.Domain,
            'createWithFlags',
            side_effect=fakelibvirt.make_libvirtError(
                fakelibvirt.libvirtError,
                words,
                error_code=fixtures.HOOK_SCRIPT_FAILED,
            ),
        ):
            server = self.refused(
                self.flavor(svirt='selinux'),
                'isolation.verify.hook',
                networks='auto',
            )
        self.assertNotIn('instance-7', server['fault']['message'])
        (refused,) = self.events(server, 'isolation_verify')
        self.assertEvent(refused, 'Error', 'host1')
        self.assertIn(words, refused['details'])
        self.assertNothingLeft(server, 'host1')

    def test_all_hosts(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.permissive('host1', 'host2')
        server = self.refused(
            self.flavor(svirt='selinux', qemu_sandbox='true'),
            CODE,
            networks='auto',
        )
        self.assertIn('isolation:svirt [', server['fault']['message'])
        self.assertNotIn('qemu_sandbox', server['fault']['message'])
        self.assertNothingLeft(server, 'host1', 'host2')
        for host in ('host1', 'host2'):
            self.assertEqual([], self.connection(host).defined)
            self.assertEqual(0, self.failed_builds(host))
        events = self.events(server, 'isolation_decide')
        self.assertEqual(
            ['host1', 'host2'], [event['host'] for event in events]
        )
        # Nova had its own say.
        faults = objects.InstanceFaultList.get_by_instance_uuids(
            self.context, [server['id']]
        )
        self.assertIn(
            'Exceeded maximum number of retries',
            ' '.join(fault.message for fault in faults),
        )

    def test_forced_host(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.permissive('host1')
        server = self.refused(
            self.flavor(svirt='selinux'),
            CODE,
            az='nova:host1',
            networks='auto',
        )
        self.assertNothingLeft(server, 'host1', 'host2')
        self.assertEqual([], self.connection('host1').defined)
        self.assertEqual(0, self.failed_builds('host1'))

    def test_more_reasons_than_a_fault_can_hold(self):
        self.start(fixtures.Machine())
        names = tuple(catalogue.CATALOGUE)[:25]
        flavor = self.flavor(
            qemu_absent=','.join(names), qemu_sandbox='true', svirt='any'
        )
        machine = self.machines['host1']
        machine.types = frozenset(
            kind for name in names for kind in catalogue.CATALOGUE[name].types
        )
        machine.sandbox = False
        server = self.refused(
            flavor,
            'isolation.qemu.component_present',
            'isolation.qemu.no_sandbox',
        )
        self.assertIn('isolation:qemu_absent', server['fault']['message'])
        self.assertNotIn('isolation:svirt', server['fault']['message'])
        (event,) = self.events(server, 'isolation_decide')
        for name in names:
            self.assertIn(name, event['details'])

    def test_no_late_fault(self):
        self.flags(fault_timeout=0, group='isolation')
        self.start(fixtures.Machine())
        self.permissive('host1')
        server = self.boot(self.flavor(svirt='selinux'), 'ERROR')
        self.assertIn('Exceeded maximum', server['fault']['message'])
        self.assertIsNone(self.late_faults('host1').work.thread)

    def test_recording_fails(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.permissive('host1')
        with (
            mock.patch(
                'nova.objects.InstanceActionEvent.create',
                side_effect=OSError('the database is gone'),
            ),
            mock.patch.object(
                self.late_faults('host1'),
                'add',
                side_effect=RuntimeError('no thread'),
            ),
        ):
            server = self.boot(self.flavor(svirt='selinux'))
        self.assertHost('host2', server)
        self.assertNothingLeft(server, 'host1')
        self.assertEqual([], self.events(server, 'isolation_verify'))
        for what in ('isolation_decide', 'isolation_verify', 'fault'):
            self.assertEqual(
                1, len(self.logged(f'Could not record {what} of'))
            )

    def test_host_that_cannot_measure(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self.machines['host1'].broken['read'] = OSError('no /sys')
        self.machines['host2'].broken['capabilities'] = OSError('libvirt')
        self.ask_libvirt_anew('host2')
        self.refused(self.flavor(svirt='selinux'), 'isolation.svirt.unknown')
