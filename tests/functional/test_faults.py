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

"""What fails at the worst moment: nothing unverified runs, nothing leaks."""

import contextlib
import os
from unittest import mock

import fixtures as base_fixtures
from nova import exception
import nova.conf
from nova.tests.fixtures import libvirt as fakelibvirt

from nova_isolation.mechanisms.svirt import mechanism
from tests.functional import base
from tests.functional import fixtures

CONF = nova.conf.CONF


def broken_connection(*args, **kwargs):
    """What libvirt's client raises when libvirtd has died."""
    raise fakelibvirt.make_libvirtError(
        fakelibvirt.libvirtError,
        'End of file while reading data: Input/output error',
        error_code=fakelibvirt.VIR_ERR_SYSTEM_ERROR,
        error_domain=fakelibvirt.VIR_FROM_RPC,
    )


class LibvirtdTest(base.TestCase):
    """libvirtd dies after a guest is started, before it is verified."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova_isolation.virt.guard.deferred_power_off._INTERVAL', 0.02
            )
        )
        self.start(fixtures.Machine())
        self.tagged = self.flavor(qemu_sandbox='true')
        self.machine = self.machines['host1']
        self.hypervisor = self.connection('host1')
        self.away = contextlib.ExitStack()
        self.addCleanup(self.away.close)

    def die(self, domain):
        """From now on libvirtd does not answer; its guests stay."""
        for name in ('info', 'isActive', 'destroy', 'undefine', 'resume'):
            self.away.enter_context(
                mock.patch.object(fixtures.Domain, name, broken_connection)
            )
        self.away.enter_context(
            mock.patch.object(
                self.driver('host1')._host,
                'get_connection',
                side_effect=exception.HypervisorUnavailable,
            )
        )

    def assertPoweredOff(self):
        """The guest that waits for libvirtd ends once that is back."""
        self.assertEqual(1, len(self.hypervisor._running_vms))
        self.away.close()
        self.assertSoonOff()

    def assertSoonOff(self):
        self._wait_for_assert(
            lambda: self.assertEqual({}, self.hypervisor._running_vms), 200, 0
        )
        self.assertNotIn('resume', self.machine.calls)
        self.assertEqual(1, self.machine.calls.count('destroy'))

    def test_dies_before_the_verification(self):
        self.machine.on_start = self.die
        server = self.refused(
            self.tagged, 'isolation.qemu.unknown', networks='auto'
        )
        self.assertPoweredOff()
        # Nova finds the rest once the server is deleted.
        self._delete_server(server)
        self.computes['host1'].manager._cleanup_running_deleted_instances(
            self.context
        )
        self.assertNothingLeft(server, 'host1')
        self.assertEqual([], os.listdir(CONF.instances_path))

    def test_dies_before_it_has_answered_the_start(self):
        def die(domain):
            self.die(domain)
            broken_connection()

        self.machine.on_start = die
        self.boot(self.tagged, 'ERROR')
        self.assertPoweredOff()

    def test_nova_compute_is_restarted_too(self):
        self.machine.on_start = self.die
        server = self.refused(self.tagged, 'isolation.qemu.unknown')
        # Not this process, but the one that comes.
        self.guard('host1').deferred_power_off.discard(server['id'])
        self.away.close()
        self.assertEqual(1, len(self.hypervisor._running_vms))
        self.restart_compute_service('host1')
        self.assertSoonOff()

    def test_untagged_and_foreign_guests_are_left_alone(self):
        """Those that a start-up finds paused, for whatever reason."""
        self.machine.on_start = lambda domain: None
        untagged = self.boot(self.flavor())
        self.domain(untagged).suspend()
        arriving = self.boot(self.tagged)
        self.domain(arriving).suspend()
        with mock.patch.object(
            fixtures.Domain, 'destroy', side_effect=AssertionError
        ):
            # Nova's list is without them, as it is for guests of other hosts.
            self.driver('host1')._begin_with([])
            self.assertEqual(set(), self.power_offs('host1').work.pending)

    def test_guest_that_was_started_anew_runs_on(self):
        server = self.boot(self.tagged)
        waiting = self.power_offs('host1')
        with mock.patch.object(
            self.driver('host1')._host,
            'get_connection',
            side_effect=exception.HypervisorUnavailable,
        ):
            waiting.add(server['id'])
        self._reboot_server(server, hard=True)
        self.assertEqual(set(), waiting.work.pending)
        self.assertEqual(
            fakelibvirt.VIR_DOMAIN_RUNNING, self.domain(server)._state
        )
        # One that runs is not powered off, whoever is mistaken about it.
        waiting.add(server['id'])
        self._wait_for_assert(
            lambda: self.assertEqual(set(), waiting.work.pending), 200, 0
        )
        self.assertEqual(
            fakelibvirt.VIR_DOMAIN_RUNNING, self.domain(server)._state
        )


class UnreadableTest(base.TestCase):
    """The kernel does not show the guest's process."""

    def test_refused(self):
        self.start(fixtures.Machine())
        flavors = [
            self.flavor(svirt='selinux'),
            self.flavor(qemu_sandbox='true'),
            self.flavor(qemu_hardening='pie'),
        ]
        for unreadable in ('read', 'read_process'):
            for flavor in flavors:
                with mock.patch(
                    f'nova_isolation.host.privileged.{unreadable}',
                    side_effect=PermissionError(unreadable),
                ):
                    server = self.refused(flavor, 'isolation.verify.failed')
                self.assertNothingLeft(server, 'host1')
        self.assertNotIn('resume', self.machines['host1'].calls)


class DiskFullTest(base.TestCase):
    """A refused guest whose domain cannot be undefined."""

    def test_does_not_run_and_goes_with_its_server(self):
        self.start(fixtures.Machine(lies={'seccomp': 0}))
        with mock.patch.object(
            fixtures.Domain,
            'undefine',
            side_effect=fakelibvirt.libvirtError('No space left on device'),
        ):
            server = self.refused(
                self.flavor(qemu_sandbox='true'), networks='auto'
            )
        connection = self.connection('host1')
        self.assertEqual({}, connection._running_vms)
        self.assertEqual(1, len(connection._vms))
        self.assertEqual(
            {}, self._get_allocations_by_server_uuid(server['id'])
        )
        self._delete_server(server)
        self.computes['host1'].manager._cleanup_running_deleted_instances(
            self.context
        )
        self.assertNothingLeft(server, 'host1')


class MechanismTest(base.TestCase):
    """A mechanism raises what nobody foresees, in any of its methods."""

    def test_refuses_and_the_service_lives(self):
        self.start(fixtures.Machine())
        tagged, untagged = self.flavor(svirt='selinux'), self.flavor()
        domains = self.connection('host1')._vms
        for method, error in {
            'measure': SystemExit(1),
            'read': RuntimeError('a defect'),
            'traits': SystemExit(1),
            'required_traits': SystemExit(1),
            'judge': SystemExit(1),
            'judge_definition': SystemExit(1),
            'confine': SystemExit(1),
            'verify': SystemExit(1),
        }.items():
            with mock.patch.object(
                mechanism.SvirtMechanism, method, side_effect=error
            ):
                # The periodic task is where a service ends silently.
                self.update('host1')
                server = self.boot(tagged, 'ERROR')
                self.assertEqual({}, domains, method)
            self.assertEqual(
                {}, self._get_allocations_by_server_uuid(server['id'])
            )
            self.update('host1')
        self.boot(untagged)
        self.boot(tagged)
