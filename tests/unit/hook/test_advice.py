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

"""Tests of nova_isolation.hook.advice."""

from nova_isolation.hook import advice
from tests.unit import base


class AdviceTest(base.TestCase):
    """A command of the distribution, and of no other."""

    def advice(self, program='matchpathcon', **release):
        return advice.install(program, lambda: release)

    def test_distributions(self):
        debian = 'run apt-get install selinux-utils'
        fedora = 'run dnf install libselinux-utils'
        for wanted, release in (
            (debian, {'ID': 'debian'}),
            (debian, {'ID': 'ubuntu', 'ID_LIKE': 'debian'}),
            (debian, {'ID': 'mint', 'ID_LIKE': 'ubuntu debian'}),
            (fedora, {'ID': 'fedora'}),
            (fedora, {'ID': 'rhel', 'ID_LIKE': 'fedora'}),
            (fedora, {'ID': 'rocky', 'ID_LIKE': 'rhel centos fedora'}),
            (fedora, {'ID': 'centos'}),
        ):
            self.assertEqual(wanted, self.advice(**release))

    def test_other_distributions(self):
        for release in ({}, {'ID': 'gentoo'}, {'ID': 'sles'}):
            text = self.advice(**release)
            self.assertIn('Debian has it in selinux-utils', text)
            self.assertIn('Fedora has it in libselinux-utils', text)
            self.assertNotIn('run ', text)
        self.assertNotIn('run ', self.advice('aa-exec', ID='fedora'))

    def test_no_os_release(self):
        def fail():
            raise OSError('no')

        self.assertIn('install it', advice.install('semanage', fail))

    def test_os_release_that_is_not_utf_8(self):
        self.assertIn(
            'install it',
            advice.install('semanage', lambda: {'ID': b'\xff'.decode()}),
        )

    def test_this_host(self):
        for program in ('matchpathcon', 'semanage', 'aa-exec'):
            self.assertTrue(advice.install(program))
