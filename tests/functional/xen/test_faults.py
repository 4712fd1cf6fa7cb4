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

"""What fails on a Xen host at the worst moment: nothing unverified runs."""

import contextlib
import pathlib
from unittest import mock

import fixtures as base_fixtures
from nova import exception
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
import nova.conf

from tests.functional import road
from tests.functional import test_faults
from tests.functional.xen import base
from tests.functional.xen import fixtures

CONF = nova.conf.CONF

FAILED = 'isolation.verify.failed'


class FaultTestCase(base.GuestTestCase):
    """One guest runs. Whatever happens to the next one, it runs on."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova_isolation.virt.guard.deferred_power_off._INTERVAL', 0.02
            )
        )
        self.first = self.boot(self.tagged())
        self.machine.calls.clear()
        self.addCleanup(self.assertFirstRuns)

    def assertFirstRuns(self):
        domain = self.domain(self.first)
        self.assertEqual(base.RUNNING, domain._state)
        self.assertEqual([base.fixtures.fixtures.PAUSED], domain.started)

    def assertGone(self, server):
        """It was never resumed, and its domain is destroyed."""
        self.assertNotIn('resume', self.machine.calls)
        self._wait_for_assert(
            lambda: self.assertNotIn(
                self.state(server, 'host1'), (base.RUNNING, road.PAUSED)
            ),
            max_retries=200,
        )
        self.assertIn('destroy', self.machine.calls)


class HypervisorTest(FaultTestCase):
    """What Xen says when the guest is verified."""

    def breaks_at_start(self, change):
        """Something becomes true when the next guest has been started."""
        self.machine.on_start = lambda domain: change(domain)

    def assertRefusedFor(self, *codes):
        server = self.refused(self.tagged(), *codes)
        self.assertGone(server)
        self.machine.lies.clear()
        self.machine.broken.clear()

    def test_silent(self):
        self.breaks_at_start(
            lambda domain: self.machine.broken.update(
                xen=OSError('no answer in 10 s')
            )
        )
        self.assertRefusedFor('isolation.xsm.unknown')

    def assertRefusedWhereAskedFails(self, error):
        """The hypervisor can be measured, and not asked about a guest."""
        ask = fixtures.Xen.ask

        def fail(xen, question):
            if question.uuid is not None:
                raise error
            return ask(xen, question)

        with mock.patch.object(fixtures.Xen, 'ask', fail):
            self.assertRefusedFor(FAILED)

    def test_silent_after_the_measurement(self):
        self.assertRefusedWhereAskedFails(TimeoutError('no answer in 10 s'))

    def test_garbled(self):
        # As nova_isolation.probes.xen.process reads it.
        self.assertRefusedWhereAskedFails(ValueError('Xen: not JSON'))

    def test_label_is_garbled(self):
        self.breaks_at_start(
            lambda domain: self.machine.lies.update(flask_label='\0\ufffd')
        )
        self.assertRefusedFor('isolation.xsm.wrong_label')

    def test_xenstore_is_gone(self):
        # The number of the domain is known, and none of its devices.
        server = self.refused(
            self.tagged(xsm_device_model='none'),
            'isolation.xsm.device_model',
        )
        self.assertGone(server)

    def test_number_of_another_domain(self):
        self.breaks_at_start(
            lambda domain: self.machine.lies.update(
                {f'uuid of {domain.ID()}': self.first['id'][::-1]}
            )
        )
        self.assertRefusedFor(FAILED)

    def test_domain_of_another_number(self):
        self.breaks_at_start(
            lambda domain: self.machine.lies.update(
                {f'number of {domain.ID()}': 32000}
            )
        )
        self.assertRefusedFor(FAILED)

    def test_started_anew_after_it_was_verified(self):
        """The same UUID has another number when it is to be resumed."""
        verify = self.guard('host1').verify

        def verify_and_restart(guest, *args):
            found = verify(guest, *args)
            domain = self.connection('host1').lookupByUUIDString(guest.uuid)
            xml = domain.xml
            self.connection('host1')._mark_running(domain)
            base.fixtures.fixtures.Processes.current.end(domain)
            domain.begin(xml, paused=True)
            return found

        with mock.patch.object(
            self.guard('host1'), 'verify', verify_and_restart
        ):
            self.assertRefusedFor(FAILED)


class ForgottenPauseTest(FaultTestCase):
    """libvirtd is started anew, and takes paused guests for running ones."""

    def instance(self, server):
        return objects.Instance.get_by_uuid(self.context, server['id'])

    def left(self, vm_state, task_state):
        """nova-compute and libvirtd die before a guest was verified."""
        server = self.boot(self.tagged())
        driver = self.driver('host1')
        instance = self.instance(server)
        # As the guard does before it starts a guest.
        driver.guard.hypervisor.begin_start(driver._host.get_guest(instance))
        domain = self.domain(server)
        domain._state = road.PAUSED
        domain.libvirtd_restarts()
        instance.vm_state, instance.task_state = vm_state, task_state
        instance.save()
        return server

    def restart(self):
        """nova-compute is started anew."""
        self.machine.calls.clear()
        self.restart_compute_service('host1')

    def test_of_a_guest_that_was_being_started(self):
        server = self.left(vm_states.BUILDING, task_states.SPAWNING)
        self.restart()
        self.assertGone(server)
        self.assertFault(server, 'isolation.verify.interrupted')
        server = self.api.get_server(server['id'])
        self.assertEqual('ERROR', server['status'])

    def test_of_a_guest_that_belongs_to_no_host_yet(self):
        server = self.left(vm_states.ACTIVE, task_states.REBUILD_SPAWNING)
        instance = self.instance(server)
        instance.host = 'other'
        instance.save()
        self.restart()
        self.assertGone(server)

    def test_the_hypervisor_does_not_say(self):
        server = self.left(vm_states.BUILDING, task_states.SPAWNING)
        domain = self.domain(server)
        self.machine.broken['xen'] = TimeoutError('no answer in 10 s')
        self.restart()
        # Its note stays, by which the next start of nova-compute knows it.
        self.assertEqual(1, len(domain.notes))
        self.assertTrue(domain.mistaken)
        self.assertTrue(self.logged('Could not find out whether'))
        self.machine.broken.clear()

    def test_of_a_guest_that_its_owner_has_paused(self):
        for flavor in (self.tagged(), self.flavor()):
            server = self.act(self.boot(flavor), 'pause')
            domain = self.domain(server)
            domain.libvirtd_restarts()
            self.restart()
            self.assertEqual([], self.faults(server))
            server = self.act(server, 'unpause')
            self.assertEqual('PAUSED', server['status'])
            self.assertIn('Reboot the server hard', self.faults(server)[0])
            self.assertTrue(domain.mistaken)
            server = self.act(server, 'reboot', {'type': 'HARD'})
            self.assertEqual('ACTIVE', server['status'])
            self.assertFalse(self.domain(server).mistaken)

    def test_unpaused_while_the_hypervisor_does_not_say(self):
        server = self.act(self.boot(self.flavor()), 'pause')
        self.machine.broken['xen'] = TimeoutError('no answer in 10 s')
        server = self.act(server, 'unpause')
        self.machine.broken.clear()
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual([], self.faults(server))


class LibvirtdTest(FaultTestCase):
    """libvirtd dies between create and resume."""

    @staticmethod
    def files(uuid):
        """The folder with the disk, which has a loop device."""
        return pathlib.Path(CONF.instances_path, uuid)

    def test_dies(self):
        away = contextlib.ExitStack()
        self.addCleanup(away.close)

        def die(domain):
            for name in ('info', 'isActive', 'destroy', 'undefine', 'resume'):
                away.enter_context(
                    mock.patch.object(
                        fixtures.Domain, name, test_faults.broken_connection
                    )
                )
            away.enter_context(
                mock.patch.object(
                    self.driver('host1')._host,
                    'get_connection',
                    side_effect=exception.HypervisorUnavailable,
                )
            )

        self.machine.on_start = die
        server = self.boot(self.tagged(), 'ERROR')
        self.assertNotIn('resume', self.machine.calls)
        self.assertEqual(
            2, len(base.fixtures.fixtures.Processes.current._domains)
        )
        self.assertTrue(self.files(server['id']).exists())
        away.close()
        self.assertGone(server)

    def test_dies_and_is_back(self):
        had_files = []
        destroy = fixtures.Domain.destroy

        def look_and_destroy(domain):
            had_files.append(self.files(domain.UUIDString()).exists())
            return destroy(domain)

        self.machine.on_start = test_faults.broken_connection
        with mock.patch.object(fixtures.Domain, 'destroy', look_and_destroy):
            server = self.boot(self.tagged(), 'ERROR')
            self.assertGone(server)
        self.assertTrue(had_files[0])
        self.assertFalse(self.files(server['id']).exists())
