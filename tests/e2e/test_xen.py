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

import atexit
import functools
from typing import Any
import uuid

from lab.cloud import cloud as clouds
from lab.cloud import xen_guest_image
from lab.config import host_specs
from lab.guests import guests
from lab.guests import xen_domain
from lab.guests import xen_virsh
from lab.hosts import xen_host
from lab.xen import recipe
from tests.e2e import base
from tests.e2e import xen_leaks

_HOST = 'cpu-xen'
LABEL = f'system_u:system_r:{recipe.GUEST_TYPE}'
ALL = {
    'isolation:hypervisor': 'xen',
    'isolation:xsm_label': recipe.GUEST_TYPE,
    'isolation:xsm_isolated': 'true',
    'isolation:xsm_device_model': 'none',
    'isolation:xsm_backend': 'dom0',
    'isolation:xsm_dom0': 'selinux',
}


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud with the Xen machine, for this test run."""
    return base.start_cloud(
        'e2e-xen', host_specs.known([_HOST]), 'LAB_XEN_STATE'
    )


@functools.cache
def guest() -> Any:
    """One guest with all requirements, which tests of all modules share.

    It exists until the end of this test run.

    :returns: the server, which is ACTIVE or ERROR
    """
    api = guests.Guests(cloud(), image=xen_guest_image.IMAGE)
    flavor = api.flavor(f'e2e-xen-{uuid.uuid4().hex[:8]}', ALL)
    atexit.register(api.api.compute.delete_flavor, flavor)
    server = api.create('e2e-xen', flavor.id)
    atexit.register(api.delete, server, XenTestCase.delete_seconds)
    return api.wait_status(
        server, ('ACTIVE', 'ERROR'), XenTestCase.boot_seconds
    )


class XenTestCase(base.TestCase):
    """A test on the host with Xen."""

    boot_seconds = 1800.0
    delete_seconds = 900.0
    # The host measures itself every 15 s (lab.config.nova_conf).
    explain_seconds = 900.0

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the machine."""
        return cloud()

    def setUp(self) -> None:
        super().setUp()
        self.guests = guests.Guests(
            self.cloud, self.api, xen_guest_image.IMAGE
        )
        host = self.cloud.hosts[_HOST]
        assert isinstance(host, xen_host.XenHost)
        self.ssh = host.ssh(self.cloud.supervisor)

    @classmethod
    def tearDownClass(cls) -> None:
        """Check that nothing of the tests' guests is left in dom0 either."""
        super().tearDownClass()
        if cls._used is not None:
            xen_leaks.check(cls._used, _HOST)

    def domain(self, server: Any) -> xen_domain.Domain:
        """The domain of a server."""
        return xen_domain.Domain(
            self.cloud.supervisor, self.ssh, server.instance_name
        )

    def reverified(self, server: Any) -> list[str]:
        """The results of the verifications of a running guest."""
        return [
            event['result']
            for event in self.guests.events(server)
            if event['event'] == 'isolation_reverify'
        ]

    def wait_reverified(self, server: Any, before: int, result: str) -> None:
        """Wait until a running guest was verified with this result.

        :param before: how many results there were before
        """
        self.cloud.supervisor.wait(
            f'isolation_reverify: {result}',
            lambda: result in self.reverified(server)[before:],
            self.explain_seconds,
            every=1,
            instead=lambda: str(self.reverified(server)[before:]),
        )


class SharedGuestTestCase(XenTestCase):
    """A test with the guest that tests share."""

    def setUp(self) -> None:
        super().setUp()
        self.server = guest()
        self.assertActive(self.server, _HOST)


class AcceptedTest(SharedGuestTestCase):
    """A guest with all requirements."""

    def test_verified_and_running(self) -> None:
        self.assertEvent(self.server, 'isolation_verify', 'Success')
        domain = self.domain(self.server)
        self.assertEqual(LABEL, domain.label)
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


class RefusedTest(XenTestCase):
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
        server = self.boot(host=_HOST)
        self.assertActive(server, _HOST)
        self.assertEqual('system_u:system_r:domU_t', self.domain(server).label)


class NotEnforcingTest(SharedGuestTestCase):
    """A host that stops enforcing, with a guest that runs."""

    def assertRefusedAndReported(
        self, off: list[str], on: list[str], code: str
    ) -> None:
        """The next guest is refused, and the running one is reported."""
        flavor = self.flavor(ALL)
        number = self.domain(self.server).number
        before = len(self.reverified(self.server))
        self.addCleanup(self.ssh.check, on)
        self.ssh.check(off)
        refused = self.boot_flavor(flavor)
        fault = self.refused_to_start(refused)
        if base.NO_VALID_HOST not in fault['message']:
            self.guests.wait_fault(refused, code)
        self.wait_reverified(self.server, before, 'Error')
        self.wait_explained(flavor, code)
        self.ssh.check(on)
        self.wait_explained(flavor, f'{_HOST}: accepted')
        # It was reported, and nothing was done to it.
        self.assertEqual(number, self.domain(self.server).number)

    def test_dom0(self) -> None:
        self.assertRefusedAndReported(
            ['setenforce', '0'], ['setenforce', '1'], 'isolation.xsm.dom0'
        )

    def test_hypervisor(self) -> None:
        self.assertRefusedAndReported(
            ['xl', 'setenforce', '0'],
            ['xl', 'setenforce', '1'],
            'isolation.xsm.not_enforcing',
        )
