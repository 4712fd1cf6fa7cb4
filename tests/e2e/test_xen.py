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


"""Guests of Nova on a host with Xen: each requirement, and what refuses it."""

from lab.guests import xen_domain
from lab.guests import xen_specs
from tests.e2e import base
from tests.e2e import xen


class AcceptedTest(xen.TestCase):
    """The guest with all requirements, which the tests share."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.shared()

    def test_verified_and_running(self) -> None:
        self.assertEvent(self.server, 'isolation_verify', 'Success')
        domain = self.domain(self.server)
        self.assertEqual(xen.label(), domain.label)
        self.assertNotIn('p', domain.state)
        self.assertEqual(0, domain.backend())
        self.assertTrue(domain.connected())

    def test_it_has_no_device_model(self) -> None:
        number = self.domain(self.server).number
        self.assertEqual([], xen_domain.device_models(self.ssh, number))
        # dom0 has one, so it would be seen.
        self.assertNotEqual([], xen_domain.device_models(self.ssh, 0))

    def test_an_untagged_guest_runs_and_cannot_reach_it(self) -> None:
        other = self.boot(host=xen.HOST)
        self.assertActive(other, xen.HOST)
        domain = self.domain(other)
        self.assertEqual(xen.label('domU_t'), domain.label)
        tagged = self.domain(self.server)
        for offer, use in (('listen', 'bind'), ('share', 'map')):
            said = domain.peer(offer, str(tagged.number))
            # A guest shares its page by itself; Xen is asked for the mapping.
            if said.startswith('allowed'):
                said = tagged.peer(use, str(domain.number), said.split()[-1])
            self.assertRegex(said, '^refused: ', offer)


class RefusedTest(xen.TestCase):
    """Requirements that the host does not meet."""

    def test_refused_with_a_reason(self) -> None:
        cases: list[tuple[dict[str, str], str]] = [
            ({'isolation:xsm_label': 'no_such_t'}, 'isolation.xsm.no_label'),
            # dom0 may not create such a guest, and nobody offers it.
            ({'isolation:xsm_label': 'nomigrate_t'}, 'isolation.xsm.no_label'),
            (
                {'isolation:xsm_label': 'dm_dom_t'},
                'isolation.xsm.forbidden_label',
            ),
            (
                {
                    'isolation:xsm_label': 'domU_t',
                    'isolation:xsm_isolated': 'true',
                },
                'isolation.xsm.not_isolated',
            ),
            (
                {'isolation:xsm_device_model': 'dm_dom_t'},
                'isolation.xsm.no_stub_domain',
            ),
            (
                {'isolation:xsm_backend': 'isolated_domU_t'},
                'isolation.xsm.no_backend',
            ),
            # Of the device model's file, which is Debian's.
            (
                {'isolation:qemu_absent': 'usb'},
                'isolation.qemu.component_present',
            ),
            ({'isolation:qemu_sandbox': 'true'}, 'isolation.qemu.no_sandbox'),
        ]
        # All at once: the scheduler refuses them.
        asked = []
        for specs, code in cases:
            flavor = self.flavor({'isolation:hypervisor': 'xen', **specs})
            server = self.guests.create(flavor.name, flavor.id)
            self.addCleanup(self.guests.delete, server, self.delete_seconds)
            asked.append((code, flavor, server))
        for code, flavor, server in asked:
            with self.subTest(code, flavor=flavor.extra_specs):
                self.assertNoValidHost(
                    self.guests.wait_status(
                        server, ('ACTIVE', 'ERROR'), self.boot_seconds
                    )
                )
                self.assertExplained(flavor, code)


class NotEnforcingTest(xen.TestCase):
    """A host that stops enforcing, with a guest that runs."""

    def test_refused_and_reported(self) -> None:
        flavor = self.flavor(xen_specs.ALL)
        server = self.shared()
        for off, on, code in (
            (['setenforce', '0'], ['setenforce', '1'], 'isolation.xsm.dom0'),
            (
                ['xl', 'setenforce', '0'],
                ['xl', 'setenforce', '1'],
                'isolation.xsm.not_enforcing',
            ),
        ):
            with self.subTest(code):
                before = len(self.reverified(server))
                self.addCleanup(self.ssh.check, on)
                self.ssh.check(off)
                refused = self.boot_flavor(flavor)
                fault = self.refused_to_start(refused)
                if base.NO_VALID_HOST not in fault['message']:
                    self.guests.wait_fault(refused, code)
                self.wait_reverified(server, 'Error', before)
                self.wait_explained(flavor, code)
                self.ssh.check(on)
                self.wait_explained(flavor, f'{xen.HOST}: accepted')
                self.wait_reverified(server, 'Success', before)
