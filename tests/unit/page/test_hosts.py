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

"""What the matrix says about hosts: nothing is good that is not said to be."""

from nova_isolation.page import hosts
from nova_isolation.page import matrix
from tests.unit import base
from tests.unit.page import cloud

_SVIRT = 'isolation:svirt'


class StandingTest(base.TestCase):
    def test_a_good_host(self):
        self.assertEqual('good', hosts.standing(cloud.host(1)))

    def test_what_is_missing_counts_for_nothing(self):
        for key, standing in (
            ('guarded', 'unguarded'),
            ('fresh', 'stale'),
            ('mode', 'audit'),
        ):
            for value in (None, 'true', 1, []):
                host = {**cloud.host(1), key: value}
                self.assertEqual(standing, hosts.standing(host), (key, value))
            del host[key]
            self.assertEqual(standing, hosts.standing(host), key)

    def test_a_violation_counts_first(self):
        host = cloud.host(2)
        host['fresh'] = False
        self.assertEqual('violated', hosts.standing(host))


class RowTest(base.TestCase):
    def cell(self, **other):
        host = {**cloud.host(1), **other}
        return hosts.row(host, [_SVIRT]).cells[0]

    def test_an_offer(self):
        self.assertEqual(hosts.Cell('offered', 'any, selinux'), self.cell())

    def test_a_refusal_has_its_code(self):
        row = hosts.row(cloud.host(3), ['isolation:svirt_type'])
        self.assertEqual('refused', row.cells[0].answer)
        self.assertEqual('svirt.no_model', row.cells[0].note)
        self.assertEqual(
            [('svirt_type', 'apparmor', 'isolation.svirt.no_model')],
            [(one.keys, one.found, one.code) for one in row.why],
        )

    def test_an_offer_of_stale_facts_is_none(self):
        self.assertEqual('stale', self.cell(fresh=False).answer)

    def test_an_offer_without_facts_is_none(self):
        self.assertEqual('no facts', self.cell(guarded=False).answer)

    def test_neither_offered_nor_refused(self):
        self.assertEqual('not known', self.cell(offers={}).answer)

    def test_long_offers_are_cut(self):
        words = [f'w{number}' for number in range(50)]
        self.assertEqual(
            'w0, w1, w2, w3 and 46 more',
            self.cell(offers={_SVIRT: words}).note,
        )

    def test_a_violation_that_names_no_server(self):
        host = cloud.host(1)
        host['violations'] = [
            {'server': None, 'code': 'c', 'since': None, 'mechanism': 'svirt'}
        ]
        self.assertEqual('a guest (svirt)', hosts.violations(host)[0].guest)


class MatrixTest(base.TestCase):
    def test_what_no_host_meets_is_said_once(self):
        found = [cloud.host(3), cloud.host(8), cloud.host(9)]
        made = matrix.matrix(found)
        self.assertEqual(
            [('svirt_type', 'isolation.svirt.no_model')],
            [(one.keys, one.code) for one in made.nowhere],
        )
        self.assertNotIn('isolation:svirt_type', made.keys)
        # It is a column as soon as one host meets it.
        made = matrix.matrix([*found, cloud.host(1)])
        self.assertEqual((), made.nowhere)
        self.assertIn('isolation:svirt_type', made.keys)

    def test_two_reasons_are_no_one_reason(self):
        other = cloud.host(4)
        other['refuses']['isolation:svirt_type']['code'] = 'isolation.x.y'
        made = matrix.matrix([cloud.host(3), other])
        self.assertEqual((), made.nowhere)

    def test_counts(self):
        made = matrix.matrix(cloud.hosts(100))
        self.assertEqual(100, sum(made.standings.values()))
        self.assertEqual(10, made.standings['stale'])
        self.assertEqual(10, made.unused)
        remedy, count = made.codes['isolation.attested.failed']
        self.assertEqual(10, count)
        self.assertIn('keylime_tenant', remedy)
