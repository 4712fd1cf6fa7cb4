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

"""Tests of nova_isolation.model.typed_section."""

import dataclasses
import json
import types

import hypothesis
from hypothesis import strategies as st

from nova_isolation.model import facts
from nova_isolation.model import typed_section
from tests.unit import base
from tests.unit import strategies


@dataclasses.dataclass(frozen=True)
class Example:
    """One field of each kind."""

    text: str
    number: int
    flag: bool
    words: tuple[str, ...]
    maybe: str | None
    either: bool | int | None
    list_or_not: tuple[str, ...] | None


GOOD = {
    'text': 'a',
    'number': 1,
    'flag': True,
    'words': ['a', 'b'],
    'maybe': None,
    'either': 3,
    'list_or_not': None,
}


class SectionTest(base.TestCase):
    """Typed objects to JSON values and back; strict."""

    def malformed(self, value):
        error = self.assertRaises(
            facts.FactsError, typed_section.read, Example, value
        )
        self.assertEqual('isolation.facts.malformed', error.reason.code)

    def test_read(self):
        self.assertEqual(
            Example('a', 1, True, ('a', 'b'), None, 3, None),
            typed_section.read(Example, GOOD),
        )

    def test_read_other_mapping(self):
        typed_section.read(Example, types.MappingProxyType(GOOD))

    def test_not_a_section(self):
        for value in (None, 1, 'x', [], [GOOD], {}, True, b'', object()):
            self.malformed(value)

    def test_each_field_is_needed(self):
        for name in GOOD:
            self.malformed({n: v for n, v in GOOD.items() if n != name})

    def test_unknown_field(self):
        self.malformed({**GOOD, 'more': 1})

    def test_wrong_types(self):
        for name, value in (
            ('text', 1),
            ('text', None),
            ('number', True),
            ('number', 1.0),
            ('number', '1'),
            ('number', None),
            ('flag', 1),
            ('flag', 'true'),
            ('flag', None),
            ('words', None),
            ('words', 'ab'),
            ('words', [1]),
            ('words', ['a', None]),
            ('words', ['a', ['b']]),
            ('words', {'a': 1}),
            ('words', ('a',)),
            ('maybe', 0),
            ('maybe', False),
            ('either', 1.5),
            ('either', 'x'),
            ('list_or_not', [True]),
        ):
            self.malformed({**GOOD, name: value})

    @hypothesis.given(
        st.builds(
            Example,
            st.text(),
            st.integers(),
            st.booleans(),
            st.lists(st.text()).map(tuple),
            st.none() | st.text(),
            st.none() | st.booleans() | st.integers(),
            st.none() | st.lists(st.text()).map(tuple),
        )
    )
    def test_round_trip(self, example):
        text = json.dumps(typed_section.write(example))
        self.assertEqual(
            example, typed_section.read(Example, json.loads(text))
        )

    @hypothesis.given(strategies.json_values, st.sampled_from(sorted(GOOD)))
    def test_any_json_is_read_or_malformed(self, value, name):
        for candidate in (value, {**GOOD, name: value}):
            try:
                read = typed_section.read(Example, candidate)
            except facts.FactsError:
                continue
            self.assertEqual(candidate, typed_section.write(read))
