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

"""The page of nova-isolation-api, as a browser with a real keystone uses it.

What is drawn is tested in Chromium (tests/browser); here it is who may see
what, and that each log-in is checked by the keystone of the cloud.
"""

import re
import uuid

import requests

from lab.config import site as sites
from tests.e2e import base
from tests.e2e import operators

_COOKIE = 'nova_isolation_session'


class PageTest(operators.TestCase):
    """Log-ins at the page."""

    def browser(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        self.addCleanup(session.close)
        return session

    def show(
        self, browser: requests.Session, path: str, status: int = 200
    ) -> str:
        """Open a page as a browser that follows no redirection.

        :returns: the text of the page
        """
        answer = browser.get(
            f'{self.url}/page/{path}', timeout=60, allow_redirects=False
        )
        self.assertEqual(status, answer.status_code, answer.text)
        return answer.text

    def csrf(self, text: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found, text
        return found[1]

    def post(
        self, browser: requests.Session, path: str, **fields: str
    ) -> requests.Response:
        return browser.post(
            f'{self.url}/page/{path}',
            data=fields,
            timeout=60,
            allow_redirects=False,
        )

    def log_in(self, **fields: str) -> requests.Session:
        """Fill in the form, and be led to the hosts."""
        browser = self.browser()
        csrf = self.csrf(self.show(browser, 'login'))
        answer = self.post(browser, 'login', csrf=csrf, **fields)
        self.assertEqual(303, answer.status_code, answer.text)
        self.assertEqual('/page/hosts', answer.headers['Location'])
        cookie = answer.headers['Set-Cookie']
        for word in (_COOKIE, 'HttpOnly', 'SameSite=strict', 'Path=/page'):
            self.assertIn(word, cookie)
        return browser

    def password(self, user: str, **more: str) -> dict[str, str]:
        """What a user types for a log-in by password."""
        return {
            'method': 'password',
            'user': user,
            'user_domain': 'Default',
            'password': self.cloud.site.passwords[user],
            'scope': 'system',
            **more,
        }

    def test_an_auditor(self) -> None:
        browser = self.log_in(**self.password(sites.AUDITOR))
        text = self.show(browser, 'hosts')
        for name in (base.HARDENED, base.PLAIN, 'isolation.qemu.no_sandbox'):
            self.assertIn(name, text)
        for path in ('flavors', 'servers', 'findings'):
            self.show(browser, path)
        # After the log-out a thief of the cookie sees nothing.
        stolen = browser.cookies[_COOKIE]
        answer = self.post(browser, 'logout', csrf=self.csrf(text))
        self.assertEqual(303, answer.status_code)
        thief = self.browser()
        thief.cookies.set(_COOKIE, stolen)
        self.show(thief, 'hosts', 303)

    def test_an_owner_sees_no_host(self) -> None:
        browser = self.log_in(
            **self.password(
                sites.OWNER,
                scope='project',
                project=sites.OWNER,
                project_domain='Default',
            )
        )
        for path in ('hosts', 'flavors', 'findings'):
            text = self.show(browser, path, 403)
            for name in self.cloud.hosts:
                self.assertNotIn(name, text)
        self.show(browser, 'servers')

    def test_an_application_credential(self) -> None:
        identity = self.cloud.connect(sites.OWNER).identity
        user = identity.get_user_id()
        made = identity.create_application_credential(
            user, f'page-{uuid.uuid4().hex[:8]}'
        )
        self.addCleanup(identity.delete_application_credential, user, made.id)
        browser = self.log_in(
            method='application_credential', id=made.id, secret=made.secret
        )
        self.show(browser, 'hosts', 403)
        self.show(browser, 'servers')

    def test_who_is_not_let_in(self) -> None:
        right = self.password(sites.AUDITOR)
        # The owner has no role on the system.
        for fields in (
            {**right, 'password': 'wrong'},
            {**right, 'user': 'nobody'},
            self.password(sites.OWNER),
            {
                'method': 'application_credential',
                'id': '0' * 32,
                'secret': 'wrong',
            },
        ):
            browser = self.browser()
            csrf = self.csrf(self.show(browser, 'login'))
            answer = self.post(browser, 'login', csrf=csrf, **fields)
            self.assertEqual(403, answer.status_code, answer.text)
            self.assertIn('Keystone refuses this log-in', answer.text)
            self.show(browser, 'hosts', 303)
        # A form of another site, which cannot know what this browser was
        # given.
        other = self.csrf(self.show(self.browser(), 'login'))
        for csrf in ('', other):
            browser = self.browser()
            self.show(browser, 'login')
            answer = self.post(browser, 'login', csrf=csrf, **right)
            self.assertEqual(403, answer.status_code, answer.text)
            self.show(browser, 'hosts', 303)
