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

"""A guest of Xen on each of its roads."""

from lxml import etree
from nova.tests.fixtures import libvirt as fakelibvirt
from nova.virt import event as virtevent

from tests.functional.xen import base
from tests.functional.xen import fixtures

RUNNING = fakelibvirt.VIR_DOMAIN_RUNNING
#: START_PAUSED, and how often a guest was started.
PAUSED = fixtures.fixtures.PAUSED


class GuestTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.machine = fixtures.Machine()
        self.start(self.machine)

    def assertVerified(self, server, starts=1):
        """It runs, with its label, and each of its starts was paused."""
        domain = self.domain(server)
        self.assertEqual(RUNNING, domain._state)
        self.assertEqual(fixtures.ISOLATED, domain.flask_label)
        self.assertEqual({PAUSED}, set(domain.started))
        self.assertEqual(
            starts, self.machine.calls.count('createWithFlags(1)')
        )
        self.assertNotIn('createWithFlags(0)', self.machine.calls)

    def act(self, server, **action):
        self.api.post_server_action(server['id'], action)

    def test_create(self):
        server = self.boot(self.tagged())
        self.assertVerified(server)
        xml = etree.fromstring(self.domain(server).defined)
        self.assertEqual('xen', xml.get('type'))
        (label,) = xml.findall('seclabel')
        self.assertEqual(
            ('static', 'flask'), (label.get('type'), label.get('model'))
        )
        self.assertEqual(fixtures.ISOLATED, label.findtext('label'))
        self.assertEqual('preserve', xml.findtext('on_reboot'))
        self.assertEqual('xenpv', xml.find('os/type').get('machine'))
        self.assertEqual('xvda', xml.find('devices/disk/target').get('dev'))
        self.assertEqual([], xml.findall('devices/controller[@type="usb"]'))

    def test_untagged(self):
        server = self.boot(self.flavor())
        domain = self.domain(server)
        self.assertEqual([0], domain.started)
        xml = etree.fromstring(domain.defined)
        self.assertIsNone(xml.find('on_reboot'))
        self.assertIsNone(xml.find('seclabel'))
        domain.reboot_itself()
        self.assertEqual(RUNNING, domain._state)

    def test_label_that_the_guest_did_not_get(self):
        # The policy has changed after the decision; libxl says nothing.
        self.machine.on_start = lambda domain: self.machine.lies.update(
            flask_label=fixtures.PLAIN
        )
        server = self.refused(self.tagged(), 'isolation.xsm.wrong_label')
        self.assertNotIn('resume', self.machine.calls)
        self.assertNothingLeft(server, 'host1')

    def test_label_that_the_policy_does_not_have(self):
        server = self.boot(self.flavor(xsm_label='lost_t'), 'ERROR')
        self.assertNotIn('createWithFlags(1)', self.machine.calls)
        self.assertNothingLeft(server, 'host1')

    def test_permissive(self):
        self.machine.flask = 'permissive'
        self.refused(self.tagged(), 'isolation.xsm.not_enforcing')
        self.assertNotIn('createWithFlags(1)', self.machine.calls)

    def test_stop_and_start(self):
        server = self._stop_server(self.boot(self.tagged()))
        self.assertVerified(self._start_server(server), 2)

    def test_suspend_and_resume(self):
        server = self.boot(self.tagged())
        self._suspend_server(server)
        self._resume_server(server)
        self.assertVerified(server, 2)

    def test_delete_of_a_suspended_one(self):
        server = self.boot(self.tagged())
        self._suspend_server(server)
        self._delete_server(server)
        self.assertEqual({}, self.connection('host1')._vms)

    def test_rescue_and_unrescue(self):
        server = self.boot(self.tagged())
        self.act(server, rescue={})
        server = self._wait_for_state_change(server, 'RESCUE')
        self.assertVerified(server, 2)

    def test_rebuild(self):
        server = self._rebuild_server(
            self.boot(self.tagged()), '155d900f-4e14-4e4c-a73d-069cbf4541e6'
        )
        self.assertVerified(server, 2)

    def reboot_itself(self, server):
        """The guest does so, and libvirt tells Nova that it has stopped."""
        self.domain(server).reboot_itself()
        self.driver('host1').emit_event(
            virtevent.LifecycleEvent(
                server['id'], virtevent.EVENT_LIFECYCLE_STOPPED
            )
        )

    def test_guest_that_reboots_itself(self):
        server = self.boot(self.tagged())
        number = self.domain(server).ID()
        self.reboot_itself(server)
        self._wait_for_instance_action_event(
            server, 'reboot', 'compute_reboot_instance', 'success'
        )
        self.assertVerified(server, 2)
        self.assertNotEqual(number, self.domain(server).ID())

    def test_guest_that_reboots_itself_and_is_refused(self):
        server = self.boot(self.tagged())
        # The policy of now would give it another label.
        self.machine.known.remove(fixtures.ISOLATED)
        self.reboot_itself(server)
        self._wait_for_state_change(server, 'ERROR')
        self.assertNotIn(
            RUNNING,
            {one._state for one in self.connection('host1')._vms.values()},
        )
        self.assertEqual(1, self.machine.calls.count('resume'))

    def test_guest_that_powers_itself_off(self):
        server = self.boot(self.tagged())
        self.domain(server).end()
        self.driver('host1').emit_event(
            virtevent.LifecycleEvent(
                server['id'], virtevent.EVENT_LIFECYCLE_STOPPED
            )
        )
        self._wait_for_state_change(server, 'SHUTOFF')
        self.assertEqual(1, self.machine.calls.count('createWithFlags(1)'))

    def test_live_migration_is_refused(self):
        server = self.boot(self.tagged())
        self.machines['host2'] = fixtures.Machine()
        self.start_compute('host2')
        self.act(
            server,
            **{'os-migrateLive': {'host': None, 'block_migration': 'auto'}},
        )
        self._wait_for_migration_status(server, ['error'])
        server = self._wait_for_state_change(server, 'ACTIVE')
        self.assertVerified(server)
        self.assertTrue(self.logged('no guest is migrated live to it'))
        self.assertEqual([], self.connection('host2').defined)


class HostTest(base.TestCase):
    def test_placement(self):
        self.start(fixtures.Machine())
        provider = self.compute_rp_uuids['host1']
        total = self.connection('host1').getInfo()[1]
        inventory = self._get_provider_inventory(provider)
        # Without the memory of dom0.
        self.assertEqual(total - 1024, inventory['MEMORY_MB']['total'])
        self.assertEqual(4, inventory['VCPU']['total'])
        traits = set(self._get_provider_traits(provider))
        self.assertIn('COMPUTE_NET_VIF_MODEL_NETFRONT', traits)
        self.assertIn('COMPUTE_STORAGE_BUS_XEN', traits)
        self.assertIn('CUSTOM_ISOLATION_XSM', traits)
        for name in (
            'COMPUTE_VOLUME_EXTEND',
            'COMPUTE_NET_VIRTIO_PACKED',
            'COMPUTE_SOUND_MODEL_ICH9',
            'COMPUTE_VOLUME_MULTI_ATTACH',
        ):
            self.assertNotIn(name, traits)
        self.assertEqual([], self.driver('host1').list_instances())
