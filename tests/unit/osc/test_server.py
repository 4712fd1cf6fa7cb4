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

"""What a server asks for and what was read back."""

from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_SHOW = ('server', 'isolation', 'show')


class ServerTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.uuid = fake_cloud.uuid(7)
        self.server = {
            'id': self.uuid,
            'name': 'vm',
            'project_id': fake_cloud.PROJECT,
            'host': 'compute0001',
            'vm_state': 'active',
            'flavor': 'm1',
            'extra_specs': {'isolation:svirt': 'selinux'},
            'asked': ['isolation:svirt=selinux'],
            'verifications': [
                {
                    'event': 'isolation_verify',
                    'result': 'Success',
                    'at': '2026-11-26T12:00:00Z',
                    'request_id': 'req-2',
                }
            ],
            'read_back': {
                'at': '2026-11-26T12:00:00Z',
                'verified': True,
                'proofs': [
                    {
                        'requirement': 'isolation:svirt=selinux',
                        'read': 'system_u:system_r:svirt_t:s0:c1,c2',
                    }
                ],
                'unmet': [],
            },
            'host_standing': 'good',
        }
        self.cloud.servers = {self.uuid: self.server}

    def test_by_id_and_name(self):
        for name in (self.uuid, 'vm'):
            shown = self.json(*_SHOW, name)
            self.assertEqual({**self.server, 'examined': None}, shown)

    def test_for_people(self):
        out = self.run_ok(*_SHOW, self.uuid)
        self.assertIn('isolation:svirt=selinux', out)
        self.assertIn('read: system_u:system_r:svirt_t:s0:c1,c2', out)
        self.assertIn('event: isolation_verify', out)

    def test_now(self):
        shown = self.json(*_SHOW, 'vm', '--now')
        self.assertEqual('true', shown['examined'])

    def test_nova_refuses_its_name(self):
        # An auditor's token of the system.
        self.cloud.broken['GET', '^/compute'] = 403
        self.assertRegex(
            self.fails(*_SHOW, 'vm'),
            'Nova refuses to show servers: HTTP 403. By default .* the role '
            'reader in the project.*or give the ID',
        )
        self.json(*_SHOW, self.uuid)

    def test_a_database_that_does_not_answer(self):
        self.server['read_age_seconds'] = 14.5
        result = self.openstack(*_SHOW, 'vm')
        self.assertEqual(2, result.status)
        self.assertIn('was read 14.5 s ago', result.stderr)
        self.assertIn('isolation:svirt=selinux', result.stdout)

    def test_unknown(self):
        self.assertIn('no such server', self.fails(*_SHOW, fake_cloud.uuid(8)))
        self.assertIn('no server with', self.fails(*_SHOW, 'other'))

    def test_away(self):
        self.away()
        self.cloud.hypervisors = [fake_cloud.hypervisor(1, state='down')]
        self.cloud.traits = {fake_cloud.uuid(1): {'CUSTOM_ISOLATION_GUARDED'}}
        shown = self.json(*_SHOW, 'vm', status=2)
        self.assertEqual(
            {
                'id': self.uuid,
                'name': 'vm',
                'host': 'compute0001',
                'vm_state': 'active',
                'extra_specs': {'isolation:svirt': 'selinux'},
                'host_state': 'is down',
                'host_lacks_traits_for': ['isolation:svirt=selinux'],
            },
            shown,
        )

    def test_away_for_its_owner(self):
        # Nova shows no host to an owner, and placement nothing.
        self.away()
        self.server['host'] = None
        self.cloud.broken['GET', '^/placement'] = 403
        shown = self.json(*_SHOW, 'vm', status=2)
        self.assertNotIn('host_state', shown)
