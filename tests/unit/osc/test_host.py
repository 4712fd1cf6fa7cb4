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

"""The commands about hosts, with the service and without it."""

import json

import ddt

from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_LIST = ('isolation', 'host', 'list')
_SHOW = ('isolation', 'host', 'show', 'compute0001')


class HostTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.cloud.hosts = [
            fake_cloud.host(1),
            fake_cloud.host(2, state='is down', fresh=False),
        ]

    def test_list(self):
        rows = self.json(*_LIST)
        self.assertEqual(
            [('compute0001', ''), ('compute0002', 'is down')],
            [(row['Host'], row['State']) for row in rows],
        )
        self.assertEqual(
            ['any', 'selinux'], rows[0]['Offers']['isolation:svirt']
        )
        (refusal,) = rows[0]['Refuses'].values()
        self.assertEqual('no sandbox', refusal['found'])
        self.assertEqual(7, len(rows[0]))

    def test_list_for_people(self):
        out = self.run_ok(*_LIST)
        self.assertRegex(out, r'compute0001 \| ok ')
        self.assertRegex(out, r'compute0002 \| is down ')
        self.assertIn(' svirt=any,selinux ', out)
        self.assertIn(' qemu_absent: 4 words ', out)
        self.assertIn(' qemu_sandbox: isolation.qemu.sandbox_off ', out)

    def test_list_long(self):
        (row, _) = self.json(*_LIST, '--long')
        self.assertEqual(fake_cloud.uuid(1), row['UUID'])
        self.assertEqual(['CUSTOM_ISOLATION_GUARDED'], row['Traits'])
        self.assertIn(' GUARDED ', self.run_ok(*_LIST, '--long'))

    def test_a_cell_that_could_not_be_read(self):
        self.cloud.unread = [{'cell': 'cell2', 'reason': 'a timeout'}]
        result = self.openstack(*_LIST)
        self.assertEqual(2, result.status)
        self.assertIn('compute0001', result.stdout)
        self.assertIn('the cell cell2: a timeout', result.stderr)

    def test_formatters(self):
        self.assertEqual(
            'compute0001\ncompute0002\n',
            self.run_ok(*_LIST, '-f', 'value', '-c', 'Host'),
        )
        self.assertIn('"compute0001"', self.run_ok(*_LIST, '-f', 'csv'))
        self.assertIn('isolation:svirt:\n', self.run_ok(*_LIST, '-f', 'yaml'))
        self.assertTrue(
            self.run_ok(
                *_LIST, '--sort-column', 'Host', '--sort-descending',
                '-f', 'value', '-c', 'Host',
            ).startswith('compute0002')
        )  # fmt: skip

    def test_show(self):
        host = self.json(*_SHOW)
        self.assertEqual(self.cloud.hosts[0], host)
        out = self.run_ok(*_SHOW)
        self.assertIn('wanted true, found no sandbox', out)
        self.assertIn('Set seccomp_sandbox in qemu.conf.', out)

    def test_unknown_host(self):
        text = self.fails('isolation', 'host', 'show', 'compute9')
        self.assertRegex(
            text, r'no such host. \[isolation.api.host_not_found\].*req-1'
        )

    def test_pages(self):
        self.cloud.hosts = [fake_cloud.host(n) for n in range(1000)]
        rows = self.json(*_LIST)
        self.assertEqual(
            [host['host'] for host in self.cloud.hosts],
            [row['Host'] for row in rows],
        )
        # All pages are asked of the endpoint in the catalog.
        asked = [one[1] for one in self.cloud.asked]
        self.assertEqual(3, asked.count('/isolation/v1/hosts'))

    def test_what_a_host_says_does_not_reach_the_terminal(self):
        self.cloud.hosts = [fake_cloud.host(1, mode='\x1b[2J\nok')]
        for out in (self.run_ok(*_LIST), self.run_ok(*_SHOW)):
            self.assertNotIn('\x1b', out)
            self.assertIn(r'\x1b[2J\nok', out)

    def test_hosts_without_facts(self):
        self.cloud.hosts = [
            fake_cloud.host(
                1, guarded=False, mode=None, schema=None, measured_at=None,
                age_seconds=None, fresh=False, offers={}, refuses={},
                traits=[], facts=None,
            )
        ]  # fmt: skip
        self.assertIn('compute0001', self.run_ok(*_LIST, '--long'))
        self.assertIn('compute0001', self.run_ok(*_SHOW))


