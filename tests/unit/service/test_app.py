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
"""The service's calls about hosts and flavors, and who may make them."""

import time

from starlette import testclient

from nova_isolation.report import picture
from nova_isolation.service import app
from nova_isolation.service import request_id
from tests.unit import base
from tests.unit.service import fakes

_SEEN = fakes.cloud(
    [
        fakes.node('a'),
        fakes.node('b', 'is down', mode='audit'),
        fakes.node('c', document=None),
    ],
    [
        fakes.flavor('1', svirt='any'),
        fakes.flavor('2'),
        picture.Flavor('3', 'near', {'isolation_svirt': 'any'}),
        picture.Flavor('4', 'mistyped', {'isolatiom:svirt': 'any'}),
    ],
)


class AppTest(base.TestCase):
    """Requests to the ASGI application."""

    def test_versions_without_a_token(self):
        client = fakes.client(token='')
        (version,) = client.get('/').json()['versions']
        self.assertEqual(('v1', 'CURRENT'), (version['id'], version['status']))
        self.assertEqual('http://testserver/v1/', version['links'][0]['href'])
        self.assertEqual(version, client.get('/v1/').json()['version'])
        self.assertEqual(version, client.get('/v1').json()['version'])
        public = fakes.client(public_url='https://isolation.example')
        self.assertIn('https://isolation.example/v1/', public.get('/').text)

    def test_each_answer_has_an_id(self):
        client = fakes.client(_SEEN)
        for path in ('/', '/v1/hosts', '/v1/hosts/x', '/nonesuch'):
            found = client.get(path).headers[request_id.HEADER]
            self.assertRegex(found, 'req-[0-9a-f-]{36}')
        error = client.get('/v1/hosts/x')
        (body,) = error.json()['errors']
        self.assertEqual(error.headers[request_id.HEADER], body['request_id'])

    def assertError(self, status, code, response):
        """The answer is this error, in the form of the working group."""
        self.assertEqual(status, response.status_code, response.text)
        (error,) = response.json()['errors']
        self.assertEqual(f'isolation.api.{code}', error['code'])
        self.assertEqual(status, error['status'])
        self.assertTrue(error['title'] and error['detail'])
        return error['detail']

    def test_who_may_ask(self):
        calls = (
            '/v1/hosts',
            '/v1/hosts/a',
            '/v1/flavors',
            '/v1/flavors/1/explain',
        )
        for path in calls:
            for token in ('admin', 'auditor'):
                answer = fakes.client(_SEEN, token).get(path)
                self.assertEqual(200, answer.status_code, answer.text)
            for token in ('owner', 'other', 'nobody'):
                self.assertError(
                    403, 'forbidden', fakes.client(_SEEN, token).get(path)
                )
            for token in ('', 'wrong'):
                self.assertError(
                    401, 'unauthorized', fakes.client(_SEEN, token).get(path)
                )

    def test_nothing_is_told_before_the_token_is_checked(self):
        self.assertError(
            401, 'unauthorized', fakes.client(None, '').get('/v1/hosts/x')
        )
        self.assertError(
            403, 'forbidden', fakes.client(None, 'owner').get('/v1/hosts/x')
        )

    def test_unread_cloud(self):
        client = fakes.client(None)
        for path in ('/v1/hosts', '/v1/flavors/1/explain', '/v1/flavors'):
            answer = client.get(path)
            detail = self.assertError(503, 'cloud_unread', answer)
            self.assertIn('the first reading has not ended yet', detail)
            self.assertEqual('10', answer.headers['Retry-After'])
        self.assertEqual(503, client.get('/healthcheck').status_code)
        self.assertEqual(
            200, fakes.client(_SEEN, '').get('/healthcheck').status_code
        )

    def test_unknown_address_and_method(self):
        client = fakes.client(_SEEN)
        self.assertError(404, 'not_found', client.get('/v1/nonesuch'))
        answer = client.delete('/v1/hosts')
        self.assertError(405, 'method_not_allowed', answer)
        self.assertIn('GET', answer.headers['Allow'])

    def test_defect(self):
        class Broken:
            def clock(self, now):
                raise RuntimeError('secret-of-the-service')

        client = fakes.client(_SEEN, attestation=Broken())
        answer = client.get('/v1/hosts')
        self.assertError(500, 'internal', answer)
        self.assertNotIn('secret', answer.text)

    def test_hosts(self):
        client = fakes.client(_SEEN)
        answer = client.get('/v1/hosts').json()
        a, b, c = answer['hosts']
        self.assertEqual([], answer['hosts_links'])
        self.assertEqual(
            ('a', True, True, 'enforce', 1, ''),
            tuple(
                a[k]
                for k in (
                    'host',
                    'guarded',
                    'fresh',
                    'mode',
                    'schema',
                    'state',
                )
            ),
        )
        self.assertIn('selinux', a['offers']['isolation:svirt'])
        self.assertNotIn('apparmor', a['offers']['isolation:svirt'])
        self.assertEqual('apparmor', a['refuses']['isolation:svirt']['value'])
        self.assertIn('CUSTOM_ISOLATION_GUARDED', a['traits'])
        self.assertNotIn('facts', a)
        self.assertEqual({}, b['offers'])
        self.assertEqual(
            'isolation.host.audits', b['refuses']['isolation:svirt']['code']
        )
        self.assertEqual((False, None), (c['guarded'], c['schema']))
        self.assertEqual(
            'isolation.facts.missing', c['refuses']['isolation:svirt']['code']
        )
        host = client.get('/v1/hosts/a').json()['host']
        self.assertIn('svirt', host['facts'])
        self.assertIn(
            "'x'",
            self.assertError(404, 'not_found', client.get('/v1/hosts/x')),
        )

    def test_pages(self):
        client = fakes.client(_SEEN)
        found = []
        href = '/v1/hosts?limit=2'
        while href:
            answer = client.get(href).json()
            self.assertLessEqual(len(answer['hosts']), 2)
            found += [host['host'] for host in answer['hosts']]
            href = next((one['href'] for one in answer['hosts_links']), '')
        self.assertEqual(['a', 'b', 'c'], found)
        for limit in ('0', '-1', 'x', '', '1.5'):
            self.assertError(
                400, 'bad_request', client.get(f'/v1/hosts?limit={limit}')
            )

    def test_parameters_without_effect(self):
        client = fakes.client(_SEEN)
        for query in ('refused_ony=true', 'limit=1&limit=2', 'markr=a', '='):
            for path in ('/v1/hosts', '/v1/flavors', '/v1/flavors/1/explain'):
                self.assertError(
                    400, 'bad_request', client.get(f'{path}?{query}')
                )

    def test_explain(self):
        client = fakes.client(_SEEN)
        answer = client.get('/v1/flavors/name-1/explain').json()['explanation']
        self.assertEqual(
            {
                'hosts': 3,
                'accepted': 1,
                'usable': 1,
                'refused': 2,
                'by_code': {
                    'isolation.facts.missing': 1,
                    'isolation.host.audits': 1,
                },
            },
            answer['counts'],
        )
        self.assertEqual(['a', 'b', 'c'], [h['host'] for h in answer['hosts']])
        self.assertEqual(
            ('name-1', True), (answer['flavor'], answer['usable'])
        )
        refused = client.get(
            '/v1/flavors/1/explain?refused_only=true&limit=1'
        ).json()['explanation']
        self.assertEqual(['b'], [h['host'] for h in refused['hosts']])
        self.assertEqual(3, refused['counts']['hosts'])
        (link,) = refused['hosts_links']
        self.assertIn('refused_only=true', link['href'])
        last = client.get(link['href']).json()['explanation']
        self.assertEqual(['c'], [h['host'] for h in last['hosts']])
        self.assertError(404, 'not_found', client.get('/v1/flavors/9/explain'))
        self.assertError(
            400,
            'bad_request',
            client.get('/v1/flavors/1/explain?refused_only=yes'),
        )

    def test_what_if(self):
        client = fakes.client(_SEEN)
        asked = {'extra_specs': {'isolation:svirt': 'selinux', 'hw:x': '1'}}
        answer = client.post('/v1/explain', json=asked).json()['explanation']
        self.assertIsNone(answer['flavor'])
        self.assertEqual({'isolation:svirt': 'selinux'}, answer['extra_specs'])
        self.assertEqual(1, answer['counts']['accepted'])
        wrong = {'extra_specs': {'isolation:svrit': 'selinux'}}
        answer = client.post('/v1/explain', json=wrong).json()['explanation']
        self.assertFalse(answer['usable'])
        self.assertEqual(
            3, answer['counts']['by_code']['isolation.spec.unknown']
        )
        for body in (b'', b'[]', b'{"extra_specs": {"a": 1}}', b'{', b'null'):
            self.assertError(
                400, 'bad_request', client.post('/v1/explain', content=body)
            )
        self.assertError(
            413,
            'too_large',
            client.post('/v1/explain', content=b' ' * 70_000),
        )
        for token in ('owner', 'nobody'):
            self.assertError(
                403,
                'forbidden',
                fakes.client(_SEEN, token).post('/v1/explain', json=asked),
            )

    def test_flavor_is_read_now(self):
        """A flavor that changed since the picture was read."""
        changed = fakes.cloud(
            flavors=[
                fakes.flavor('1', svirt='any', hypervisor='kvm'),
                fakes.flavor('9', svirt='any'),
            ]
        )
        client = fakes.client(_SEEN, find_flavor=fakes.find_flavor(changed))
        for flavor in ('1', 'name-1'):
            found = client.get(f'/v1/flavors/{flavor}/explain').json()
            self.assertIn(
                'isolation:hypervisor', found['explanation']['extra_specs']
            )
            self.assertIsNone(found['explanation']['read_age_seconds'])
        # One that was made since, and one that is gone.
        self.assertEqual(200, client.get('/v1/flavors/9/explain').status_code)
        self.assertError(404, 'not_found', client.get('/v1/flavors/3/explain'))

    def test_flavor_that_cannot_be_read(self):
        def find(name):
            raise ConnectionError('mysql://nova:PASSWORD@db')

        parts = fakes.parts(_SEEN, find_flavor=find)
        parts.keeper._clock = lambda: time.monotonic() + 7
        client = testclient.TestClient(
            app.make(parts), headers={'X-Auth-Token': 'admin'}
        )
        answer = client.get('/v1/flavors/1/explain')
        self.assertEqual(200, answer.status_code, answer.text)
        found = answer.json()['explanation']
        self.assertEqual({'isolation:svirt': 'any'}, found['extra_specs'])
        self.assertGreaterEqual(found['read_age_seconds'], 7)
        # One that may have been made since.
        answer = client.get('/v1/flavors/9/explain')
        detail = self.assertError(503, 'cloud_unread', answer)
        self.assertIn('ConnectionError', detail)
        self.assertNotIn('PASSWORD', answer.text)

    def test_flavors(self):
        found = fakes.client(_SEEN).get('/v1/flavors').json()['flavors']
        self.assertEqual(['1', '3', '4'], [one['id'] for one in found])
        self.assertEqual(
            (3, 1, 1),
            tuple(found[0][k] for k in ('hosts', 'accepted', 'usable')),
        )
        self.assertEqual(
            {'isolation_svirt': 'isolation:svirt'}, found[1]['near_misses']
        )
        # The audit finds it by the same rule.
        self.assertEqual(
            {'isolatiom:svirt': 'isolation:svirt'}, found[2]['near_misses']
        )

    def test_unread_cell(self):
        seen = fakes.cloud(
            [fakes.node('a', 'is in cell c1, which cannot be read')],
            [fakes.flavor('1', svirt='any')],
            [picture.UnreadCell('c1', 'DBConnectionError')],
        )
        client = fakes.client(seen)
        for path in ('/v1/hosts', '/v1/flavors'):
            self.assertEqual(
                [{'cell': 'c1', 'reason': 'DBConnectionError'}],
                client.get(path).json()['unread_cells'],
            )
        answer = client.get('/v1/flavors/1/explain').json()['explanation']
        self.assertFalse(answer['usable'])
        self.assertEqual(1, len(answer['unread_cells']))
        self.assertIn(
            'could not be read',
            self.assertError(404, 'not_found', client.get('/v1/hosts/x')),
        )
