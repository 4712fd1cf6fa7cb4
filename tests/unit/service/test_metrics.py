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

"""Metrics: what a scrape says of a cloud."""

import dataclasses
import time

from prometheus_client import parser
from starlette import testclient

from nova_isolation.report import server as servers
from nova_isolation.service import app
from nova_isolation.service import metrics
from tests.unit import base
from tests.unit.report import test_audit
from tests.unit.service import fakes

SEEN = fakes.cloud(
    [
        fakes.node('a', age=10),
        fakes.node('b', mode='audit'),
        fakes.node('c', document=None),
        fakes.node('d', 'is down'),
    ],
    [fakes.flavor('1', svirt='any'), fakes.flavor('2')],
    traits={},
    servers=[
        test_audit.server(
            events=[test_audit.event(servers.VERIFY, 'Success')]
        ),
        dataclasses.replace(
            test_audit.server(
                'c', [test_audit.event(servers.REVERIFY, 'Error')]
            ),
            uuid='uuid-2',
        ),
        dataclasses.replace(
            test_audit.server('', [test_audit.event(servers.VERIFY, 'Error')]),
            uuid='uuid-3',
        ),
    ],
)


def scrape(parts, answered=None):
    """The samples of a scrape: (name, labels) -> value."""
    made = metrics.make(parts, answered or metrics.Requests())
    answer = testclient.TestClient(made).get('/metrics')
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


class CloudTest(base.TestCase):
    def setUp(self):
        super().setUp()
        # Facts of tests age while other tests run.
        self.samples = scrape(fakes.parts(SEEN, clock=lambda: SEEN.read_at))

    def assertSample(self, value, name, **labels):
        key = (f'nova_isolation_{name}', tuple(sorted(labels.items())))
        self.assertEqual(value, self.samples.get(key), self.samples)

    def test_hosts_and_servers(self):
        self.assertSample(1, 'cloud_readable')
        self.assertSample(0, 'unread_cells')
        for standing, count in (
            ('good', 1),
            ('audits', 1),
            ('unguarded', 1),
            ('down', 1),
            ('stale', 0),
            ('violated', 0),
        ):
            self.assertSample(count, 'hosts', standing=standing)
        for verification, count in (
            ('verified', 1),
            ('violated', 1),
            ('refused', 1),
            ('unknown', 0),
        ):
            self.assertSample(count, 'servers', verification=verification)

    def test_ages(self):
        key = ('nova_isolation_host_facts_age_seconds', (('host', 'a'),))
        self.assertLess(abs(self.samples[key] - 10), 5)

    def test_flavors(self):
        for answer, count in (('accepted', 2), ('usable', 1), ('refused', 2)):
            self.assertSample(
                count, 'flavor_hosts', flavor='name-1', answer=answer
            )
        self.assertSample(
            1,
            'flavor_refused_hosts',
            flavor='name-1',
            code='isolation.facts.missing',
        )
        self.assertNotIn('name-2', str(self.samples))

    def test_audit(self):
        self.assertSample(
            1,
            'audit_findings',
            code='isolation.audit.server_unguarded',
            severity='error',
        )

    def test_unread_cloud(self):
        self.samples = scrape(fakes.parts(None))
        self.assertSample(0, 'cloud_readable')
        # No number is better than a wrong one.
        self.assertEqual(1, len(self.samples), self.samples)

    def test_many_hosts(self):
        seen = fakes.cloud(
            [fakes.node(f'host-{n}') for n in range(1000)],
            [fakes.flavor(str(n), svirt='any') for n in range(20)],
            traits={},
        )
        parts = fakes.parts(seen)
        start = time.monotonic()
        self.samples = scrape(parts)
        # About 0.2 s on an idle core.
        self.assertLess(time.monotonic() - start, 10)
        self.assertSample(
            1000, 'flavor_hosts', flavor='name-7', answer='usable'
        )


class RequestsTest(base.TestCase):
    def test_latencies(self):
        answered = metrics.Requests()
        parts = fakes.parts(SEEN, observe=answered.observe)
        client = testclient.TestClient(
            app.make(parts), headers={'X-Auth-Token': 'admin'}
        )
        client.get('/v1/hosts/a')
        client.get('/v1/hosts/b')
        client.get('/v1/hosts/<script>')
        samples = scrape(parts, answered)
        name = 'nova_isolation_request_seconds_count'
        counts = {
            dict(labels)['status']: (dict(labels)['path'], value)
            for (sample, labels), value in samples.items()
            if sample == name
        }
        self.assertEqual(
            {'200': ('/v1/hosts/{host}', 2), '404': ('/v1/hosts/{host}', 1)},
            counts,
        )

    def test_one_address_only(self):
        made = metrics.make(fakes.parts(SEEN), metrics.Requests())
        client = testclient.TestClient(made)
        for path in ('/', '/v1/hosts', '/metrics/x'):
            self.assertEqual(404, client.get(path).status_code)
        self.assertEqual(405, client.post('/metrics').status_code)
