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

from typing import Any
from typing import ClassVar

from lab.guests import xen_specs
from lab.guests import xen_virsh
from tests.e2e import base
from tests.e2e import xen


class AcceptedTest(xen.TestCase):
    """One guest with all requirements, which the tests share."""

    server: ClassVar[Any] = None

    def setUp(self) -> None:
        super().setUp()
        cls = type(self)
        if cls.server is None:
            flavor = self.guests.flavor('e2e-xen-all', xen_specs.ALL)
            cls.addClassCleanup(self.api.compute.delete_flavor, flavor)
            server = self.guests.create('e2e-xen-all', flavor.id)
            cls.addClassCleanup(
                self.guests.delete, server, self.delete_seconds
            )
            cls.server = self.guests.wait_status(
                server, ('ACTIVE', 'ERROR'), self.boot_seconds
            )

    def test_verified_and_running(self) -> None:
        self.assertActive(self.server, xen.HOST)
        self.assertEvent(self.server, 'isolation_verify', 'Success')
        domain = self.domain(self.server)
        self.assertEqual(xen.label(), domain.label)
        self.assertNotIn('p', domain.state)
        self.assertEqual(0, domain.backend())
        self.assertTrue(domain.connected())

    def test_it_has_no_device_model(self) -> None:
        number = self.domain(self.server).number
        processes = self.ssh.check(['ps', '-eo', 'args='])
        self.assertNotIn(f'-xen-domid {number} ', processes)

    def test_another_guest_cannot_reach_it(self) -> None:
        domain = self.domain(self.server)
        other = xen_virsh.create(
            self.cloud.supervisor, self.ssh, 'stranger', 'domU_t'
        )
        self.addCleanup(xen_virsh.destroy, self.ssh, other.name)
        said = other.peer('listen', str(domain.number))
        self.assertRegex(said, '^refused: ')


class RefusedTest(xen.TestCase):
    """Requirements that the host does not meet."""

    def test_refused_with_a_reason(self) -> None:
        for specs, code in (
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
        ):
            with self.subTest(specs):
                flavor = self.flavor({'isolation:hypervisor': 'xen', **specs})
                self.assertNoValidHost(self.boot_flavor(flavor))
                self.assertExplained(flavor, code)

    def test_an_untagged_guest_runs(self) -> None:
        server = self.boot(host=xen.HOST)
        self.assertActive(server, xen.HOST)
        self.assertEqual(xen.label('domU_t'), self.domain(server).label)


class NotEnforcingTest(xen.TestCase):
    """A host that stops enforcing, with a guest that runs."""

    def test_refused_and_reported(self) -> None:
        flavor = self.flavor(xen_specs.ALL)
        server = self.boot_flavor(flavor)
        self.assertActive(server, xen.HOST)
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
                self.cloud.supervisor.wait(
                    'a report',
                    lambda before=before: (  # type: ignore[misc]
                        'Error' in self.reverified(server)[before:]
                    ),
                    self.explain_seconds,
                    every=2,
                )
                self.wait_explained(flavor, code)
                self.ssh.check(on)
                self.wait_explained(flavor, f'{xen.HOST}: accepted')
