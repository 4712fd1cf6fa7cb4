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

"""Tests of nova_isolation.model.reasons."""

import dataclasses
import operator
import pathlib
import re

from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from tests.unit import base

SOURCES = pathlib.Path(reasons.__file__).parent.parent


def _defined():
    return {
        name: value
        for name, value in vars(reasons).items()
        if isinstance(value, reasons.Reason)
    }


class ReasonsTest(base.TestCase):
    """The codes are unique, well formed, explained and in use."""

    def test_codes_are_unique(self):
        codes = [r.code for r in _defined().values()]
        self.assertEqual(len(codes), len(set(codes)))
        self.assertEqual(set(codes), set(reasons.REASONS))

    def test_meanings_and_remedies_are_sentences(self):
        found = _defined().values()
        self.assertEqual(len(found), len({r.meaning for r in found}))
        for reason in found:
            for text in (reason.meaning, reason.remedy):
                self.assertTrue(text.endswith('.'), text)
                self.assertNotIn('  ', text)

    def test_areas(self):
        areas = {code.split('.')[1] for code in reasons.REASONS}
        self.assertEqual(
            {'spec', 'facts', 'host', 'verify', 'mechanism'}
            | registry.BUILT_IN,
            areas,
        )

    def test_every_code_is_in_use(self):
        text = '\n'.join(
            path.read_text()
            for path in SOURCES.rglob('*.py')
            if path.name != 'reasons.py'
        )
        used = set(re.findall(r'\breasons\.([A-Z_]+)\b', text))
        self.assertEqual(set(), set(_defined()) - used, 'defined, unused')
        self.assertEqual(set(), used - set(vars(reasons)), 'not defined')

    def test_no_code_is_written_out_elsewhere(self):
        for path in SOURCES.rglob('*.py'):
            if path.name != 'reasons.py':
                found = set(
                    re.findall(
                        r'[\'"](isolation\.[a-z]+\.[a-z_]+)[\'"]',
                        path.read_text(),
                    )
                )
                self.assertEqual(set(), found & set(reasons.REASONS), path)

    def test_bad_codes(self):
        for code in (
            '',
            'isolation',
            'isolation.svirt',
            'isolation.svirt.a.b',
            'isolation.Svirt.a',
            'isolation.svirt.a-b',
            'isolation.svirt.1',
            'isolation.svirt.a\n',
            'other.svirt.a',
        ):
            self.assertRaisesText(
                ValueError, 'not a reason code', reasons.Reason, code, 'a', 'b'
            )

    def test_immutable(self):
        self.assertRaises(
            dataclasses.FrozenInstanceError,
            setattr,
            reasons.SPEC_UNKNOWN,
            'code',
            'isolation.a.b',
        )
        self.assertRaises(
            TypeError, operator.setitem, reasons.REASONS, 'a', None
        )

    def test_text_of_unmet(self):
        unmet = reasons.Unmet('isolation.a.b', 'isolation:k', 'w', 'f')
        self.assertEqual(
            'isolation:k: wanted w, found f [isolation.a.b]', str(unmet)
        )

    def test_text_of_unmet_without_key(self):
        unmet = reasons.Unmet('isolation.a.b', '', 'w', 'f')
        self.assertEqual('wanted w, found f [isolation.a.b]', str(unmet))
