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

"""The commands with the service itself, over a cloud that is made up."""

import fixtures
from oslo_context import context

from nova_isolation.report import asked
from nova_isolation.service import app
from tests.unit.osc import base
from tests.unit.osc import fake_cloud
from tests.unit.service import fakes
from tests.unit.service import test_servers


async def _identify(method, path, token):
    """Keystone of the fake cloud gives one token, to an admin."""
    return context.RequestContext(user_id='admin', roles=['admin'])


async def _identify_member(method, path, token):
    return context.RequestContext(user_id='owner', roles=['member'])


class ServiceTest(base.TestCase):
    def serve(self, nodes, flavors=(), identify=_identify, **more):
        """Serve a picture of a cloud."""
        self.serve_picture(fakes.cloud(nodes, flavors), identify, **more)

    def serve_picture(self, seen, identify=_identify, **more):
        application = app.make(fakes.parts(seen, identify=identify, **more))
        served = self.useFixture(fake_cloud.Served(application))
        self.cloud.catalog = served.url

    def test_hosts(self):
        self.serve([fakes.node('a'), fakes.node('b', state='is down')])
        rows = self.json('isolation', 'host', 'list', '--long')
        self.assertEqual(
            [('a', '', 'enforce', True), ('b', 'is down', 'enforce', True)],
            [(r['Host'], r['State'], r['Mode'], r['Fresh']) for r in rows],
        )
        self.assertIn('isolation:svirt', rows[0]['Offers'])
        self.assertNotIn(
            None,
            [
                rows[0][key]
                for key in ('UUID', 'Cell', 'Schema', 'Measured At', 'Age')
            ],
        )
        self.run_ok('isolation', 'host', 'list', '--long')
        host = self.json('isolation', 'host', 'show', 'a')
        self.assertIn('facts', host)
        self.run_ok('isolation', 'host', 'show', 'a')
        self.assertIn(
            'isolation.api.', self.fails('isolation', 'host', 'show', 'c')
        )

    def test_a_host_that_refuses(self):
        self.serve([fakes.node('a', age=100000)])
        (row,) = self.json('isolation', 'host', 'list')
        self.assertFalse(row['Fresh'])
        out = self.run_ok('isolation', 'host', 'show', 'a')
        self.assertIn('isolation.facts.stale', out)

    def test_pages(self):
        self.serve([fakes.node(f'h{n:04}') for n in range(1500)])
        rows = self.json('isolation', 'host', 'list')
        self.assertEqual(1500, len(rows))
        shown = self.json(
            'flavor', 'isolation', 'show', '--property', 'isolation:svirt=any'
        )
        self.assertEqual(1500, len(shown['hosts']))
        self.assertEqual(1500, shown['hosts_usable'])

    def test_explanations(self):
        self.serve(
            [fakes.node('a'), fakes.node('b', age=100000)],
            [fakes.flavor('1', svirt='any'), fakes.flavor('2')],
        )
        show = ('flavor', 'isolation', 'show')
        shown = self.json(*show, '1')
        self.assertEqual([True, 2, 1, 1, 1], list(shown.values())[:5])
        self.assertEqual(
            {'isolation.facts.stale': 1}, shown['refused_by_code']
        )
        shown = self.json(*show, '1', '--refused-only')
        self.assertEqual(['b'], [host['host'] for host in shown['hosts']])
        out = self.run_ok(*show, '1')
        self.assertIn('b: refused', out)
        self.assertIn('[isolation.facts.stale]', out)
        self.run_ok(*show, '--property', 'isolation:hypervisor=xen', status=1)
        self.assertIn(
            'no extra specs of isolation', self.openstack(*show, '2').stderr
        )

    def test_who_may_not(self):
        self.serve([fakes.node('a')], identify=_identify_member)
        text = self.fails('isolation', 'host', 'list')
        self.assertIn('HTTP 403', text)

    def test_servers(self):
        self.serve_picture(test_servers.cloud())
        show = ('server', 'isolation', 'show', test_servers.A)
        shown = self.json(*show)
        self.assertEqual('secret-host', shown['host'])
        self.assertTrue(shown['read_back']['verified'])
        out = self.run_ok(*show)
        self.assertIn('event: isolation_verify', out)
        text = self.fails(*show[:-1], test_servers.UNTAGGED)
        self.assertIn('isolation.api.not_found', text)

    def test_a_guest_that_is_examined_now(self):
        seen = test_servers.cloud(events=())
        show = ('server', 'isolation', 'show', test_servers.A, '--now')
        self.serve_picture(
            seen, servers=fakes.Servers(seen, test_servers.READ)
        )
        self.assertTrue(self.json(*show)['read_back']['verified'])

    def test_a_host_that_does_not_answer(self):
        seen = test_servers.cloud()
        self.serve_picture(
            seen, servers=fakes.Servers(seen, asked.HostSilent('hangs'))
        )
        text = self.fails(
            'server', 'isolation', 'show', test_servers.A, '--now'
        )
        # Not the service is away, the host is.
        self.assertIn('isolation.api.host_silent', text)
        self.assertNotIn('The service isolation', text)

    def test_audit(self):
        self.serve_picture(
            test_servers.cloud(node=fakes.node('secret-host', document=None))
        )
        rows = self.json('isolation', 'audit', status=1)
        self.assertIn(
            'isolation.audit.server_unguarded', [row['Code'] for row in rows]
        )
        folder = self.useFixture(fixtures.TempDir()).path
        self.run_ok(
            'isolation', 'audit', '--html', f'{folder}/a.html', status=1
        )
        with open(f'{folder}/a.html') as report:
            text = report.read()
        self.assertIn('isolation.audit.server_unguarded', text)
        self.assertIn('secret-host', text)

    def test_a_service_that_has_read_nothing(self):
        application = app.make(fakes.parts(None, identify=_identify))
        served = self.useFixture(fake_cloud.Served(application))
        self.cloud.catalog = f'{served.url}/v1'
        self.cloud.hypervisors = [fake_cloud.hypervisor(1)]
        result = self.openstack('isolation', 'host', 'list')
        self.assertEqual(2, result.status)
        self.assertIn('HTTP 503', result.stderr)
        self.assertIn('compute0001', result.stdout)
