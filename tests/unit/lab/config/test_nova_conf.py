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


"""Tests of lab.config.nova_conf."""

import collections
import dataclasses
from pathlib import Path
import unittest

from lab.config import host_specs
from lab.config import nova_conf
from lab.config import site as sites
from lab.run import layout as layouts
from lab.run import ports


class LanTest(unittest.TestCase):
    """Two machines send guests to each other in a network of their own."""

    def setUp(self) -> None:
        super().setUp()
        self.site = sites.Site(
            layouts.Layout(Path('/nowhere')),
            ports.Ports(5000),
            collections.defaultdict(str),
        )

    def test_address_for_guests(self) -> None:
        found = set()
        for number in (1, 2):
            spec = dataclasses.replace(
                host_specs.KNOWN['cpu-selinux'], lan=number
            )
            settings = nova_conf.machine_compute(self.site, spec)['libvirt']
            found.add(settings['live_migration_inbound_addr'])
        self.assertEqual(2, len(found))

    def test_machine_of_no_such_network(self) -> None:
        spec = host_specs.KNOWN['cpu-selinux']
        settings = nova_conf.machine_compute(self.site, spec)['libvirt']
        self.assertNotIn('live_migration_inbound_addr', settings)


class PatienceTest(unittest.TestCase):
    def test_hosts_that_measure_themselves_soon(self) -> None:
        names = [*host_specs.DEFAULT, 'cpu-selinux', 'cpu-apparmor']
        self.assertEqual({}, nova_conf.patience(host_specs.known(names)))

    def test_xen(self) -> None:
        (host,) = host_specs.known(['cpu-xen'])
        found = nova_conf.patience([host])['isolation']['facts_max_age']
        period = host.settings['DEFAULT']['update_resources_interval']
        assert isinstance(found, int) and isinstance(period, int)
        self.assertLess(3 * period, found)
