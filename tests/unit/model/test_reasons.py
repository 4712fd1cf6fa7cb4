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
import importlib
import operator
import pathlib
import re

from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from tests.unit import base

SOURCES = pathlib.Path(reasons.__file__).parent.parent


def _defined():
    """(area, name of the constant) -> reason, of the package."""
    modules = {'': reasons}
    for name in registry.BUILT_IN:
        modules[name] = importlib.import_module(
            f'nova_isolation.mechanisms.{name}.reason_codes'
        )
    return {
        (area, name): value
        for area, module in modules.items()
        for name, value in vars(module).items()
        if isinstance(value, reasons.Reason)
    }


class ReasonsTest(base.TestCase):
    """The codes are unique, well formed, explained and in use."""

    def test_codes_are_unique(self):
        codes = [r.code for r in _defined().values()]
        self.assertEqual(len(codes), len(set(codes)))
        self.assertEqual(set(codes), set(registry.get().reasons))

    def test_meanings_and_remedies_are_sentences(self):
        found = _defined().values()
        self.assertEqual(len(found), len({r.meaning for r in found}))
        for reason in found:
            for text in (reason.meaning, reason.remedy):
                self.assertTrue(text.endswith('.'), text)
                self.assertNotIn('  ', text)

    def test_areas(self):
        self.assertEqual(
            {'spec', 'facts', 'host', 'verify', 'mechanism'},
            {reason.area for reason in reasons.REASONS.values()},
        )
        for (area, _), reason in _defined().items():
            self.assertEqual(area or reason.area, reason.area)

    def test_same_as_another_that_exists(self):
        for reason in _defined().values():
            if reason.same_as:
                self.assertIn(reason.same_as, registry.get().reasons)

    def test_every_code_is_in_use(self):
        used = set()
        for path in SOURCES.rglob('*.py'):
            if path.name in ('reasons.py', 'reason_codes.py'):
                continue
            text = path.read_text()
            used |= {
                ('', name)
                for name in re.findall(r'\breasons\.([A-Z_]+)\b', text)
            }
            if path.parent.name in registry.BUILT_IN:
                used |= {
                    (path.parent.name, name)
                    for name in re.findall(
                        r'\breason_codes\.([A-Z_]+)\b', text
                    )
                    if name != 'ALL'
                }
        defined = set(_defined())
        self.assertEqual(set(), defined - used, 'defined, unused')
        self.assertEqual(
            set(), used - defined - {('', 'REASONS')}, 'not defined'
        )

    def test_no_code_is_written_out_elsewhere(self):
        for path in SOURCES.rglob('*.py'):
            if path.name not in ('reasons.py', 'reason_codes.py'):
                found = set(
                    re.findall(
                        r'[\'"](isolation\.[a-z]+\.[a-z_]+)[\'"]',
                        path.read_text(),
                    )
                )
                self.assertEqual(
                    set(), found & set(registry.get().reasons), path
                )

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
