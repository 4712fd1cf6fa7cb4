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

"""People log in at the keystone that checks tokens."""

from pathlib import Path

import fixtures
from keystonemiddleware import auth_token
from oslo_config import cfg
import requests_mock

from nova_isolation.service import daemon
from tests.unit import base


class LogInTest(base.TestCase):
    def conf(self, text):
        file = Path(self.useFixture(fixtures.TempDir()).path) / 'api.conf'
        file.write_text('[keystone_authtoken]\n' + text)
        conf = cfg.ConfigOpts()
        conf(
            [],
            default_config_files=[str(file)],
            default_config_dirs=[],
        )
        auth_token.AuthProtocol(None, {'oslo_config_config': conf})
        return conf

    def test_the_keystone_of_the_service(self):
        conf = self.conf(
            'auth_type = password\n'
            'auth_url = http://keystone.example/identity\n'
            'username = nova\npassword = secret\n'
        )
        with requests_mock.Mocker() as keystone:
            keystone.post(
                'http://keystone.example/identity/v3/auth/tokens',
                status_code=401,
            )
            self.assertRaises(
                daemon.identity.Refused,
                daemon._identity(conf).log_in,
                {'user': 'alice', 'password': 'wrong'},
            )
            # With the name and password of the user, not of the service.
            self.assertNotIn('nova', keystone.last_request.text)

    def test_no_keystone(self):
        error = self.assertRaises(
            daemon.ConfigurationError, daemon._identity, self.conf('')
        )
        self.assertIn('auth_url', str(error))
