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

"""Where guests land, in a cloud whose hosts do not all offer the same."""

from typing import Any

from tempest import config

from nova_isolation_tempest_plugin import config as our_config
from nova_isolation_tempest_plugin.tests import base

CONF = config.CONF


class LandingTest(base.TestCase):
    """A flavor that some hosts offer and others do not."""

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where the options name no such flavor."""
        super().skip_checks()
        if not (
            CONF.isolation.partial_extra_specs and CONF.isolation.partial_hosts
        ):
            raise cls.skipException(
                '[isolation] partial_extra_specs and partial_hosts are not set'
            )

    @classmethod
    def resource_setup(cls) -> None:
        """Make the flavor, and sort the hosts."""
        super().resource_setup()
        computes = cls.computes()
        offering = set(CONF.isolation.partial_hosts)
        cls.offering = sorted(offering & set(computes))
        cls.others = sorted(set(computes) - offering)
        if not cls.offering or not cls.others:
            raise cls.skipException(
                'of the compute hosts that are up, some have to be in '
                f'[isolation] partial_hosts, and others not: {computes}'
            )
        cls.tagged = cls.flavor(
            our_config.extra_specs(CONF.isolation.partial_extra_specs)
        )

    def assertLanded(self, server: dict[str, Any]) -> None:
        """A server runs, was verified, and is on a host that offers it."""
        self.assertEqual('ACTIVE', server['status'], server.get('fault'))
        self.assertIn(server['OS-EXT-SRV-ATTR:host'], self.offering)
        self.assertEqual(
            [('isolation_verify', 'Success')], self.ours(server['id'])
        )

    def test_lands_on_a_host_that_offers_it(self) -> None:
        """The scheduler chooses such a host by itself."""
        self.assertLanded(self.boot(self.tagged))

    def test_other_hosts_are_refused(self) -> None:
        """The scheduler refuses a host that an admin asks for."""
        for host in self.others:
            self.assertOfNoHost(self.boot(self.tagged, host=host))

    def test_forced_hosts_are_refused(self) -> None:
        """A host that an admin forces, past all filters, refuses."""
        zones = self.computes()
        for host in self.others:
            server = self.boot(
                self.tagged, availability_zone=f'{zones[host]}:{host}'
            )
            self.assertEqual('ERROR', server['status'])
            self.assertNothingLeft(server['id'])

    def test_untagged_guests_run_anywhere(self) -> None:
        """A guest without a tag is not looked at, on any host."""
        untagged = self.flavor()
        for host in (self.offering[0], self.others[0]):
            server = self.boot(untagged, host=host)
            self.assertEqual('ACTIVE', server['status'], server.get('fault'))
            self.assertEqual(host, server['OS-EXT-SRV-ATTR:host'])
            self.assertEqual([], self.ours(server['id']))

    def test_live_migration_to_another_host_is_refused(self) -> None:
        """The guest runs on where it is."""
        if not CONF.compute_feature_enabled.live_migration:
            raise self.skipException('live migration is not available')
        server = self.boot(self.tagged)
        self.assertLanded(server)
        self.admin_servers.live_migrate_server(
            server['id'],
            host=self.others[0],
            block_migration='auto',
        )
        self.wait(
            'the live migration to be refused',
            lambda: (
                ('conductor_live_migrate_instance', 'Error')
                in self.events(server['id'])
                or ('compute_live_migration', 'Success')
                in self.events(server['id'])
            ),
        )
        self.assertLanded(self.reach(server['id'], 'ACTIVE', 'ERROR'))
