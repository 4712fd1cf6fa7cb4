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

"""A guest of Xen, tagged or not, and its host."""

from unittest import mock

from lxml import etree

from tests.functional.xen import base
from tests.functional.xen import fixtures


class GuestTest(base.GuestTestCase):
    def test_definition(self):
        server = self.boot(self.tagged())
        xml = etree.fromstring(self.domain(server).defined)
        (label,) = xml.findall('seclabel')
        self.assertEqual(
            ('static', 'flask'), (label.get('type'), label.get('model'))
        )
        self.assertEqual(fixtures.ISOLATED, label.findtext('label'))
        self.assertEqual('preserve', xml.findtext('on_reboot'))
        self.assertEqual([], xml.findall('devices/controller[@type="usb"]'))

    def test_untagged(self):
        server = self.boot(self.flavor())
        domain = self.domain(server)
        self.assertEqual([0], domain.started)
        xml = etree.fromstring(domain.defined)
        self.assertIsNone(xml.find('on_reboot'))
        self.assertIsNone(xml.find('seclabel'))
        domain.reboot_itself()
        self.assertEqual(base.RUNNING, domain._state)

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
        self.assertNotIn(base.START_PAUSED, self.machine.calls)
        self.assertNothingLeft(server, 'host1')

    def test_hypervisor_does_not_answer(self):
        server = self.boot(self.tagged())
        self.act(server, 'os-stop')
        self.machine.broken['xen'] = OSError('no answer in 10 s')
        server = self.act(server, 'os-start')
        self.assertEqual('SHUTOFF', server['status'])
        self.assertRefused(
            server, 'isolation_decide', 'host1', 'isolation.xsm.unknown'
        )
        self.assertStarts(0)

    def test_permissive(self):
        self.machine.flask = 'permissive'
        self.refused(self.tagged(), 'isolation.xsm.not_enforcing')
        self.assertNotIn(base.START_PAUSED, self.machine.calls)

    def test_guest_that_reboots_itself_and_is_refused(self):
        server = self.boot(self.tagged())
        # The policy of now would give it another label.
        self.machine.known.remove(fixtures.ISOLATED)
        self.reboot_itself(server)
        self._wait_for_state_change(server, 'ERROR')
        self.assertNotIn(
            base.RUNNING,
            {one._state for one in self.connection('host1')._vms.values()},
        )
        self.assertEqual(1, self.machine.calls.count('resume'))

    def test_soft_reset(self):
        """libxl makes a guest of another kernel of it, and tells nobody."""
        self.flags(hw_machine_type=['x86_64=xenfv'], group='libvirt')
        server = self.boot(self.tagged())
        watch = self.driver('host1')._watch
        domain = self.domain(server)
        run = domain.ID()
        self.machine.calls.clear()
        with mock.patch.object(watch, 'wake') as wake:
            # Whatever of it is not as it was verified.
            domain.soft_reset(flask_label=fixtures.PLAIN)
            wake.assert_not_called()
        self.assertEqual((run, base.RUNNING), (domain.ID(), domain._state))
        self.assertUntouched(server)
        self.assertEqual([], self.events(server, 'isolation_reverify'))
        watch._work.run(None, True)
        (event,) = self.events(server, 'isolation_reverify')
        self.assertEvent(event, 'Error', 'host1')
        self.assertIn('[isolation.xsm.wrong_label]', event['details'])

    def test_guest_that_powers_itself_off(self):
        server = self.boot(self.tagged())
        self.domain(server).end()
        self.stopped(server)
        self._wait_for_state_change(server, 'SHUTOFF')
        self.assertStarts(1)


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
