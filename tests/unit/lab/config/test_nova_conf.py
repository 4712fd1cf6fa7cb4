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

import unittest

from lab.config import host_specs
from lab.config import nova_conf


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
