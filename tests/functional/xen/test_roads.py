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

"""The roads of a guest of Xen, for each kind of guest."""

from unittest import mock

from lxml import etree
from nova.tests import fixtures as nova_fixtures

from tests.functional import fixtures as functional_fixtures
from tests.functional.xen import base
from tests.functional.xen import fixtures


class _Roads:
    """What every kind of guest can do."""

    def setUp(self):
        super().setUp()
        self.server = self.boot(self.tagged(), networks='auto')

    def devices(self, kind):
        """The devices of the guest, by the tag of their elements."""
        xml = self.domain(self.server).XMLDesc(0)
        return etree.fromstring(xml).findall(f'devices/{kind}')

    def test_create_and_delete(self):
        self.assertVerified(self.server)
        xml = etree.fromstring(self.domain(self.server).defined)
        self.assertEqual('xen', xml.get('type'))
        self.assertEqual(self.kind, xml.find('os/type').get('machine'))
        self.assertEqual('xvda', xml.find('devices/disk/target').get('dev'))
        self.assertEqual(1, len(xml.findall('devices/interface')))
        self._delete_server(self.server)
        self.assertNothingLeft(self.server, 'host1')

    def test_stop_and_start(self):
        self.act(self.server, 'os-stop')
        self.assertStarts(0)
        self.act(self.server, 'os-start')
        self.assertVerified(self.server)

    def test_reboots(self):
        self.act(self.server, 'reboot', {'type': 'HARD'})
        self.assertVerified(self.server)
        self.act(self.server, 'reboot', {'type': 'SOFT'})
        self.assertVerified(self.server)

    def test_pause_and_unpause(self):
        self.act(self.server, 'pause')
        self.assertStarts(0)
        self.act(self.server, 'unpause')
        self.assertVerified(self.server, starts=0)

    def test_suspend_and_resume(self):
        self.act(self.server, 'suspend')
        self.assertStarts(0)
        self.act(self.server, 'resume')
        self.assertVerified(self.server)
        self.act(self.server, 'suspend')
        self._delete_server(self.server)
        self.assertNothingLeft(self.server, 'host1')

    def test_rescue_and_unrescue(self):
        self.assertEqual('RESCUE', self.act(self.server, 'rescue')['status'])
        self.assertVerified(self.server)
        self.act(self.server, 'unrescue')
        self.assertVerified(self.server)

    def test_rebuild(self):
        image = '155d900f-4e14-4e4c-a73d-069cbf4541e6'
        self.act(self.server, 'rebuild', {'imageRef': image})
        self.assertVerified(self.server)

    def start_others(self):
        # In one process all services share the [DEFAULT] host of the last
        # one, by which Nova knows whether the source is another host.
        for host in ('host2', 'host3'):
            self.machines[host] = fixtures.Machine()
            self.start_compute(host)

    def test_evacuate(self):
        self.start_others()
        self.domain(self.server).end()
        (service,) = self.api.get_services(host='host1', binary='nova-compute')
        self.api.put_service_force_down(service['id'], True)
        # Later microversions do not start the server.
        self.act(self.server, 'evacuate', {}, '2.94')
        server = self.api.get_server(self.server['id'])
        self.assertHost('host2', server)
        self.assertEqual(fixtures.ISOLATED, self.domain(server).flask_label)
        self.assertStarts(1, 'host2')

    def test_shelve_and_unshelve(self):
        self._shelve_server(self.server)
        self.assertEqual({}, self.connection('host1')._vms)
        self.act(self.server, 'unshelve')
        self.assertVerified(self.server)

    def test_migrate_and_resize(self):
        self.start_others()
        self.act(self.server, 'migrate')
        self.assertVerified(self.server, 'host2')
        self.act(self.server, 'revertResize')
        self.assertVerified(self.server, 'host1')
        larger = self.tagged()
        self.act(self.server, 'resize', {'flavorRef': larger})
        self.assertVerified(self.server, 'host2')
        self._confirm_resize(self.api.get_server(self.server['id']))
        self.assertEqual({}, self.connection('host1')._vms)

    def test_cold_snapshot(self):
        disk = mock.patch(
            'nova.virt.libvirt.utils.find_disk',
            return_value=('/instances/disk', 'raw'),
        )
        self.flags(
            snapshots_directory=self.useFixture(
                functional_fixtures.fixtures.TempDir()
            ).path,
            group='libvirt',
        )
        with disk:
            self.act(self.server, 'createImage', {'name': 'a-snapshot'})
            self.settle(self.server)
        self.assertIn('managedSave', self.calls('host1'))
        self.assertVerified(self.server)

    def test_volume(self):
        self.machine.calls.clear()
        volume = self.cinder.IMAGE_BACKED_VOL
        self.attach_volume(self.server, volume)

        def attached():
            return [
                one
                for one in self.devices('disk')
                if one.find('target').get('dev') == 'xvdb'
            ]

        # Nova 31 tells of the volume before the guest has it.
        self._wait_for_assert(lambda: self.assertEqual(1, len(attached())))
        (disk,) = attached()
        self.assertEqual('xen', disk.find('target').get('bus'))
        self.api.delete_server_volume(self.server['id'], volume)
        self._wait_for_volume_detach(self.server['id'], volume)
        self.assertEqual(1, len(self.devices('disk')))
        self.assertUntouched(self.server)

    def test_port(self):
        self.machine.calls.clear()
        port = nova_fixtures.NeutronFixture.port_1['id']
        self._attach_interface(self.server, port)
        self.assertEqual(2, len(self.devices('interface')))
        # Nova's fake tells no event of the removal, and Nova looks then.
        self.flags(device_detach_timeout=1, group='libvirt')
        self.api.detach_interface(self.server['id'], port)
        self._wait_for_assert(
            lambda: self.assertEqual(1, len(self.devices('interface'))),
            max_retries=200,
        )
        self.assertUntouched(self.server)

    def test_boot_of_the_host(self):
        self.flags(resume_guests_state_on_host_boot=True)
        self.domain(self.server).end()
        self.machine.calls.clear()
        self.restart_compute_service('host1')
        self.assertVerified(self.server)

    def test_guest_that_reboots_itself(self):
        number = self.domain(self.server).ID()
        self.machine.calls.clear()
        self.reboot_itself(self.server)
        self._wait_for_instance_action_event(
            self.server, 'reboot', 'compute_reboot_instance', 'success'
        )
        self.assertVerified(self.server)
        self.assertNotEqual(number, self.domain(self.server).ID())


class PvTest(_Roads, base.GuestTestCase):
    kind = 'xenpv'


class PvhTest(_Roads, base.GuestTestCase):
    kind = 'xenpvh'


class HvmTest(_Roads, base.GuestTestCase):
    kind = 'xenfv'
