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


"""The cloud with the emulated Xen host, and the base class of its tests."""

import functools
from typing import Any
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.cloud import xen_guest_image
from lab.config import host_specs
from lab.guests import guests
from lab.guests import xen_domain
from lab.guests import xen_specs
from lab.hosts import xen_host
from lab.machine import ssh as connections
from lab.xen import recipe
from tests.e2e import base
from tests.e2e import xen_leaks

#: The host with Xen.
HOST = 'cpu-xen'
#: The name of the guest that the tests share, and of its flavor.
_SHARED = 'e2e-xen-all'


def label(type_: str = recipe.GUEST_TYPE) -> str:
    """The FLASK label of a guest of this type."""
    return f'system_u:system_r:{type_}'


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud with the Xen machine, for this test run."""
    return base.start_cloud(
        'e2e-xen', host_specs.known([HOST]), 'LAB_XEN_STATE'
    )


def ssh(used: clouds.Cloud) -> connections.Ssh:
    """The connection to dom0 of the host with Xen."""
    host = used.hosts[HOST]
    assert isinstance(host, xen_host.XenHost)
    return host.ssh(used.supervisor)


class TestCase(base.TestCase):
    """A test on the host with Xen."""

    boot_seconds = 1800.0
    delete_seconds = 900.0
    # The host measures itself every minute (lab.config.host_specs).
    explain_seconds = 900.0
    #: The id of the server that the tests share.
    _shared: ClassVar[str | None] = None

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the machine."""
        return cloud()

    def setUp(self) -> None:
        super().setUp()
        self.guests = guests.Guests(
            self.cloud, self.api, xen_guest_image.IMAGE
        )
        self.ssh = ssh(self.cloud)

    @classmethod
    def tearDownClass(cls) -> None:
        """Check that nothing of the tests' guests is left."""
        super().tearDownClass()
        if cls._used is not None:
            xen_leaks.check(cls._used, ssh(cls._used), cls._used.connect())

    def shared(self) -> Any:
        """A server with each requirement, which no test changes or deletes.

        It ends with the cloud. It is made once: an emulated processor
        emulates it.

        :returns: the server as it is now
        """
        if TestCase._shared is None:
            TestCase._shared = self._boot_shared()
        server = self.api.compute.get_server(TestCase._shared)
        # Its first lines are no longer in what Nova shows of its console.
        self.assertEqual('ACTIVE', server.status, server.fault)
        self.assertEqual(HOST, server.compute_host)
        return server

    def _boot_shared(self) -> str:
        """Boot that server, unless the cloud has it.

        :returns: its id
        """
        found = self.api.compute.find_server(_SHARED)
        if found is not None and found.status == 'ERROR':
            # A cloud that is up may have that of an earlier run.
            self.guests.delete(found, self.delete_seconds)
            found = None
        if found is not None:
            return str(found.id)
        flavor = self.api.compute.find_flavor(_SHARED)
        flavor = flavor or self.guests.flavor(_SHARED, xen_specs.ALL)
        # A test before this one may have changed the host.
        self.wait_explained(flavor, f'{HOST}: accepted')
        server = self.guests.wait_status(
            self.guests.create(_SHARED, flavor.id),
            ('ACTIVE', 'ERROR'),
            self.boot_seconds,
        )
        self.assertActive(server, HOST)
        return str(server.id)

    def domain(self, server: Any) -> xen_domain.Domain:
        """The domain of a server."""
        return xen_domain.Domain(
            self.cloud.supervisor, self.ssh, server.instance_name
        )

    def verified(self, server: Any) -> list[str]:
        """The results of the verifications of a guest that was started."""
        return self.results(server, 'isolation_verify')

    def reverified(self, server: Any) -> list[str]:
        """The results of the verifications of a running guest."""
        return self.results(server, 'isolation_reverify')

    def wait_reverified(self, server: Any, result: str, before: int) -> None:
        """Wait until a verification of a running guest has a result.

        :param before: how many results there were before
        """
        self.cloud.supervisor.wait(
            f'{result} of {server.name}',
            lambda: result in self.reverified(server)[before:],
            self.explain_seconds,
            every=2,
        )

    def results(self, server: Any, name: str) -> list[str]:
        """The results of the events of this name."""
        return [
            event['result']
            for event in self.guests.events(server)
            if event['event'] == name
        ]
