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

"""Tests of nova_isolation.attestation.opts."""

import pathlib

import fixtures
from oslo_config import cfg

from nova_isolation.attestation import loader
from nova_isolation.attestation import opts
from tests.unit import base


class OptsTest(base.TestCase):
    """The groups [isolation_attestation] and [isolation_attestation_NAME]."""

    def conf(self, text=''):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'x.conf')
        path.write_text(text)
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(path)], default_config_dirs=[])
        return conf

    def own(self, conf, name):
        return opts.register_own(conf, name, loader.load(name))

    def test_defaults_are_the_strict_ones(self):
        group = opts.register(self.conf())
        self.assertEqual('', group.provider)
        self.assertEqual((120.0, 5.0), (group.max_age, group.clock_skew))

    def test_register_twice(self):
        conf = self.conf()
        opts.register(conf)
        self.assertEqual('', opts.register(conf).provider)
        self.own(conf, 'keylime')
        self.assertEqual('', self.own(conf, 'keylime').host_map)

    def test_every_option_has_help(self):
        for group, options in opts.list_opts():
            for option in options:
                self.assertTrue(option.help.strip(), option.name)
            self.assertTrue(group.help.strip(), group.name)

    def test_no_fixture_in_production(self):
        self.assertEqual(['attestd', 'keylime'], loader.names())
        self.assertEqual(
            [
                'isolation_attestation',
                'isolation_attestation_attestd',
                'isolation_attestation_keylime',
            ],
            [group.name for group, _ in opts.list_opts()],
        )

    def test_own_options(self):
        conf = self.conf(
            '[isolation_attestation_keylime]\n'
            'verifiers = https://a:1,https://b:2\n'
            'poll_interval = 3\nhost_map = node-uuid\n'
            '[isolation_attestation_attestd]\nurl = https://c:3\n'
        )
        keylime = self.own(conf, 'keylime')
        self.assertEqual(['https://a:1', 'https://b:2'], keylime.verifiers)
        self.assertEqual(
            (3.0, 'node-uuid'), (keylime.poll_interval, keylime.host_map)
        )
        self.assertEqual('https://c:3', self.own(conf, 'attestd').url)

    def test_names_before_the_groups_were_split(self):
        conf = self.conf(
            '[isolation_attestation]\n'
            'verifiers = https://a:1\npoll_interval = 3\n'
            'host_map = node-uuid\nurl = https://c:3\n'
        )
        opts.register(conf)
        keylime = self.own(conf, 'keylime')
        self.assertEqual(['https://a:1'], keylime.verifiers)
        self.assertEqual(
            (3.0, 'node-uuid'), (keylime.poll_interval, keylime.host_map)
        )
        self.assertEqual('https://c:3', self.own(conf, 'attestd').url)
