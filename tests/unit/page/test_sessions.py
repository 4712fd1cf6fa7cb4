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

"""Sessions end, and there is no end of them."""

from nova_isolation.page import sessions
from tests.unit import base


class SessionsTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.sessions = sessions.Sessions(lambda: self.now)

    def login(self, user='u', seconds=36000):
        return sessions.Login('token', self.now + seconds, user, user, 's')

    def test_a_session(self):
        name = self.sessions.add(self.login())
        self.assertEqual('u', self.sessions.get(name).user)
        self.assertIsNone(self.sessions.get(name + 'x'))
        self.assertIsNone(self.sessions.get(''))
        self.assertEqual('u', self.sessions.end(name).user)
        self.assertIsNone(self.sessions.get(name))

    def test_it_ends_with_the_token(self):
        name = self.sessions.add(self.login(seconds=60))
        self.now += 59
        self.assertIsNotNone(self.sessions.get(name))
        self.now += 1
        self.assertIsNone(self.sessions.get(name))

    def test_it_ends_when_nobody_is_there(self):
        name = self.sessions.add(self.login())
        for _ in range(3):
            self.now += sessions.MAX_IDLE - 1
            self.assertIsNotNone(self.sessions.get(name))
        self.now += sessions.MAX_IDLE
        self.assertIsNone(self.sessions.get(name))

    def test_one_user_does_not_crowd_out_others(self):
        other = self.sessions.add(self.login('other'))
        names = [
            self.sessions.add(self.login())
            for _ in range(sessions.MAX_SESSIONS + 5)
        ]
        self.assertIsNotNone(self.sessions.get(other))
        kept = [name for name in names if self.sessions.get(name)]
        self.assertEqual(names[-sessions.MAX_PER_USER :], kept)

    def test_there_is_a_bound(self):
        names = [
            self.sessions.add(self.login(f'u{number}'))
            for number in range(sessions.MAX_SESSIONS + 1)
        ]
        self.assertIsNone(self.sessions.get(names[0]))
        self.assertIsNotNone(self.sessions.get(names[1]))
        self.assertIsNotNone(self.sessions.get(names[-1]))

    def test_a_form_of_another_browser_is_refused(self):
        mine, other = (self.sessions.add(self.login()) for _ in range(2))
        csrf = self.sessions.get(mine).csrf
        self.assertTrue(self.sessions.may_post(mine, csrf))
        for name, given in ((other, csrf), (mine, ''), ('', csrf), ('', 'ä')):
            self.assertFalse(self.sessions.may_post(name, given))
        self.assertFalse(
            sessions.Sessions().may_post(mine, csrf), 'of another process'
        )

    def test_no_secret_is_shown(self):
        name = self.sessions.add(self.login())
        self.assertNotIn("'token'", repr(self.sessions.get(name)))
        self.assertNotIn(
            self.sessions.get(name).csrf, repr(self.sessions.get(name))
        )
