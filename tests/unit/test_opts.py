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

"""Tests of nova_isolation.opts."""

import pathlib
from unittest import mock

import fixtures
from oslo_config import cfg

from nova_isolation import opts
from nova_isolation.mechanisms.svirt import mechanism
from nova_isolation.model import facts
from tests.unit import base


class OptsTest(base.TestCase):
    """The group [isolation], and those of the mechanisms."""

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        self.group = opts.register(self.conf)
        self.conf([], project='nova')

    def test_register_twice(self):
        self.assertEqual('enforce', opts.register(self.conf).mode)

    def test_configurations_do_not_share_values(self):
        other = cfg.ConfigOpts()
        opts.register(other)
        self.conf.set_override('mode', 'audit', 'isolation')
        self.assertEqual('enforce', other.isolation.mode)

    def test_defaults_are_the_strict_ones(self):
        self.assertEqual('enforce', self.group.mode)
        self.assertTrue(self.group.request_traits)
        self.assertEqual([], self.conf.isolation_certification.declared)
        self.assertEqual(facts.Freshness(180, 30), opts.freshness(self.group))
        self.assertEqual(facts.Freshness(), opts.freshness(self.group))
        self.assertEqual(60, self.group.verify_interval)
        self.assertTrue(self.group.violation_closes_host)
        # The one that is not: nobody's guests end unless an admin says so.
        self.assertEqual('report', self.group.on_violation)

    def test_values_that_are_refused(self):
        for name, value in (
            ('mode', 'off'),
            ('mode', ''),
            ('facts_max_age', 0),
            ('clock_skew', -1),
            ('probe_timeout', 0),
            ('fault_timeout', -1),
            ('verify_interval', -1),
            ('on_violation', 'kill'),
            ('on_violation', ''),
            ('violation_closes_host', 'maybe'),
        ):
            self.assertRaises(
                ValueError, self.conf.set_override, name, value, 'isolation'
            )
        self.assertRaises(
            ValueError,
            self.conf.set_override,
            'types',
            ['x' * 65],
            'isolation_svirt',
        )

    def test_names_of_earlier_releases(self):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'conf')
        path.write_text(
            '[isolation]\ncertifications = LSPP,CAPP\nsvirt_types = own_t\n'
        )
        conf = cfg.ConfigOpts()
        opts.register(conf)
        conf(['--config-file', str(path)])
        self.assertEqual(
            ['LSPP', 'CAPP'], conf.isolation_certification.declared
        )
        self.assertEqual(['own_t'], conf.isolation_svirt.types)

    def test_mechanism_whose_options_fail(self):
        log = self.useFixture(fixtures.FakeLogger())
        for wrong in (
            {'side_effect': RuntimeError('no')},
            {'side_effect': SystemExit(1)},
            {'side_effect': KeyboardInterrupt},
            {'return_value': None},
            {'return_value': (7,)},
        ):
            with mock.patch.object(
                mechanism.SvirtMechanism, 'options', **wrong
            ):
                conf = cfg.ConfigOpts()
                self.assertEqual('enforce', opts.register(conf).mode)
                # The sample configuration has the other ones.
                groups = {group.name for group, _ in opts.list_opts()}
                self.assertIn('isolation_certification', groups)
                self.assertNotIn('isolation_svirt', groups)
            self.assertRaises(
                cfg.NoSuchOptError, getattr, conf, 'isolation_svirt'
            )
            self.assertTrue(conf.isolation_certification)
        self.assertIn('Options of mechanism svirt', log.output)

    def test_every_option_has_help_and_says_which_services_read_it(self):
        groups = opts.list_opts()
        self.assertEqual(
            [
                'isolation',
                'isolation_certification',
                'isolation_svirt',
                'isolation_xsm',
            ],
            sorted(group.name for group, _ in groups),
        )  # fmt: skip
        for _, options in groups:
            for option in options:
                self.assertIn('Services: nova-', option.help, option.name)
