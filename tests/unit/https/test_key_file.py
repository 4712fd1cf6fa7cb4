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


import os
import pathlib

import fixtures

from nova_isolation.https import https_error
from nova_isolation.https import key_file
from tests.unit import base


class KeyFileTest(base.TestCase):
    """Used is only what nobody else can read or replace."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.key = self.folder / 'key.pem'
        self.key.write_text('secret')
        self.key.chmod(0o600)

    def refused(self, *patterns):
        error = self.assertRaises(
            https_error.HttpsError, key_file.check, str(self.key)
        )
        for pattern in (str(self.key), *patterns):
            self.assertIn(pattern, str(error))
        self.assertNotIn('secret', str(error))

    def test_ours_alone(self):
        for mode in (0o600, 0o400, 0o700):
            self.key.chmod(mode)
            key_file.check(str(self.key))

    def test_others_can_read_or_write(self):
        for mode in (0o640, 0o604, 0o620, 0o602, 0o610, 0o666):
            self.key.chmod(mode)
            self.refused(f'{mode:04o}', f'chmod 600 {self.key}')

    def give_away(self, path):
        """To another user than us and root."""
        if os.geteuid():
            self.useFixture(fixtures.MonkeyPatch('os.geteuid', lambda: 12344))
        else:
            os.chown(path, 12345, -1, follow_symlinks=False)
        return os.lstat(path).st_uid

    def test_another_user(self):
        owner = self.give_away(self.key)
        self.refused(f'user {owner}', 'a key of user 0', 'chown')

    def test_roots(self):
        """Root's, where we are another user."""
        ours = self.key.stat().st_uid
        self.useFixture(fixtures.MonkeyPatch('os.geteuid', lambda: 12344))
        if ours:
            self.refused(f'user {ours}')
        else:
            key_file.check(str(self.key))

    def test_absent(self):
        self.key.unlink()
        self.refused('No such file')

    def test_no_regular_file(self):
        self.key.unlink()
        self.key.mkdir(0o700)
        self.refused('regular file', 'drwx------')
        self.key.rmdir()
        os.mkfifo(self.key, 0o600)
        self.refused('regular file', 'prw-------')

    def link(self):
        """The key through two links: relative, absolute."""
        real = self.folder / 'real.pem'
        self.key.rename(real)
        middle = self.folder / 'middle.pem'
        middle.symlink_to('real.pem')
        self.key.symlink_to(middle)
        return real, middle

    def test_through_our_links(self):
        real, _ = self.link()
        key_file.check(str(self.key))
        real.chmod(0o644)
        self.refused('0644')

    def test_through_the_link_of_another_user(self):
        _, middle = self.link()
        owner = self.give_away(middle)
        self.refused('symbolic link', f'user {owner}')

    def test_links_in_a_circle(self):
        self.key.unlink()
        self.key.symlink_to(self.key.name)
        self.refused('symbolic links')
