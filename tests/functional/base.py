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

"""The base of the functional tests."""

import inspect
import os
import threading
import time
import types
import typing

import fixtures as base_fixtures

# Now: Nova's harness forbids a test to import it, and the driver does.
import libvirt  # noqa: F401
from nova import context as nova_context
from nova import objects
import nova.conf
from nova.scheduler import request_filter
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional.libvirt import base
from placement import db_api as placement_db
from placement.db.sqlalchemy import models

from nova_isolation.mechanisms import registry
from nova_isolation.scheduler import prefilter

# Now: Nova's harness patches methods whose signatures the driver checks.
from nova_isolation.virt import driver as isolation_driver  # noqa: F401
from nova_isolation.virt import exception
from tests.functional import fixtures

CONF = nova.conf.CONF

#: Placed in this order where all would do.
HOSTS = ('host1', 'host2', 'host3')


class TestCase(base.ServersTestBase):
    """All of Nova, with our driver, filter and prefilter.

    :ivar machines: host -> what is true there
    """

    ADMIN_API = True
    microversion = 'latest'
    #: Whether placement knows the names of our traits, as it does from the
    #: first start of our driver in a cloud. To create them one by one, as that
    #: start does, takes a fifteenth of the time of a test.
    TRAITS_EXIST = True

    def setUp(self) -> None:
        self.machines: dict[str, fixtures.Machine] = {}
        super().setUp()
        if self.TRAITS_EXIST:
            _create_traits()
        self.useFixture(fixtures.IsolationFixture())
        # Guests are looked at when a test says so.
        self.flags(verify_interval=0, group='isolation')
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova.virt.libvirt.LibvirtDriver._create_image', _create_image
            )
        )
        # Nova's helpers look every half second. More often than this, their
        # questions take the time of what they wait for.
        self.useFixture(
            base_fixtures.MonkeyPatch(
                'nova.tests.functional.integrated_helpers.time',
                types.SimpleNamespace(sleep=lambda _: time.sleep(0.2)),
            )
        )
        self.context = nova_context.get_admin_context()
        # Before the conductor and the database end.
        self.addCleanup(self.wait_reports)

    def _wait_for_state_change(
        self,
        server: dict[str, typing.Any],
        expected_status: str,
        max_retries: int = 200,
        wait_for_fault_key: bool = True,
    ) -> dict[str, typing.Any]:
        wait = super()._wait_for_state_change
        if 'wait_for_fault_key' not in inspect.signature(wait).parameters:
            # Nova 31 to 33
            return wait(server, expected_status, max_retries)
        return wait(server, expected_status, max_retries, wait_for_fault_key)

    def _setup_compute_service(self) -> None:
        self.flags(compute_driver='isolation.IsolationDriver')

    def _setup_scheduler_service(self) -> typing.Any:
        self.useFixture(nova_fixtures.HostNameWeigherFixture())
        self.flags(
            available_filters=[
                'nova.scheduler.filters.all_filters',
                'nova_isolation.scheduler.filter.IsolationFilter',
            ],
            enabled_filters=[
                'ComputeFilter',
                'ImagePropertiesFilter',
                'IsolationFilter',
            ],
            group='filter_scheduler',
        )
        return self.start_service('scheduler')

    def _get_connection(
        self, *args: typing.Any, hostname: str = '', **kwargs: typing.Any
    ) -> fixtures.Connection:
        host_info = base.fakelibvirt.HostInfo(
            cpu_nodes=2, cpu_sockets=1, cpu_cores=2, cpu_threads=2
        )
        return fixtures.Connection(
            self.machines[args[-1] if args else hostname],
            host_info=host_info,
            hostname=args[-1] if args else hostname,
        )

    def start(self, *machines: fixtures.Machine) -> None:
        """Start compute services, one for each machine, named as HOSTS."""
        for host, machine in zip(HOSTS, machines, strict=False):
            self.machines[host] = machine
            self.start_compute(host)

    def start_compute(
        self, hostname: str, *args: typing.Any, **kwargs: typing.Any
    ) -> str:
        super().start_compute(hostname, *args, **kwargs)
        driver = self.driver(hostname)
        if hasattr(driver, 'guard'):
            for pending in (driver._late_faults, self.power_offs(hostname)):
                self.addCleanup(pending.work.stop)
        return hostname

    def driver(self, host: str) -> typing.Any:
        """The driver of a host."""
        return self.computes[host].driver

    def guard(self, host: str) -> typing.Any:
        """The guard of a host."""
        return self.driver(host).guard

    def late_faults(self, host: str) -> typing.Any:
        """The faults of a host that wait."""
        return self.driver(host)._late_faults

    def power_offs(self, host: str) -> typing.Any:
        """The guests of a host that could not be powered off yet."""
        return self.guard(host).deferred_power_off

    def connection(self, host: str) -> fixtures.Connection:
        """The libvirtd of a host."""
        return self.driver(host)._host.get_connection()

    def domain(self, server: dict[str, typing.Any]) -> fixtures.Domain:
        """The domain of a server."""
        host = server['OS-EXT-SRV-ATTR:host']
        return self.connection(host).lookupByUUIDString(server['id'])

    def flavor(self, **extra_specs: str) -> str:
        """A flavor with extra specs of ours, ``svirt='any'`` for short.

        Written as the API before 2.86 does: nothing is validated.
        """
        specs = {f'isolation:{k}': v for k, v in extra_specs.items()}
        with base_fixtures.MockPatchObject(
            self.api_fixture.admin_api, 'microversion', '2.85'
        ):
            return self._create_flavor(
                memory_mb=64, vcpu=1, disk=1, ephemeral=0, extra_spec=specs
            )

    def boot(
        self, flavor: str, expected: str = 'ACTIVE', **kwargs: typing.Any
    ) -> dict[str, typing.Any]:
        """Create a server and wait for its state."""
        kwargs.setdefault('networks', 'none')
        server: dict[str, typing.Any] = self._create_server(
            flavor_id=flavor, expected_state=expected, **kwargs
        )
        self.wait_reports()
        return server

    def refused(
        self, flavor: str, *codes: str, **kwargs: typing.Any
    ) -> dict[str, typing.Any]:
        """Create a server that is refused, with a fault of ours."""
        server = self.boot(flavor, 'ERROR', **kwargs)
        server = self.fault_of_ours(server)
        for code in codes:
            self.assertIn(f'[{code}]', server['fault']['message'])
        return server

    def fault_of_ours(
        self, server: dict[str, typing.Any]
    ) -> dict[str, typing.Any]:
        """Wait for the fault of ours."""

        def check() -> None:
            fault = self.api.get_server(server['id'])['fault']
            self.assertTrue(
                fault['message'].startswith(exception.GuestRefused.MARK),
                fault['message'],
            )

        self._wait_for_assert(check, max_retries=200, sleep=0)
        return self.api.get_server(server['id'])

    def assertHost(self, host: str, server: dict[str, typing.Any]) -> None:
        """The server is on a host."""
        self.assertEqual(host, server['OS-EXT-SRV-ATTR:host'])

    def assertNothingLeft(
        self, server: dict[str, typing.Any], *hosts: str
    ) -> None:
        """Nothing is left of a guest that these hosts refused."""
        for host in hosts:
            connection = self.connection(host)
            self.assertEqual({}, connection._vms)
            self.assertEqual({}, connection._running_vms)
            usages = self._get_provider_usages(self.compute_rp_uuids[host])
            self.assertEqual({0}, set(usages.values()))
            bindings = self.neutron._port_bindings
            self.assertNotIn(
                host, [h for port in bindings.values() for h in port]
            )
        if server['status'] == 'ERROR':
            self.assertEqual([], os.listdir(CONF.instances_path))
            owners = [
                port.get('device_id') for port in self.neutron._ports.values()
            ]
            self.assertNotIn(server['id'], owners)
            allocations = self._get_allocations_by_server_uuid(server['id'])
            self.assertEqual({}, allocations)

    def events(
        self, server: dict[str, typing.Any], name: str
    ) -> list[dict[str, typing.Any]]:
        """The instance action events of a name, the oldest first."""
        self.wait_reports()
        return [
            event
            for action in self.api.get_instance_actions(server['id'])
            for event in reversed(
                self.api.get_instance_action_details(
                    server['id'], action['request_id']
                )['events']
            )
            if event['event'] == name
        ]

    def wait_reports(self) -> None:
        """Wait until what was found of guests is reported.

        Nova does not wait for it.
        """
        for thread in threading.enumerate():
            if thread.name == 'isolation-report':
                thread.join(60)
                self.assertFalse(thread.is_alive())

    def assertEvent(
        self, event: dict[str, typing.Any], result: str, host: str
    ) -> None:
        """An instance action event is complete and has this result."""
        self.assertEqual((result, host), (event['result'], event['host']))
        self.assertIsNotNone(event['finish_time'])

    def logged(self, text: str) -> list[str]:
        """The lines of the log that contain a text."""
        output = self.stdlog.logger.output
        return [line for line in output.splitlines() if text in line]

    def write_stats(self, host: str, **stats: str | None) -> None:
        """Write into the stats of a compute node; None removes."""
        node = self.node(host)
        kept = {k: v for k, v in node.stats.items() if k not in stats}
        new = {k: v for k, v in stats.items() if v is not None}
        node.stats = kept | new
        node.save()

    def node(self, host: str) -> typing.Any:
        """The row of a compute node."""
        return objects.ComputeNode.get_first_node_by_host_for_old_compat(
            self.context, host
        )

    def become(self, host: str, machine: fixtures.Machine) -> None:
        """Make a host as a machine is, libvirtd restarted, and measure it."""
        for name, value in vars(machine).items():
            setattr(self.machines[host], name, value)
        self.ask_libvirt_anew(host)
        self.update(host)

    def ask_libvirt_anew(self, host: str) -> None:
        """Forget what libvirt of a host has answered, as at its restart."""
        self.guard(host).host._host._answers.texts.clear()

    def update(self, host: str) -> None:
        """Run the resource tracker of a host, as its periodic task does."""
        self.computes[host].manager.update_available_resource(self.context)

    def traits(self, host: str) -> set[str]:
        """Those of ours that placement holds for a host."""
        return {
            name
            for name in self._get_provider_traits(self.compute_rp_uuids[host])
            if name.startswith('CUSTOM_ISOLATION_')
        }


def _create_traits() -> None:
    with placement_db.get_placement_engine().begin() as connection:
        connection.execute(
            models.Trait.__table__.insert(),
            [{'name': name} for name in registry.get().possible_traits()],
        )


def _create_image(
    driver: typing.Any, context: typing.Any, instance: typing.Any, *args, **kw
) -> tuple[bool, bool]:
    """Make a disk, so that one can be left behind."""
    path = os.path.join(CONF.instances_path, instance.uuid)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, 'disk'), 'w') as stream:
        stream.write('disk')
    return True, True


def no_prefilter() -> base_fixtures.MonkeyPatch:
    """Nova without our request filter."""
    return base_fixtures.MonkeyPatch(
        'nova.scheduler.request_filter.ALL_REQUEST_FILTERS',
        [
            one
            for one in request_filter.ALL_REQUEST_FILTERS
            if one is not prefilter.isolation_filter
        ],
    )
