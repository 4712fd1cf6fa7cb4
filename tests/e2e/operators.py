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

"""The base class of tests that ask nova-isolation-api as different users."""

from typing import Any

import requests

from lab.config import site as sites
from lab.guests import guests
from tests.e2e import base

#: Much longer than the interval of those readings in the lab.
_SECONDS = 120.0
SANDBOX = {'isolation:qemu_sandbox': 'true'}


class TestCase(base.TestCase):
    """Tests on a cloud with nova-isolation-api."""

    def setUp(self) -> None:
        super().setUp()
        self.url = self.cloud.site.url(sites.OPERATOR_API)
        self.sessions = {
            user: self.cloud.connect(user).session
            for user in (
                sites.ADMIN,
                sites.AUDITOR,
                sites.OWNER,
                sites.STRANGER,
            )
        }

    def get(
        self, user: str, path: str, **parameters: str
    ) -> requests.Response:
        """Ask the service that the catalogue names, as a user."""
        answer: requests.Response = self.sessions[user].get(
            path,
            params=parameters,
            endpoint_filter={
                'service_type': sites.OPERATOR_API,
                'region_name': sites.REGION,
            },
            raise_exc=False,
        )
        return answer

    def ask(self, user: str, path: str, **parameters: str) -> Any:
        """The same, for an answer without an error, which is returned."""
        answer = self.get(user, path, **parameters)
        self.assertEqual(200, answer.status_code, answer.text)
        return answer.json()

    def wait_told(self, path: str, text: str) -> None:
        """Wait until the service tells an auditor something.

        It answers from its last reading of Nova's databases.
        """
        self.cloud.supervisor.wait(
            f'{text} in {path}',
            lambda: text in self.get(sites.AUDITOR, path).text,
            _SECONDS,
            every=0.5,
        )

    def wait_ok(self, path: str) -> None:
        """Wait until the service knows what a path names."""
        self.cloud.supervisor.wait(
            path,
            lambda: self.get(sites.AUDITOR, path).ok,
            _SECONDS,
            every=0.5,
        )

    def assertError(self, status: int, answer: requests.Response) -> None:
        """An answer is an error in the form of the API working group."""
        self.assertEqual(status, answer.status_code, answer.text)
        (error,) = answer.json()['errors']
        self.assertEqual(status, error['status'])
        self.assertRegex(error['code'], r'^isolation\.api\.')
        self.assertTrue(error['detail'])
        self.assertEqual(
            answer.headers['X-Openstack-Request-Id'], error['request_id']
        )

    def boot_as_owner(self, specs: dict[str, str]) -> Any:
        """Boot a guest in the owner's project.

        :returns: the server, as an administrator sees it
        """
        flavor = self.flavor(specs)
        own = guests.Guests(self.cloud, self.cloud.connect(sites.OWNER))
        server = own.create(flavor.name, flavor.id)
        self.addCleanup(self.guests.delete, server, self.delete_seconds)
        server = self.guests.wait_status(server, ('ACTIVE', 'ERROR'))
        self.assertActive(server)
        self.wait_ok(f'/v1/servers/{server.id}')
        return server
