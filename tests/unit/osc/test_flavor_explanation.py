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

"""Where guests of a flavor could run."""

from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_SHOW = ('flavor', 'isolation', 'show')
_CODE = 'isolation.svirt.other_model'


class ExplanationTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.specs = self.flavor(svirt='selinux')
        self.codes = {'compute1': '', 'compute2': _CODE, 'compute3': _CODE}
        self.more = {}
        self.cloud.explain = lambda specs: fake_cloud.explanation(
            self.codes, specs, **self.more
        )

    def test_some_host_would_do(self):
        shown = self.json(*_SHOW, 'm1')
        self.assertEqual('m1', shown['flavor'])
        self.assertEqual({'isolation:svirt': 'selinux'}, shown['extra_specs'])
        self.assertEqual(
            [True, 3, 1, 1, 2, {_CODE: 2}],
            [
                shown['usable'], shown['hosts_total'],
                shown['hosts_accepted'], shown['hosts_usable'],
                shown['hosts_refused'], shown['refused_by_code'],
            ],
        )  # fmt: skip
        self.assertEqual('apparmor', shown['hosts'][1]['unmet'][0]['found'])

    def test_for_people(self):
        out = self.run_ok(*_SHOW, 'm1')
        self.assertIn('compute1: accepted', out)
        # Hosts that say the same are said once.
        self.assertIn('compute2, compute3: refused', out)
        self.assertEqual(1, out.count('wanted selinux, found apparmor'))
        self.assertIn('Load SELinux.', out)
        # The counts come first.
        self.assertLess(out.index('hosts_accepted'), out.index('compute1'))

    def test_a_database_that_does_not_answer(self):
        self.more = {'read_age_seconds': 14.5}
        result = self.openstack(*_SHOW, 'm1')
        self.assertEqual(2, result.status)
        self.assertIn('was read 14.5 s ago', result.stderr)
        self.assertIn('compute1: accepted', result.stdout)
        self.codes['compute1'] = _CODE
        self.assertEqual(2, self.openstack(*_SHOW, 'm1').status)
        self.more = {'read_age_seconds': None}
        self.assertEqual(1, self.openstack(*_SHOW, 'm1').status)

    def test_no_host_would_do(self):
        self.codes['compute1'] = _CODE
        shown = self.json(*_SHOW, 'm1', status=1)
        self.assertFalse(shown['usable'])

    def test_a_cell_that_could_not_be_read(self):
        self.cloud.unread = [{'cell': 'cell2', 'reason': 'a timeout'}]
        self.run_ok(*_SHOW, 'm1')
        self.codes['compute1'] = _CODE
        # Perhaps some host of cell2 would do.
        self.run_ok(*_SHOW, 'm1', status=2)

    def test_refused_only(self):
        self.run_ok(*_SHOW, 'm1', '--refused-only')
        self.assertIn('refused_only=true', self.cloud.asked[-1][2])

    def test_pages(self):
        self.codes = {f'compute{n:04}': '' for n in range(1000)}
        shown = self.json(*_SHOW, 'm1')
        self.assertEqual(
            sorted(self.codes), [host['host'] for host in shown['hosts']]
        )
        self.assertIn(
            'and 992 more hosts: accepted', self.run_ok(*_SHOW, 'm1')
        )

    def test_what_if_for_a_flavor(self):
        shown = self.json(*_SHOW, 'm1', '--profile', 'attested')
        self.assertEqual(
            {'isolation:svirt': 'selinux', 'isolation:attested': 'true'},
            shown['extra_specs'],
        )
        self.assertEqual([], self.cloud.writes())
        self.assertEqual(['isolation:svirt'], list(self.specs))

    def test_what_if_without_a_flavor(self):
        shown = self.json(*_SHOW, '--property', 'isolation:svirt=any')
        self.assertEqual({'isolation:svirt': 'any'}, shown['extra_specs'])
        self.assertIsNone(shown['flavor'])

    def test_nothing_given(self):
        self.assertIn('give a flavor', self.fails(*_SHOW))

    def test_untagged(self):
        self.specs.clear()
        self.codes = {}
        self.more = {
            'usable': True,
            'near_misses': {'isolation_svirt': 'isolation:svirt'},
        }
        result = self.openstack(*_SHOW, 'm1')
        self.assertEqual(0, result.status)
        self.assertIn('no extra specs of isolation', result.stderr)
        self.assertIn('Is isolation:svirt meant?', result.stderr)

    def test_unknown_flavor(self):
        text = self.fails(*_SHOW, 'm2')
        self.assertIn('isolation.api.flavor_not_found', text)

    def test_an_answer_of_something_else(self):
        self.cloud.explain = lambda specs: {'hosts': []}
        self.cloud.broken['GET', '^/placement/traits'] = 500
        self.assertIn('500', self.fails(*_SHOW, 'm1'))


class AwayTest(base.TestCase):
    """Traits tell who cannot."""

    def setUp(self):
        super().setUp()
        self.away()
        self.flavor(
            svirt='selinux', hypervisor='kvm,qemu', attested='true',
            attested_max_age='60', svrit='x',
        )  # fmt: skip
        self.cloud.hypervisors = [fake_cloud.hypervisor(n) for n in (1, 2, 3)]
        prefix = 'CUSTOM_ISOLATION_'
        self.cloud.traits = {
            fake_cloud.uuid(1): {
                f'{prefix}GUARDED', f'{prefix}SVIRT_SELINUX',
                f'{prefix}ATTESTED',
            },
            fake_cloud.uuid(2): {f'{prefix}GUARDED', f'{prefix}ATTESTED'},
        }  # fmt: skip

    def test_json(self):
        shown = self.json(*_SHOW, 'm1', status=2)
        self.assertIsNone(shown['usable'])
        self.assertEqual(
            [
                [],
                ['isolation:svirt=selinux'],
                [
                    'the driver of nova-isolation',
                    'isolation:attested=true',
                    'isolation:svirt=selinux',
                ],
            ],
            [host['lacking'] for host in shown['hosts']],
        )
        self.assertEqual(
            [3, 2], [shown['hosts_total'], shown['hosts_that_cannot']]
        )
        self.assertEqual(
            ['isolation:attested_max_age=60', 'isolation:hypervisor=kvm,qemu'],
            shown['not_told_by_traits'],
        )
        self.assertIn('isolation.spec.unknown', shown['problems'][0])

    def test_for_people(self):
        result = self.openstack(*_SHOW, 'm1')
        self.assertEqual(2, result.status)
        self.assertIn('does not answer', result.stderr)
        self.assertIn('compute0001: unknown', result.stdout)
        self.assertIn(
            'compute0002: cannot: no trait for isolation:svirt=selinux',
            result.stdout,
        )

    def test_what_if(self):
        shown = self.json(
            *_SHOW, '--property', 'isolation:svirt=apparmor', status=2
        )
        self.assertEqual(3, shown['hosts_that_cannot'])
