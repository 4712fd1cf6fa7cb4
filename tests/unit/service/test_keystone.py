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
"""Tests of nova_isolation.service.keystone, by the real middleware.

Keystone itself is made up, request by request; the lab asks the real one.
"""

import asyncio
import logging
import time

import fixtures
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import fixture as ksa_fixture
from oslo_config import cfg
import requests_mock

from nova_isolation.service import errors
from nova_isolation.service import keystone
from tests.unit import base
from tests.unit.service import fakes

_URL = 'http://keystone.example/v3'
_SECRET = 'token-that-must-not-be-logged'


class KeystoneTest(base.TestCase):
    """What keystone's answers become."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.mock = self.useFixture(requests_mock_fixture())
        self.mock.get(
            _URL,
            json={'version': ksa_fixture.V3Discovery(_URL)},
        )
        mine = ksa_fixture.V3Token()
        mine.add_service('identity').add_standard_endpoints(
            public=_URL, internal=_URL
        )
        self.mock.post(
            f'{_URL}/auth/tokens',
            json=mine,
            headers={'X-Subject-Token': 'token-of-the-service'},
        )
        self.conf = cfg.ConfigOpts()
        self.conf([], default_config_files=[], default_config_dirs=[])

    def keystone(self, timeout=10.0, **options):
        """The middleware, as an operator configures it."""
        given = {
            'auth_type': 'v3password',
            'auth_url': _URL,
            'username': 'nova-isolation',
            'password': 'password-of-the-service',
            'user_domain_name': 'Default',
            'project_name': 'service',
            'project_domain_name': 'Default',
            'service_type': 'isolation',
            **options,
        }
        text = ''.join(f'{key} = {value}\n' for key, value in given.items())
        path = self.useFixture(fixtures.TempDir()).join('api.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'[keystone_authtoken]\n{text}')
        self.conf([], default_config_files=[path], default_config_dirs=[])
        return keystone.Keystone(self.conf, timeout)

    def answers(self, token=None, **answer):
        """Keystone's answer to the question about the token."""
        if token is not None:
            answer['json'] = token
        self.mock.get(f'{_URL}/auth/tokens', **answer)

    def identify(self, token=_SECRET, method='GET', path='/v1/hosts', **more):
        return asyncio.run(self.keystone(**more).identify(method, path, token))

    def refused(self, kind, **more):
        """The token is refused with this error."""
        error = self.assertRaises(errors.ApiError, self.identify, **more)
        self.assertIs(kind, error.kind)
        self.assertNotIn(_SECRET, error.detail + repr(error.headers))
        self.assertNotIn(_SECRET, self.log.output)
        self.assertNotIn('password-of-the-service', self.log.output)
        return error

    def test_reader_of_the_system(self):
        token = ksa_fixture.V3Token(user_id='u1')
        token.set_system_scope()
        token.add_role(name='reader')
        self.answers(token)
        found = self.identify()
        self.assertEqual(
            ('u1', ['reader'], 'all', None),
            (found.user_id, found.roles, found.system_scope, found.project_id),
        )
        self.assertNotIn(_SECRET, self.log.output)

    def test_member_of_a_project(self):
        token = ksa_fixture.V3Token(project_id='p1')
        token.add_role(name='member')
        self.answers(token)
        found = self.identify()
        self.assertEqual(
            (['member'], 'p1', None),
            (found.roles, found.project_id, found.system_scope),
        )

    def test_wrong_token(self):
        self.answers(status_code=404)
        error = self.refused(errors.UNAUTHORIZED)
        self.assertIn('Keystone uri=', error.headers['WWW-Authenticate'])

    def test_no_token(self):
        self.refused(errors.UNAUTHORIZED, token='')

    def test_expired_token(self):
        token = ksa_fixture.V3Token(expires='2020-01-01T00:00:00.000000Z')
        token.set_system_scope()
        token.add_role(name='admin')
        self.answers(token)
        self.refused(errors.UNAUTHORIZED)

    def test_strange_tokens(self):
        self.answers(status_code=404)
        for token in ('\xff\xfe', 'a b', 'a\r\nX-Roles: admin', 'x' * 9000):
            self.refused(errors.UNAUTHORIZED, token=token)

    def test_keystone_answers_something_else(self):
        for answer in (
            {'text': 'no JSON'},
            {'json': []},
            {'status_code': 500},
            {'json': {'token': None}},
        ):
            self.answers(**answer)
            error = self.assertRaises(errors.ApiError, self.identify)
            self.assertIn(
                error.kind,
                (errors.IDENTITY_UNAVAILABLE, errors.UNAUTHORIZED),
                answer,
            )
            self.assertNotIn(_SECRET, self.log.output)

    def test_keystone_is_away(self):
        self.answers(exc=ksa_exceptions.ConnectFailure)
        error = self.refused(errors.IDENTITY_UNAVAILABLE)
        self.assertEqual('5', error.headers['Retry-After'])

    def test_keystone_does_not_answer(self):
        def wait(request, context):
            time.sleep(2)
            context.status_code = 404

        self.answers(text=wait)
        error = self.refused(errors.IDENTITY_UNAVAILABLE, timeout=0.2)
        self.assertIn('has not answered', error.detail)

    def test_access_rules_of_an_application_credential(self):
        token = ksa_fixture.V3Token(project_id='p1')
        token.add_role(name='admin')
        token.add_service('isolation')
        token.set_application_credential(
            'a1',
            access_rules=[
                {'path': '/v1/hosts', 'method': 'GET', 'service': 'isolation'}
            ],
        )
        self.answers(token)
        self.assertEqual('p1', self.identify().project_id)
        self.refused(errors.UNAUTHORIZED, path='/v1/audit')
        self.refused(errors.UNAUTHORIZED, method='POST')

    def test_headers_of_the_client_are_not_believed(self):
        token = ksa_fixture.V3Token(project_id='p1')
        token.add_role(name='member')
        self.answers(token)
        client = fakes.client(
            fakes.cloud(), _SECRET, identify=self.keystone().identify
        )
        answer = client.get(
            '/v1/hosts',
            headers={
                'X-Roles': 'admin',
                'X-System-Scope': 'all',
                'X-Identity-Status': 'Confirmed',
            },
        )
        self.assertEqual(403, answer.status_code, answer.text)


def requests_mock_fixture():
    """Answers what is made up, and refuses each other request."""
    return _Mocker()


class _Mocker(fixtures.Fixture):
    """requests_mock as a fixture."""

    def _setUp(self):
        self._mocker = requests_mock.Mocker()
        self._mocker.start()
        self.addCleanup(self._mocker.stop)
        self.get = self._mocker.get
        self.post = self._mocker.post
