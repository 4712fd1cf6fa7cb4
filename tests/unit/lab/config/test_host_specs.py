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

"""The hosts that a lab can have, as data."""

import json
import unittest

from lab.config import host_specs
from lab.run import errors


class HostSpecsTest(unittest.TestCase):
    def test_a_lab_that_is_attached_to_has_the_same_hosts(self) -> None:
        for spec in host_specs.KNOWN.values():
            text = json.dumps(spec.as_data())
            self.assertEqual(
                spec, host_specs.HostSpec.from_data(json.loads(text))
            )

    def test_a_stock_host_has_nothing_of_ours(self) -> None:
        for spec in host_specs.KNOWN.values():
            stock = spec.stock()
            self.assertEqual(host_specs.STOCK_DRIVER, stock.driver)
            self.assertEqual({}, stock.isolation)
            self.assertEqual(spec.name, stock.name)

    def test_names_fit_into_the_paths_of_sockets(self) -> None:
        for name in host_specs.KNOWN:
            self.assertLessEqual(len(name), 20)

    def test_a_host_in_a_container(self) -> None:
        contained = host_specs.KNOWN['cpu-plain'].laid_out('container')
        self.assertEqual('container', contained.layout)
        self.assertEqual(
            host_specs.KNOWN['cpu-plain'], contained.laid_out('host')
        )

    def test_a_machine_without_containers(self) -> None:
        for name in ('cpu-apparmor', 'cpu-xen'):
            machine = host_specs.KNOWN[name]
            self.assertEqual(machine, machine.laid_out('host'))
            with self.assertRaisesRegex(errors.LabError, name):
                machine.laid_out('container')

    def test_which_hosts_are_guarded_and_attested(self) -> None:
        unguarded = [
            spec.name for spec in host_specs.KNOWN.values() if not spec.guarded
        ]
        self.assertEqual(['cpu-stock'], unguarded)
        without = [
            spec.name for spec in host_specs.KNOWN.values() if not spec.has_tpm
        ]
        self.assertEqual(['cpu-selinux', 'cpu-apparmor'], without)

    def test_an_unknown_host(self) -> None:
        with self.assertRaises(errors.LabError) as caught:
            host_specs.known(['cpu-plain', 'cpu-missing'])
        self.assertIn('cpu-missing', str(caught.exception))
        self.assertIn('cpu-hardened', str(caught.exception))

    def test_nova_compute_is_root_only_where_a_host_says_so(self) -> None:
        self.assertEqual('nova', host_specs.HostSpec('cpu-new').user)
        self.assertEqual(
            ['cpu-root'],
            [
                spec.name
                for spec in host_specs.KNOWN.values()
                if spec.user != 'nova'
            ],
        )
