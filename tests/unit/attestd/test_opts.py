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
"""Tests of nova_isolation.attestd.opts."""

from oslo_config import cfg

from nova_isolation.attestd import opts
from tests.unit import base


class OptsTest(base.TestCase):
    """The group [attestd]."""

    def test_defaults_are_the_strict_ones(self):
        conf = cfg.ConfigOpts()
        group = opts.register(conf)
        conf([], default_config_files=[])
        self.assertEqual('127.0.0.1', group.bind)
        self.assertEqual(0, group.webhook_port)
        # Registered twice is no error.
        self.assertEqual(8899, opts.register(conf).port)

    def test_every_option_has_help(self):
        ((group, options),) = opts.list_opts()
        self.assertEqual('attestd', group.name)
        for option in options:
            self.assertTrue(option.help.strip(), option.name)