@ddt.ddt
class AwayTest(base.TestCase):
    """The service does not answer; Nova and placement do."""

    def setUp(self):
        super().setUp()
        self.cloud.hypervisors = [
            fake_cloud.hypervisor(2, status='disabled', state='down'),
            fake_cloud.hypervisor(1),
        ]
        guarded = 'CUSTOM_ISOLATION_GUARDED'
        self.cloud.traits = {
            fake_cloud.uuid(1): {guarded, 'CUSTOM_ISOLATION_SVIRT_SELINUX'},
            fake_cloud.uuid(9): {guarded},
        }

    def break_service(self, how):
        if isinstance(how, int):
            self.cloud.broken['GET', '^/isolation'] = how
        else:
            self.cloud.catalog = how

    @ddt.data(
        ('http://127.0.0.1:1/isolation', 'does not answer at http://127'),
        (None, 'no endpoint of type isolation'),
        (503, 'HTTP 503'),
        (500, 'HTTP 500'),
        # Somebody else's answer.
        (404, 'HTTP 404'),
        (200, 'HTTP 200'),
    )
    @ddt.unpack
    def test_list(self, how, why):
        self.break_service(how)
        result = self.openstack(*_LIST, '-f', 'json')
        self.assertEqual(2, result.status)
        self.assertIn(why, result.stderr)
        self.assertIn('what the traits in placement tell', result.stderr)
        rows = json.loads(result.stdout)
        self.assertEqual(
            [
                {
                    'Host': 'compute0001',
                    'State': '',
                    'Guarded': True,
                    'Traits': [
                        'CUSTOM_ISOLATION_GUARDED',
                        'CUSTOM_ISOLATION_SVIRT_SELINUX',
                    ],
                },
                {
                    'Host': 'compute0002',
                    'State': 'is disabled',
                    'Guarded': False,
                    'Traits': [],
                },
            ],
            rows,
        )

    def test_show(self):
        self.away()
        host = self.json(*_SHOW, status=2)
        self.assertTrue(host['guarded'])
        self.assertIn('no compute host', self.fails(*_SHOW[:-1], 'compute7'))

    def test_not_allowed(self):
        # The service answers; others are not asked to get round that.
        self.cloud.broken['GET', '^/isolation'] = 403
        text = self.fails(*_LIST)
        self.assertIn('refuses this to you: HTTP 403', text)
        self.assertIn('--os-system-scope all', text)

    def test_placement_is_away_as_well(self):
        self.away()
        self.cloud.broken['GET', '^/placement/traits'] = 403
        text = self.fails(*_LIST)
        self.assertRegex(
            text,
            '(?s)does not answer.*Placement refuses to show traits: HTTP 403. '
            'By default this is for the role admin',
        )

    def test_nova_refuses_as_well(self):
        # An auditor's token of the system.
        self.away()
        self.cloud.broken['GET', '^/compute'] = 403
        for command in (
            _LIST,
            _SHOW,
            (
                'flavor',
                'isolation',
                'show',
                '--property',
                'isolation:svirt=any',
            ),
        ):
            text = self.fails(*command)
            self.assertRegex(
                text,
                '(?s)does not answer.*Nova refuses to list compute hosts: '
                'HTTP 403. By default this is for the role admin, with a '
                'token of a project; .*or start nova-isolation-api',
            )
            self.assertNotIn('oops', text)

    def test_keystone_is_away(self):
        self.cloud.broken['POST', 'auth/tokens'] = 503
        self.assertIn('503', self.fails(*_LIST))

    def test_no_json(self):
        self.cloud.broken['GET', '^/isolation'] = 200
        self.assertIn('HTTP 200', self.openstack(*_LIST).stderr)
