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

"""What the tests share: flavors, servers, and what Nova says of them."""

from collections.abc import Callable
import time
from typing import Any
from typing import ClassVar

from tempest import config
from tempest import test
from tempest.lib import exceptions
from tempest.lib.common import api_version_utils
from tempest.lib.common.utils import data_utils
from tempest.lib.common.utils import test_utils

from nova_isolation_tempest_plugin import config as our_config

CONF = config.CONF
NO_VALID_HOST = 'No valid host was found'
#: Since this microversion Nova validates extra specs.
VALIDATES = '2.86'


class TestCase(test.BaseTestCase):
    """A test with flavors and servers, which the class removes at its end."""

    credentials: ClassVar = ['primary', 'admin']
    microversion = VALIDATES

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where Nova is too old."""
        super().skip_checks()
        api_version_utils.check_skip_with_microversion(
            cls.microversion,
            'latest',
            CONF.compute.min_microversion,
            CONF.compute.max_microversion,
        )

    @classmethod
    def setup_credentials(cls) -> None:
        """Ask for a network only where the guests get a port of it."""
        wanted = CONF.isolation.networks == 'auto'
        cls.set_network_resources(
            network=wanted, subnet=wanted, router=wanted, dhcp=wanted
        )
        super().setup_credentials()

    @classmethod
    def setup_clients(cls) -> None:
        """Name the clients that the tests use."""
        super().setup_clients()
        cls.servers = cls.os_primary.servers_client
        cls.admin_servers = cls.os_admin.servers_client
        cls.flavors = cls.os_admin.flavors_client

    @classmethod
    def resource_setup(cls) -> None:
        """Use the class's microversion for everything."""
        super().resource_setup()
        cls.setup_api_microversion_fixture(
            compute_microversion=cls.microversion, placement_microversion='1.6'
        )

    @classmethod
    def flavor(cls, specs: dict[str, str] | None = None) -> str:
        """Make a flavor of the size of Tempest's usual one.

        :param specs: its extra specs
        :returns: its id
        """
        like = cls.flavors.show_flavor(CONF.compute.flavor_ref)['flavor']
        flavor = cls.flavors.create_flavor(
            name=data_utils.rand_name(
                name='isolation', prefix=CONF.resource_name_prefix
            ),
            ram=like['ram'],
            vcpus=like['vcpus'],
            disk=like['disk'],
        )['flavor']['id']
        cls.addClassResourceCleanup(
            test_utils.call_and_ignore_notfound_exc,
            cls.flavors.delete_flavor,
            flavor,
        )
        if specs:
            cls.flavors.set_flavor_extra_spec(flavor, **specs)
        return str(flavor)

    @classmethod
    def create(cls, flavor: str, **request: Any) -> str:
        """Ask for a server, and do not wait for it.

        :param request: ``host`` and ``availability_zone`` are for an admin,
            to whom the server belongs then
        :returns: its id
        """
        client = cls.admin_servers if request else cls.servers
        network = (
            {'uuid': cls.get_tenant_network()['id']}
            if CONF.isolation.networks == 'auto' and not request
            else None
        )
        server = client.create_server(
            name=data_utils.rand_name(
                name='isolation', prefix=CONF.resource_name_prefix
            ),
            imageRef=CONF.compute.image_ref,
            flavorRef=flavor,
            networks=[network] if network else 'none',
            **request,
        )['server']['id']
        cls.addClassResourceCleanup(cls.delete, server)
        return str(server)

    @classmethod
    def boot(cls, flavor: str, **request: Any) -> dict[str, Any]:
        """Ask for a server and wait until it is ACTIVE or ERROR.

        :returns: the server as an admin sees it
        """
        return cls.reach(cls.create(flavor, **request), 'ACTIVE', 'ERROR')

    @classmethod
    def delete(cls, server: str) -> None:
        """Delete a server and wait until it is gone."""
        try:
            cls.admin_servers.delete_server(server)
        except exceptions.NotFound:
            return
        cls.wait(f'the end of {server}', lambda: cls._is_gone(server))

    @classmethod
    def _is_gone(cls, server: str) -> bool:
        try:
            cls.show(server)
        except exceptions.NotFound:
            return True
        return False

    @classmethod
    def show(cls, server: str) -> dict[str, Any]:
        """Return a server as an admin sees it."""
        return dict(cls.admin_servers.show_server(server)['server'])

    @classmethod
    def reach(cls, server: str, *statuses: str) -> dict[str, Any]:
        """Wait until a server has one of these statuses and no task.

        :returns: the server as an admin sees it
        :raises tempest.lib.exceptions.TimeoutException: it has another one
        """

        def reached() -> dict[str, Any] | None:
            found = cls.show(server)
            quiet = found['OS-EXT-STS:task_state'] is None
            return found if found['status'] in statuses and quiet else None

        found: dict[str, Any] = cls.wait(
            f'{server} to be {" or ".join(statuses)}', reached
        )
        return found

    @classmethod
    def wait(cls, what: str, reached: Callable[[], Any]) -> Any:
        """Wait until a function returns something.

        :returns: what it returned
        :raises tempest.lib.exceptions.TimeoutException: it did not
        """
        end = time.monotonic() + CONF.compute.build_timeout
        while True:
            found = reached()
            if found:
                return found
            if time.monotonic() > end:
                raise exceptions.TimeoutException(f'waited for {what}')
            time.sleep(CONF.compute.build_interval)

    @classmethod
    def events(cls, server: str) -> list[tuple[str, str]]:
        """Return the names and results of the events of a server.

        An event that has not ended has no result.
        """
        client, found = cls.admin_servers, []
        for action in client.list_instance_actions(server)['instanceActions']:
            one = client.show_instance_action(server, action['request_id'])
            found += one['instanceAction']['events']
        return [(event['event'], event['result']) for event in found]

    @classmethod
    def ours(cls, server: str) -> list[tuple[str, str]]:
        """Return the events of a server that isolation wrote."""
        return [
            (event, result)
            for event, result in cls.events(server)
            if event.startswith('isolation')
        ]

    @classmethod
    def computes(cls) -> dict[str, str]:
        """Return the compute services that are up: their hosts and zones."""
        found = cls.os_admin.services_client.list_services(
            binary='nova-compute'
        )['services']
        return {
            one['host']: one['zone']
            for one in found
            if one['state'] == 'up' and one['status'] == 'enabled'
        }

    def assertNothingLeft(self, server: str) -> None:
        """A refused server has no host, no allocation and no port."""
        self.wait(
            f'placement to have no allocations of {server}',
            lambda: (
                not self.os_admin.placement_client.list_allocations(server)[
                    'allocations'
                ]
            ),
        )
        found = self.show(server)
        self.assertIsNone(found['OS-EXT-SRV-ATTR:host'], found)
        if CONF.service_available.neutron:
            ports = self.os_admin.ports_client.list_ports(device_id=server)
            self.assertEqual([], ports['ports'])

    def assertOfNoHost(self, server: dict[str, Any]) -> None:
        """The scheduler found no host for a server, and nothing is left."""
        self.assertEqual('ERROR', server['status'], server)
        self.assertIn(NO_VALID_HOST, server['fault']['message'])
        self.assertNothingLeft(server['id'])


def offered() -> dict[str, str]:
    """Return the extra specs that enough hosts offer."""
    return our_config.extra_specs(CONF.isolation.offered_extra_specs)


def refused() -> dict[str, str]:
    """Return the extra specs that no host offers."""
    return our_config.extra_specs(CONF.isolation.refused_extra_specs)
