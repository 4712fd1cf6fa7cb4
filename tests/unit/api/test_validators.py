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

"""Tests of nova_isolation.api.validators, with Nova's own validator."""

from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st
from nova import exception
from nova.api.validation.extra_specs import validators as nova_validators

from nova_isolation.api import validators
from nova_isolation.mechanisms import registry
from tests.unit import base
from tests.unit.mechanisms import test_extra_specs


class ValidatorsTest(base.TestCase):
    """What Nova's API takes is what we understand, and nothing else."""

    def setUp(self):
        super().setUp()
        self.by_name = {v.name: v for v in validators.register()}

    def takes(self, key, text):
        try:
            self.by_name[key].validate(key, text)
        except exception.ValidationError:
            return False
        return True

    def test_every_row(self):
        rows = registry.get().vocabulary.rows
        self.assertEqual(set(rows), set(self.by_name))
        for key, validator in self.by_name.items():
            self.assertIn(rows[key].condition, validator.description)
            self.assertTrue(self.takes(key, rows[key].example))

    def test_row_that_fails(self):
        """nova-api starts without it."""
        row = mock.Mock(spec=[])
        mechanisms = mock.Mock()
        mechanisms.vocabulary.rows = {
            'isolation:bad': row,
            **registry.get().vocabulary.rows,
        }
        log = self.useFixture(fixtures.FakeLogger())
        with mock.patch.object(registry, 'get', return_value=mechanisms):
            found = {v.name for v in validators.register()}
        self.assertEqual(set(self.by_name), found)
        self.assertIn('isolation:bad cannot be validated', log.output)

    def answer(self, key):
        """What Nova's API says to a key with a value that would be valid."""
        try:
            nova_validators.validate(key, 'selinux')
        except exception.ValidationError as error:
            return str(error)
        return None

    def test_other_spellings(self):
        for validator in self.by_name.values():
            namespace = validator.name_regex.split(':', 1)[0]
            nova_validators.NAMESPACES.add(namespace)
            self.addCleanup(nova_validators.NAMESPACES.discard, namespace)
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova.api.validation.extra_specs.validators.VALIDATORS',
                self.by_name,
            )
        )
        self.assertIsNone(self.answer('isolation:svirt'))
        for key in (
            'isolation :svirt', ' isolation:svirt', 'Isolation:svirt',
            'isolation:svirt ', 'ISOLATION : SVIRT', 'isolation:other',
            'isolation.svirt', 'isolation_svirt', 'isolation-svirt',
            'isolation svirt', 'Isolation.Svirt',
        ):  # fmt: skip
            self.assertIn('does not appear to be', self.answer(key) or '', key)
        self.assertIn(
            "Is 'isolation:svirt' meant", self.answer('isolation.svirt')
        )
        self.assertIn(
            "Is 'isolation:svirt_type' meant",
            self.answer('isolation_svirt-type'),
        )
        for key in (
            'isolation', 'isolation_zone', 'isolation_foo:bar', 'isolation.x',
            'isolationsvirt', 'foo:svirt',
        ):  # fmt: skip
            self.assertIsNone(self.answer(key), key)

    def test_values(self):
        for key, (taken, refused) in test_extra_specs.VALUES.items():
            for text in taken:
                self.assertTrue(self.takes(key, text), (key, text))
            for text in refused:
                # The length is checked by Nova before, by its schema.
                if len(text) < 256:
                    self.assertFalse(self.takes(key, text), (key, text))

    @hypothesis.given(
        st.sampled_from(sorted(test_extra_specs.VALUES)),
        st.text('kvmqexnpi,_A9 \n', max_size=12),
    )
    def test_agrees_with_the_parser(self, key, text):
        try:
            registry.get().vocabulary.rows[key].parse(text)
        except ValueError:
            self.assertFalse(self.takes(key, text))
        else:
            self.assertTrue(self.takes(key, text))
