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

"""Tests of nova_isolation.option_group."""

from oslo_config import cfg

from nova_isolation import option_group
from tests.unit import base

GROUP = cfg.OptGroup('zoo', title='A zoo', help='What is in it.')
OPTIONS = [cfg.StrOpt('animal', default='owl'), cfg.IntOpt('legs', default=2)]


class RegisterTest(base.TestCase):
    def register(self):
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        return conf, option_group.register(conf, GROUP, OPTIONS)

    def test_values(self):
        _, group = self.register()
        self.assertEqual(('owl', 2), (group.animal, group.legs))

    def test_each_configuration_has_values_of_its_own(self):
        one, group = self.register()
        _, other = self.register()
        one.set_override('animal', 'cat', 'zoo')
        self.assertEqual(('cat', 'owl'), (group.animal, other.animal))

    def test_title_and_help_come_along(self):
        conf, _ = self.register()
        found = conf._get_group('zoo')
        self.assertEqual((GROUP.title, GROUP.help), (found.title, found.help))
