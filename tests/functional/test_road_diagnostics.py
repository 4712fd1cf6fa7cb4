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

"""The diagnostics of a running guest, as Nova's API answers an admin."""

from unittest import mock

from nova import context as nova_context
from nova import objects
from nova.compute import rpcapi
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.model import examination
from tests.functional import fixtures
from tests.functional import road

#: What would be done to a guest.
DEEDS = {'suspend', 'resume', 'destroy', 'shutdown', 'undefine'}


class DiagnosticsTest(road.TestCase):
    def setUp(self):
        super().setUp()
        self.start(fixtures.Machine())
        self.machine = self.machines['host1']
        # Nova's fake libvirt knows neither.
        for name in ('vcpus', 'memoryStats'):
            patch = mock.patch.object(
                fixtures.Domain,
                name,
                side_effect=fakelibvirt.libvirtError('unsupported'),
                create=True,
            )
            patch.start()
            self.addCleanup(patch.stop)

    def diagnostics(self, server, microversion='2.47'):
        with mock.patch.object(self.api, 'microversion', microversion):
            return self.api.api_get(f'servers/{server["id"]}/diagnostics').body

    def examined(self, server):
        return examination.load(self.diagnostics(server)[examination.KEY])

    def test_what_is_read_now(self):
        server = self.boot(self.tagged())
        self.machine.calls.clear()
        found = self.examined(server)
        self.assertTrue(found.verified)
        self.assertEqual(
            {
                'isolation:qemu_sandbox',
                'isolation:svirt',
                'isolation:svirt_type',
            },
            {one.requirement for one in found.proofs},
        )
        # It was read from the guest, and nothing was done to it.
        asked = set(self.calls('host1'))
        self.assertGreaterEqual(asked, road.QUESTIONS)
        self.assertEqual(set(), asked & DEEDS)
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        # As the service asks, with what it has loaded.
        instance = objects.Instance.get_by_uuid(
            self.context, server['id'], expected_attrs=['flavor']
        )
        answer = rpcapi.ComputeAPI().get_diagnostics(
            nova_context.get_admin_context(), instance
        )
        self.assertTrue(examination.load(answer[examination.KEY]).verified)

    def test_what_is_unmet_now(self):
        server = self.boot(self.tagged())
        watch = self.driver('host1')._watch
        self.unsandboxed('host1')
        with mock.patch.object(watch, 'wake') as wake:
            found = self.examined(server)
        self.assertEqual({road.NO_SANDBOX}, {one.code for one in found.unmet})
        self.assertFalse(found.verified)
        # Who asks changes nothing. The watch draws the conclusions.
        wake.assert_called_once_with(server['id'])
        self.assertEqual(road.RUNNING, self.state(server, 'host1'))
        self.assertEqual([], self.events(server, 'isolation_reverify'))
        self.permissive('host1')
        found = self.examined(server)
        self.assertIn(road.NOT_ENFORCING, {one.code for one in found.unmet})
        # What cannot be read proves nothing, and Nova answers all the same.
        self.enforcing('host1')
        self.machine.lies['seccomp'] = OSError('no such process')
        found = self.examined(server)
        self.assertEqual(
            {'isolation.verify.failed'}, {one.code for one in found.unmet}
        )

    def test_answer_of_nova_is_kept(self):
        server = self.boot(self.tagged())
        untagged = self.boot(self.flavor())
        driver = self.driver('host1')
        self.machine.calls.clear()
        with mock.patch.object(
            libvirt_driver.LibvirtDriver,
            'get_diagnostics',
            side_effect=lambda instance: {'memory': 65536},
        ):
            self.assertEqual({'memory': 65536}, self.diagnostics(untagged))
            self.assertEqual([], self.calls('host1'))
            answer = self.diagnostics(server)
            self.assertEqual(65536, answer.pop('memory'))
            self.assertEqual({examination.KEY}, set(answer))
            # Whatever fails of ours.
            with mock.patch.object(
                driver.guard, 'examine', side_effect=ValueError('a defect')
            ):
                self.assertEqual({'memory': 65536}, self.diagnostics(server))
            self.assertEqual(1, len(self.logged('Could not examine a guest')))
        # The closed schema of later microversions has no room.
        self.assertNotIn(examination.KEY, self.diagnostics(server, '2.48'))
