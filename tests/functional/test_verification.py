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

"""A guest is started paused, verified, and only then runs."""

import contextlib
from unittest import mock

from nova.tests.fixtures import libvirt as fakelibvirt
from nova.tests.functional.api import client

from nova_isolation.mechanisms.qemu import mechanism
from tests.functional import base
from tests.functional import fixtures


class VerifyTest(base.TestCase):
    def _calls(self, host='host1'):
        return [
            call for call in self.machines[host].calls if call != 'domain_xml'
        ]

    def test_runs_after_it_is_verified(self):
        self.start(fixtures.Machine())
        server = self.boot(
            self.flavor(
                svirt='selinux', qemu_sandbox='true', qemu_hardening='pie'
            )
        )
        start, *verified, resume = self._calls()
        self.assertEqual('createWithFlags(1)', start)
        self.assertEqual('resume', resume)
        self.assertEqual(
            {'security_label', 'process_label', 'seccomp', 'executable'},
            set(verified),
        )
        self.assertEqual(
            fakelibvirt.VIR_DOMAIN_RUNNING, self.domain(server)._state
        )
        (event,) = self.events(server, 'isolation_verify')
        self.assertEvent(event, 'Success', 'host1')
        (line,) = self.logged('The isolation of the guest was verified before')
        self.assertIn('isolation:qemu_sandbox: Seccomp: 2', line)

    def test_nothing_is_left_of_a_refused_guest(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        for machine in self.machines.values():
            machine.lies['seccomp'] = 0
        server = self.refused(
            self.flavor(qemu_sandbox='true'),
            'isolation.qemu.no_sandbox',
            networks='auto',
        )
        for host in ('host1', 'host2'):
            self.assertEqual(
                ['createWithFlags(1)', 'seccomp', 'destroy', 'undefine'],
                self._calls(host),
            )
        self.assertNothingLeft(server, 'host1', 'host2')
        self._delete_server(server)

    def test_nothing_is_left_on_a_forced_host(self):
        self.start(fixtures.Machine(lies={'seccomp': 0}))
        server = self.refused(
            self.flavor(qemu_sandbox='true'),
            'isolation.qemu.no_sandbox',
            networks='auto',
            az='nova:host1',
        )
        self.assertNothingLeft(server, 'host1')

    def test_what_cannot_be_read(self):
        error = fakelibvirt.libvirtError('no connection')
        self.start(fixtures.Machine(), fixtures.Machine())
        flavor = self.flavor(svirt='selinux', qemu_sandbox='true')
        for lies in (
            {'seccomp': OSError('gone')},
            {'security_label': error},
            {'security_label': []},
            {'process_label': ProcessLookupError('gone')},
        ):
            self.machines['host1'].lies = lies
            self.machines['host1'].calls.clear()
            server = self.boot(flavor)
            self.assertHost('host2', server)
            self.assertNotIn('resume', self._calls())
            self.assertEqual(['destroy', 'undefine'], self._calls()[-2:])
            self.assertNothingLeft(server, 'host1')

    def test_mechanism_that_fails(self):
        self.start(fixtures.Machine())
        for verify in (
            mock.Mock(side_effect=RuntimeError('a defect')),
            # Silence is no proof.
            mock.Mock(return_value=iter(())),
        ):
            with mock.patch.object(mechanism.QemuMechanism, 'verify', verify):
                server = self.refused(
                    self.flavor(qemu_sandbox='true'),
                    'isolation.verify.failed',
                )
            self.assertNotIn('resume', self._calls())
            self.assertNothingLeft(server, 'host1')

    def test_process_of_another_domain(self):
        # libvirt's file names a process id that is used again.
        self.start(fixtures.Machine(lies={'uuid': 'another'}))
        self.refused(
            self.flavor(qemu_sandbox='true'), 'isolation.verify.failed'
        )

    def test_guest_that_cannot_be_powered_off(self):
        # It stays paused, which is as safe as can be had.
        self.start(fixtures.Machine(lies={'seccomp': 0}))
        with mock.patch.object(
            fixtures.Domain,
            'destroy',
            side_effect=fakelibvirt.libvirtError('busy'),
        ):
            server = self.boot(self.flavor(qemu_sandbox='true'), 'ERROR')
            self.assertEqual('ERROR', server['status'])
            # Nova, which cleans up then, cannot power it off either.
            self.assertEqual(1, len(self.logged('could not be powered off')))
            pending = self.guard('host1').deferred_power_off.work.pending
            self.assertIn(server['id'], pending)
            domain = self.connection('host1').lookupByUUIDString(server['id'])
            self.assertEqual(fakelibvirt.VIR_DOMAIN_PAUSED, domain._state)
        self.assertNotIn('resume', self._calls())

    def test_recording_fails(self):
        self.start(fixtures.Machine())
        with mock.patch(
            'nova.objects.InstanceActionEvent.create',
            side_effect=RuntimeError('no conductor'),
        ):
            server = self.boot(self.flavor(qemu_sandbox='true'))
        self.assertEqual(
            fakelibvirt.VIR_DOMAIN_RUNNING, self.domain(server)._state
        )

    def test_changes_while_it_waits_for_the_network(self):
        self.flags(vif_plugging_timeout=10)
        self.start(fixtures.Machine())

        @contextlib.contextmanager
        def wait(*args, **kwargs):
            yield
            self.machines['host1'].lies['seccomp'] = 0

        with (
            mock.patch.object(
                self.driver('host1').virtapi, 'wait_for_instance_event', wait
            ),
            mock.patch.object(
                self.driver('host1'),
                '_get_neutron_events',
                return_value=[('network-vif-plugged', 'port')],
            ),
        ):
            server = self.refused(
                self.flavor(qemu_sandbox='true'), 'isolation.qemu.no_sandbox'
            )
        self.assertNotIn('resume', self.machines['host1'].calls)
        self.assertNothingLeft(server, 'host1')

    def test_waits_for_the_network_as_nova_wants(self):
        self.flags(vif_plugging_timeout=10)
        self.start(fixtures.Machine())
        machine = self.machines['host1']

        @contextlib.contextmanager
        def wait(*args, **kwargs):
            yield
            machine.calls.append('network')

        with (
            mock.patch.object(
                self.driver('host1').virtapi, 'wait_for_instance_event', wait
            ),
            mock.patch.object(
                self.driver('host1'),
                '_get_neutron_events',
                return_value=[('network-vif-plugged', 'port')],
            ),
        ):
            self.boot(self.flavor(qemu_sandbox='true'))
            self.assertEqual(
                [
                    'createWithFlags(1)',
                    'seccomp',
                    'network',
                    # Much may have changed while it waited.
                    'seccomp',
                    'resume',
                ],
                self._calls(),
            )
            machine.calls.clear()
            self.boot(self.flavor())
            self.assertEqual(
                ['createWithFlags(1)', 'network', 'resume'], self._calls()
            )


class OtherRoadsTest(base.TestCase):
    """All other roads to a running guest pass the same choke points."""

    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())
        self.server = self.boot(
            self.flavor(svirt='selinux', qemu_sandbox='true')
        )
        self.machines['host1'].calls.clear()

    def assertVerified(self):
        """The guest was started paused and verified, then runs."""
        domain = self.domain(self.server)
        self.assertEqual(fixtures.PAUSED, domain.started[-1])
        calls = self.machines['host1'].calls
        begin = calls.index('createWithFlags(1)')
        self.assertIn('seccomp', calls[begin:])
        self.assertEqual(1, calls.count('resume'))
        self.assertGreater(calls.index('resume'), calls.index('seccomp'))
        self.assertEqual(1, domain.xml.count('model="selinux"'))
        self.assertEqual(fakelibvirt.VIR_DOMAIN_RUNNING, domain._state)

    def _post_refused(self, action):
        # Nova's harness makes a call of what is a cast, so the error of the
        # compute service arrives here.
        error = self.assertRaises(
            client.OpenStackApiException,
            self.api.post_server_action,
            self.server['id'],
            action,
        )
        self.assertIn('GuestRefused', str(error))

    def test_hard_reboot(self):
        self.server = self._reboot_server(self.server, hard=True)
        self.assertVerified()
        self.assertEqual(2, len(self.events(self.server, 'isolation_verify')))

    def test_hard_reboot_that_is_refused(self):
        self.machines['host1'].lies['seccomp'] = 0
        self._post_refused({'reboot': {'type': 'HARD'}})
        self.assertNotIn('resume', self.machines['host1'].calls)
        self.assertEqual({}, self.connection('host1')._running_vms)

    def test_stop_and_start(self):
        self._stop_server(self.server)
        self.assertEqual({}, self.connection('host1')._running_vms)
        self.machines['host1'].calls.clear()
        self._start_server(self.server)
        self.assertVerified()

    def test_start_where_facts_have_changed(self):
        self._stop_server(self.server)
        self.machines['host1'].selinux = 'permissive'
        self._post_refused({'os-start': None})
        events = self.events(self.server, 'isolation_decide')
        self.assertIn('[isolation.svirt.not_enforcing]', events[0]['details'])
        self.assertEqual({}, self.connection('host1')._running_vms)
        # Nova's own fault has the reason; no other fault is waited for.
        faults = self.late_faults('host1')
        self._wait_for_assert(
            lambda: self.assertEqual(set(), faults.work.pending), 100, 0
        )
        self.assertEqual(
            [], self.logged('Nova has not given up on the server')
        )
