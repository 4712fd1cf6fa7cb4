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

"""The base of the functional tests of the Xen driver."""

import typing

import fixtures as base_fixtures
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.libvirt import base
from nova.virt import event as virtevent

from nova_isolation.virt.xen import driver as xen_driver
from tests.functional import fixtures as functional_fixtures
from tests.functional import road
from tests.functional.xen import fixtures

#: Imported now: Nova's harness patches methods whose signatures it checks.
DRIVER = xen_driver.IsolationXenDriver

RUNNING = road.RUNNING

#: What starts a guest that is paused, and one that is not.
START_PAUSED, START = 'createWithFlags(1)', 'createWithFlags(0)'


class TestCase(road.TestCase):
    """All of Nova, with the Xen driver on a fake libxl.

    :cvar kind: what a guest is whose image names no machine; Nova's images
        have no kernel
    """

    kind = 'xenpv'

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova_isolation.virt.xen.driver.IsolationXenDriver._asked_xen',
                property(fixtures.Xen.below),
            )
        )
        self.flags(hw_machine_type=[f'x86_64={self.kind}'], group='libvirt')
        # The driver reads the folder as root.
        self.useFixture(nova_fixtures.PrivsepFixture())
        self.flags(
            xen_console_log_dir=self.useFixture(base_fixtures.TempDir()).path,
            group='isolation',
        )

    def _setup_compute_service(self) -> None:
        self.flags(compute_driver='isolation.IsolationXenDriver')

    def _get_connection(
        self, *args: typing.Any, hostname: str = '', **kwargs: typing.Any
    ) -> functional_fixtures.Connection:
        host_info = base.fakelibvirt.HostInfo(
            cpu_nodes=1, cpu_sockets=1, cpu_cores=4, cpu_threads=1
        )
        name = args[-1] if args else hostname
        return fixtures.Connection(
            self.machines[name], host_info=host_info, hostname=name
        )

    def tagged(self, **extra_specs: str) -> str:
        """A flavor that asks for a label of FLASK."""
        return self.flavor(**{'xsm_label': 'isolated_domU_t'} | extra_specs)

    def assertVerified(
        self, server: road.Server, host: str = 'host1', starts: int = 1
    ) -> None:
        """It runs with its label, and was verified before.

        :param starts: how often it was started since the last action
        """
        server = self.api.get_server(server['id'])
        self.assertHost(host, server)
        domain = self.domain(server)
        self.assertEqual(RUNNING, domain._state)
        self.assertEqual(fixtures.ISOLATED, domain.flask_label)
        self.assertStarts(starts, host)
        # The hypervisor is asked, and then the guest is resumed.
        calls = self.calls(host)
        self.assertGreater(
            calls.index('resume'), calls.index(fixtures.ASKED), calls
        )
        self.assertEqual({host}, self.allocations(server['id']))

    def assertStarts(self, number: int, host: str = 'host1') -> None:
        """So many guests were started since the last action, all paused."""
        calls = self.calls(host)
        self.assertEqual(number, calls.count(START_PAUSED), calls)
        self.assertNotIn(START, calls)

    def assertUntouched(self, server: road.Server) -> None:
        """A guest runs on, and nothing was done to it."""
        server = self.api.get_server(server['id'])
        self.assertEqual('ACTIVE', server['status'])
        self.assertEqual(RUNNING, self.domain(server)._state)
        for call in self.calls(server['OS-EXT-SRV-ATTR:host']):
            self.assertIn(call, ('domain_xml', fixtures.ASKED))


class GuestTestCase(TestCase):
    """One host with Xen.

    :ivar machine: what is true there
    """

    def setUp(self) -> None:
        super().setUp()
        self.machine = fixtures.Machine()
        self.start(self.machine)

    def stopped(self, server: road.Server) -> None:
        """libvirt tells Nova that a guest has stopped."""
        self.driver('host1').emit_event(
            virtevent.LifecycleEvent(
                server['id'], virtevent.EVENT_LIFECYCLE_STOPPED
            )
        )

    def reboot_itself(self, server: road.Server) -> None:
        """A guest reboots itself."""
        self.domain(server).reboot_itself()
        self.stopped(server)

    def image(self, properties: dict[str, object]) -> str:
        """Make an image, and return its UUID."""
        found: str = self.glance.create(
            None,
            {
                'name': 'an image',
                'status': 'active',
                'container_format': 'bare',
                'disk_format': 'raw',
                'properties': properties,
            },
        )['id']
        return found

    def attach_volume(self, server: road.Server, volume: str) -> None:
        """Attach a volume. Nova 31's harness cannot do so by itself."""
        self.api.post_server_volume(
            server['id'], {'volumeAttachment': {'volumeId': volume}}
        )
        self._wait_for_volume_attach(server['id'], volume)
