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

"""Faults over the whole cloud, as exit codes."""

from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_AUDIT = ('isolation', 'audit')
_FINDING = {
    'code': 'isolation.audit.unguarded',
    'severity': 'error',
    'subject': {'type': 'server', 'id': fake_cloud.uuid(7), 'name': 'vm'},
    'detail': 'It runs on compute0002, which has no driver.',
    'remedy': 'Migrate it.',
}


class AuditTest(base.TestCase):
    def test_nothing_found(self):
        result = self.openstack(*_AUDIT, '-f', 'json')
        self.assertEqual((0, '[]'), (result.status, result.stdout.strip()))
        self.assertIn(
            'Checked 0 hosts, 1 flavors and 2 servers: 0 errors',
            result.stderr,
        )

    def test_findings(self):
        self.cloud.findings = [_FINDING, {**_FINDING, 'severity': 'warning'}]
        result = self.openstack(*_AUDIT)
        self.assertEqual(1, result.status)
        self.assertIn('1 errors, 1 warnings', result.stderr)
        self.assertIn('isolation.audit.unguarded', result.stdout)
        (row, _) = self.json(*_AUDIT, status=1)
        self.assertEqual(
            ['server', 'vm', fake_cloud.uuid(7), 'Migrate it.'],
            [row[key] for key in ('Type', 'Name', 'ID', 'Remedy')],
        )

    def test_it_cannot_tell(self):
        self.away()
        self.cloud.hypervisors = [
            fake_cloud.hypervisor(1), fake_cloud.hypervisor(2)
        ]  # fmt: skip
        self.cloud.traits = {fake_cloud.uuid(1): {'CUSTOM_ISOLATION_GUARDED'}}
        self.assertRegex(
            self.fails(*_AUDIT),
            'does not answer.*Of 2 compute hosts, 1 have no trait of the '
            'driver in placement: compute0002.',
        )

    def test_nobody_can_tell(self):
        self.away()
        self.cloud.broken['GET', '^/placement/traits'] = 403
        self.assertRegex(
            self.fails(*_AUDIT), 'does not answer.*tell nothing either: .*403'
        )

    def test_an_answer_without_findings(self):
        self.cloud.findings = None
        self.assertIn('no findings', self.fails(*_AUDIT))
