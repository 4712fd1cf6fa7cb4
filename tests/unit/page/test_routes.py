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

"""The page over the real API: who sees what, and what a browser is told."""

import time

from starlette import testclient

from nova_isolation.page import identity
from nova_isolation.page import routes
from nova_isolation.page import sessions
from nova_isolation.service import app
from tests.unit import base
from tests.unit.page import cloud
from tests.unit.service import fakes


class Keystone:
    """The name of a user is the token, see :data:`fakes.TOKENS`."""

    def __init__(self):
        self.logged_out = []

    def log_in(self, form):
        if form['password'] != 'right':
            raise identity.Refused('Keystone refuses this log-in.')
        return sessions.Login(
            form['user'], time.time() + 3600, 'uid', form['user'], 'a scope'
        )

    def log_out(self, login):
        self.logged_out.append(login.token)


class PageTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.keystone = Keystone()
        self.sessions = sessions.Sessions()
        self.find_flavor = None
        self.browser = self.client()

    def client(self, url='http://page.example'):
        seen = fakes.cloud(
            [fakes.node(cloud.SCRIPT), fakes.node('old', age=4000)],
            [fakes.flavor('f 1', svirt='selinux')],
            [],
        )
        page = routes.Page(self.keystone, self.sessions)
        return testclient.TestClient(
            app.make(
                fakes.parts(
                    seen,
                    max_limit=1,
                    find_flavor=self.find_flavor or fakes.find_flavor(seen),
                ),
                page.routes(),
            ),
            base_url=url,
            follow_redirects=False,
        )

    def csrf(self, text):
        return text.split('name="csrf" value="')[1].split('"')[0]

    def log_in(self, user='auditor', password='right', browser=None, **more):
        browser = browser or self.browser
        form = browser.get('/page/login')
        return browser.post(
            '/page/login',
            data={
                'csrf': self.csrf(form.text),
                'method': 'password',
                'user': user,
                'password': password,
                **more,
            },
        )

    def test_nobody_sees_anything(self):
        for path in (
            'hosts',
            'hosts/old',
            'flavors',
            'flavors/x',
            'explain',
            'servers',
            'findings',
        ):
            answer = self.browser.get(f'/page/{path}')
            self.assertEqual(303, answer.status_code, path)
            self.assertEqual(
                '/page/login', answer.headers['Location'].split('?')[0]
            )

    def test_the_start(self):
        for path in ('/page', '/page/'):
            answer = self.browser.get(path)
            self.assertEqual('/page/hosts', answer.headers['Location'])

    def test_log_in_and_out(self):
        answer = self.log_in()
        self.assertEqual('/page/hosts', answer.headers['Location'])
        cookie = answer.headers.get_list('Set-Cookie')[0]
        for wanted in ('HttpOnly', 'SameSite=strict', 'Path=/page'):
            self.assertIn(wanted, cookie)
        self.assertNotIn('Secure', cookie)
        # The token stays in the service.
        self.assertNotIn('auditor', cookie)
        shown = self.browser.get('/page/hosts')
        self.assertEqual(200, shown.status_code)
        self.assertIn('auditor, a scope', shown.text)
        session = dict(self.browser.cookies)
        answer = self.browser.post(
            '/page/logout', data={'csrf': self.csrf(shown.text)}
        )
        self.assertEqual('/page/login', answer.headers['Location'])
        self.assertEqual(['auditor'], self.keystone.logged_out)
        self.browser.cookies.update(session)
        self.assertEqual(303, self.browser.get('/page/hosts').status_code)

    def test_the_cookie_is_secure_over_https(self):
        answer = self.log_in(browser=self.client('https://page.example'))
        self.assertIn('Secure', answer.headers.get_list('Set-Cookie')[0])

    def test_refused_by_keystone(self):
        answer = self.log_in(password='wrong')
        self.assertEqual(403, answer.status_code)
        self.assertIn('Keystone refuses this log-in.', answer.text)
        self.assertEqual(303, self.browser.get('/page/hosts').status_code)

    def test_a_form_of_another_site(self):
        answer = self.log_in(csrf='0' * 64)
        self.assertEqual(403, answer.status_code)
        self.assertEqual(303, self.browser.get('/page/hosts').status_code)
        self.log_in()
        answer = self.browser.post('/page/logout', data={'csrf': '0' * 64})
        self.assertEqual('/page/hosts', answer.headers['Location'])
        self.assertEqual(200, self.browser.get('/page/hosts').status_code)
        self.assertEqual([], self.keystone.logged_out)

    def test_a_session_has_a_new_name(self):
        self.browser.cookies.set('nova_isolation_session', 'planted')
        answer = self.log_in()
        self.assertNotIn('planted', answer.headers['Set-Cookie'])

    def test_too_large_a_form(self):
        answer = self.log_in(more='x' * 20000)
        self.assertEqual(403, answer.status_code)

    def test_where_a_log_in_leads(self):
        for wanted, led in (
            ('/flavors/m1.small?x=1', '/page/flavors/m1.small?x=1'),
            ('//evil.example/', '/page/hosts'),
            ('https://evil.example/', '/page/hosts'),
            ('/hosts\\evil', '/page/hosts'),
            ('/hosts\r\nSet-Cookie: a=b', '/page/hosts'),
        ):
            answer = self.log_in(following=wanted)
            self.assertEqual(led, answer.headers['Location'], wanted)

    def test_the_policy_is_that_of_the_api(self):
        for user, status in (
            ('admin', 200),
            ('auditor', 200),
            ('owner', 403),
            ('nobody', 403),
        ):
            self.log_in(user)
            for path in ('hosts', 'hosts/old', 'flavors', 'flavors/f%201'):
                answer = self.browser.get(f'/page/{path}')
                self.assertEqual(status, answer.status_code, (user, path))
            if status == 403:
                self.assertIn('You may not see this', answer.text)
                self.assertIn('isolation:flavors:explain', answer.text)
                self.assertNotIn('old', answer.text)

    def test_a_token_that_keystone_no_longer_takes(self):
        self.log_in('expired')
        answer = self.browser.get('/page/hosts')
        self.assertEqual(303, answer.status_code)
        self.assertIn('/page/login', answer.headers['Location'])
        self.assertEqual(0, len(self.sessions))

    def test_all_pages_of_the_api_are_shown(self):
        self.log_in()
        text = self.browser.get('/page/hosts').text
        self.assertIn('>old</a>', text)
        self.assertIn('&lt;script&gt;', text)
        text = self.browser.get('/page/flavors/f%201').text
        self.assertIn('>old</a>', text)
        self.assertIn('&lt;script&gt;', text)
        self.assertNotIn('<script>', text)

    def test_a_database_that_does_not_answer(self):
        def find(name):
            raise ConnectionError('mysql://nova:PASSWORD@db')

        self.find_flavor = find
        browser = self.client()
        self.log_in(browser=browser)
        text = browser.get('/page/flavors/f%201').text
        self.assertRegex(text, r'the flavor is as it was read \d+ s ago')
        self.assertNotIn('PASSWORD', text)
        self.log_in()
        text = self.browser.get('/page/flavors/f%201').text
        self.assertNotIn('as it was read', text)

    def test_what_if(self):
        self.log_in()
        answer = self.browser.get(
            '/page/explain',
            params={'extra_specs': ' isolation:svirt = apparmor \r\n\r\n'},
        )
        self.assertIn('isolation.svirt.no_model', answer.text)
        answer = self.browser.get(
            '/page/explain', params={'extra_specs': 'svirt'}
        )
        self.assertEqual(400, answer.status_code)

    def test_there_is_no_such_host(self):
        self.log_in()
        answer = self.browser.get('/page/hosts/none')
        self.assertEqual(404, answer.status_code)
        self.assertIn('There is no such thing', answer.text)
        self.assertRegex(answer.text, 'req-[0-9a-f-]{36}')

    def test_what_browsers_are_told(self):
        self.log_in()
        for path in ('hosts', 'login', 'static/page.css', 'hosts/none'):
            headers = self.browser.get(f'/page/{path}').headers
            policy = headers['Content-Security-Policy']
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn('unsafe', policy)
            self.assertEqual('nosniff', headers['X-Content-Type-Options'])
        self.assertEqual(
            'no-store',
            self.browser.get('/page/hosts').headers['Cache-Control'],
        )

    def test_files(self):
        for name, kind in (('page.css', 'text/css'), ('page.js', 'text/java')):
            answer = self.browser.get(f'/page/static/{name}')
            self.assertTrue(answer.headers['Content-Type'].startswith(kind))
        for name in ('..%2fviews.py', 'views.py', '%2e%2e'):
            answer = self.browser.get(f'/page/static/{name}')
            self.assertEqual(404, answer.status_code, name)
