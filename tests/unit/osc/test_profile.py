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

"""The commands about profiles; they need no cloud."""

from pathlib import Path

import fixtures

from nova_isolation.mechanisms import registry
from nova_isolation.profiles import profile
from tests.unit import base
from tests.unit.osc import fake_cloud

_LIST = ('isolation', 'profile', 'list')
_SHOW = ('isolation', 'profile', 'show')


class ProfileTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.openstack = self.useFixture(fake_cloud.Openstack({}))
        self.folder = Path(self.useFixture(fixtures.TempDir()).path)

    def test_list(self):
        result = self.openstack(*_LIST, '-f', 'value', '-c', 'Name')
        self.assertEqual((0, ''), (result.status, result.stderr))
        self.assertEqual(
            [
                'alice-private-cloud', 'alice-xen-cloud', 'attested',
                'bob-public-cloud', 'confined', 'hardened',
            ],
            result.stdout.split(),
        )  # fmt: skip

    def test_show(self):
        result = self.openstack(*_SHOW, 'bob-public-cloud')
        self.assertEqual(0, result.status)
        self.assertIn('Against: an untrusted guest', result.stdout)
        self.assertIn('isolation:svirt=apparmor', result.stdout)

    def test_what_show_prints_is_a_profile(self):
        result = self.openstack(
            *_SHOW, 'alice-private-cloud', '-f', 'yaml', '-c', 'summary', '-c',
            'buys', '-c', 'lacks', '-c', 'extra_specs',
        )  # fmt: skip
        (self.folder / 'mine.yaml').write_text(result.stdout)
        mine = profile.parse(
            'mine', '', result.stdout, registry.get().vocabulary
        )
        self.assertEqual('17,18', mine.extra_specs['isolation:attested_pcrs'])
        result = self.openstack(
            '--os-isolation-profiles', str(self.folder), *_LIST, '-f', 'csv'
        )
        self.assertEqual(0, result.status)
        self.assertIn(str(self.folder / 'mine.yaml'), result.stdout)

    def test_the_folder_in_the_home(self):
        folder = self.folder / 'openstack' / 'isolation-profiles'
        folder.mkdir(parents=True)
        (folder / 'mine.yaml').write_text('[')
        self.useFixture(
            fixtures.EnvironmentVariable('XDG_CONFIG_HOME', str(self.folder))
        )
        result = self.openstack(*_SHOW, 'mine')
        self.assertEqual(2, result.status)
        self.assertIn('mine.yaml) is not valid', result.stderr)

    def test_one_that_is_not_valid(self):
        (self.folder / 'mine.yaml').write_text('[')
        own = ('--os-isolation-profiles', str(self.folder))
        result = self.openstack(*own, *_LIST, '-f', 'value', '-c', 'Name')
        self.assertEqual(2, result.status)
        self.assertIn('hardened', result.stdout)
        self.assertIn('mine.yaml) is not valid', result.stderr)
        result = self.openstack(*own, *_SHOW, 'mine')
        self.assertEqual((2, ''), (result.status, result.stdout))
