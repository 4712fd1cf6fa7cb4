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

"""The log-in with keystone, and what it asks for."""

import requests
import requests_mock

from nova_isolation.page import identity
from tests.unit import base

_URL = 'http://keystone.example/identity'

_TOKEN = {
    'token': {
        'methods': ['password'],
        'user': {'id': 'uid', 'name': 'alice', 'domain': {'id': 'default'}},
        'expires_at': '2026-11-26T14:00:00.000000Z',
        'issued_at': '2026-11-26T13:00:00.000000Z',
        'audit_ids': ['a'],
        'roles': [{'id': 'r', 'name': 'reader'}],
    }
}

_PASSWORD = {
    'method': 'password',
    'user': 'alice',
    'user_domain': 'Default',
    'password': 's3cret',
}


class IdentityTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.keystone = requests_mock.Mocker()
        self.keystone.start()
        self.addCleanup(self.keystone.stop)
        self.identity = identity.Identity(_URL, True)

    def answer(self, status=201, **more):
        token = {'token': {**_TOKEN['token'], **more}}
        self.keystone.post(
            f'{_URL}/v3/auth/tokens',
            status_code=status,
            json=token,
            headers={'X-Subject-Token': 'the-token'},
        )

    def asked(self):
        return self.keystone.last_request.json()['auth']

    def test_the_system_by_password(self):
        self.answer(system={'all': True})
        login = self.identity.log_in({**_PASSWORD, 'scope': 'system'})
        self.assertEqual('the-token', login.token)
        self.assertEqual('alice', login.user)
        self.assertEqual('the whole system', login.scope)
        self.assertEqual(1795701600.0, login.expires_at)
        self.assertEqual({'system': {'all': True}}, self.asked()['scope'])
        self.assertNotIn('the-token', repr(login))

    def test_a_project_by_password(self):
        self.answer(
            project={'id': 'p', 'name': 'demo', 'domain': {'id': 'default'}}
        )
        login = self.identity.log_in(
            {
                **_PASSWORD,
                'scope': 'project',
                'project': 'demo',
                'project_domain': 'Default',
            }
        )
        self.assertEqual('project demo', login.scope)
        self.assertEqual(
            {'project': {'name': 'demo', 'domain': {'name': 'Default'}}},
            self.asked()['scope'],
        )

    def test_an_application_credential(self):
        self.answer(project={'id': 'p', 'name': 'demo'})
        self.identity.log_in(
            {'method': 'application_credential', 'id': 'i', 'secret': 's'}
        )
        self.assertEqual(
            {'id': 'i', 'secret': 's'},
            self.asked()['identity']['application_credential'],
        )

    def test_refused(self):
        for status in (400, 401, 403, 404):
            self.answer(status)
            error = self.assertRaises(
                identity.Refused, self.identity.log_in, _PASSWORD
            )
            self.assertIn('refuses', str(error))
            self.assertNotIn('s3cret', str(error))

    def test_keystone_is_away(self):
        self.keystone.post(
            f'{_URL}/v3/auth/tokens', exc=requests.ConnectTimeout
        )
        error = self.assertRaises(
            identity.Refused, self.identity.log_in, _PASSWORD
        )
        self.assertIn('cannot be asked', str(error))
        self.answer(503)
        self.assertRaises(identity.Refused, self.identity.log_in, _PASSWORD)

    def test_too_long(self):
        self.assertRaises(
            identity.Refused,
            self.identity.log_in,
            {**_PASSWORD, 'password': 'x' * 10000},
        )
        self.assertFalse(self.keystone.called)

    def test_log_out_revokes(self):
        self.answer(system={'all': True})
        login = self.identity.log_in(_PASSWORD)
        self.keystone.delete(f'{_URL}/v3/auth/tokens', status_code=204)
        self.identity.log_out(login)
        request = self.keystone.last_request
        self.assertEqual('DELETE', request.method)
        self.assertEqual('the-token', request.headers['X-Subject-Token'])
        # A keystone that does not answer keeps nobody in.
        self.keystone.delete(
            f'{_URL}/v3/auth/tokens', exc=requests.ConnectTimeout
        )
        self.identity.log_out(login)
