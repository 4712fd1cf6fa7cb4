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

"""Tests of nova_isolation.model.vocabulary."""

import re
import warnings

import hypothesis
from hypothesis import strategies as st

from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit import strategies


def row(key='isolation:own', **more):
    """A row of another package."""
    return vocabulary.ExtraSpec(
        key,
        **{
            'condition': 'c',
            'example': 'a',
            'pattern': '[a-z]+',
            **more,
        },
    )


class VocabularyTest(base.TestCase):
    """Rows of other packages."""

    def refused(self, pattern, *rows):
        self.assertRaisesText(
            ValueError, pattern, vocabulary.Vocabulary, {'own': rows}
        )

    def test_alternatives_of_another_package_stay_together(self):
        one = row(pattern='ab|cd', example='ab')
        self.assertEqual(('cd',), one.parse('cd'))
        self.assertRaises(ValueError, one.parse, 'ab,cd')
        many = row(pattern='ab|cd', example='ab', several=True)
        self.assertEqual(('ab', 'cd'), many.parse('cd,ab'))
        for text in ('abcd', 'cd,', 'ab,abcd', 'abd', 'acd'):
            self.assertRaises(ValueError, many.parse, text)

    def test_more(self):
        known = vocabulary.Vocabulary({'own': [row(), row('isolation:own_2')]})
        self.assertEqual(
            ['isolation:own', 'isolation:own_2'], list(known.rows)
        )
        self.assertEqual('own', known.owner('isolation:own_2'))
        self.assertEqual(tuple(known.rows.values()), known.of('own'))
        self.assertRaises(KeyError, known.owner, 'isolation:own_3')

    def test_outside_of_the_namespace(self):
        for key in (
            '', 'own', 'isolation:', 'isolation', 'hw:own', 'Isolation:own',
            ' isolation:own', 'isolation_own',
        ):  # fmt: skip
            self.refused('is not in', row(key))

    def test_reserved(self):
        for key in (
            'isolation:memory-key', 'isolation:memory_boot',
            'isolation:memory', 'isolation:memory_key', 'isolation:memoryx',
        ):  # fmt: skip
            self.refused('is reserved', row(key))

    def test_twice(self):
        self.refused('has an owner', row(), row())
        self.assertRaisesText(
            ValueError,
            'has an owner',
            vocabulary.Vocabulary,
            {
                'own': [row('isolation:own_2')],
                'own_2': [row('isolation:own_2')],
            },
        )

    def test_named_after_another(self):
        for key in ('isolation:other', 'isolation:ownx', 'isolation:own-x'):
            self.refused('does not begin with', row(key))

    def test_a_key_of_a_mechanism_that_failed_to_load(self):
        known = vocabulary.Vocabulary({'own': [row()]}, ['gone', 'own_more'])
        for key, owner in (
            ('isolation:gone', 'gone'),
            ('isolation:gone_x', 'gone'),
            ('isolation:own_more', 'own_more'),
            ('isolation:own_more_x', 'own_more'),
            ('isolation:gonex', None),
            ('isolation:own', None),
            ('isolation:own_x', None),
            ('isolation:other', None),
        ):
            self.assertEqual(owner, known.unavailable_owner(key), key)

    def test_a_row_that_does_not_take_its_own_example(self):
        self.refused('', row(example='A'))
        self.refused('', row(pattern=''))

    def test_a_word_with_a_comma(self):
        self.refused('with a comma', row(values=('a', 'b,c'), several=True))

    def test_a_row_does_not_change(self):
        one = row()
        self.assertRaises(AttributeError, setattr, one, 'pattern', '.*')
        self.assertEqual('[a-z]+', one.pattern)

    def test_rows_are_compared_by_what_they_say(self):
        self.assertEqual(row(), row())
        self.assertEqual(1, len({row(), row()}))
        self.assertNotEqual(row(), row(several=True))
        self.assertNotEqual(row(), 'isolation:own')
        self.assertIn("pattern='[a-z]+'", repr(row()))

    def test_a_row_whose_pattern_is_none(self):
        self.assertRaises(
            re.error, vocabulary.Vocabulary, {'own': [row(pattern='[a')]}
        )

    def test_read_only(self):
        rows = vocabulary.Vocabulary({}).rows
        self.assertFalse(hasattr(rows, '__setitem__'))

    def test_ours(self):
        for key in (
            'isolation:svirt', 'isolation:', 'isolation:nonsense',
            'Isolation:svirt', 'ISOLATION:SVIRT', ' isolation:svirt',
            'isolation:svirt ', '\tisolation:svirt\n', '\u00a0isolation:x',
            'isolation :svirt', 'isolation\t: svirt', 'Isolation : svirt',
            'isolation\u00a0:svirt', 'isolation\u3000:svirt',
            'isolation\u200b:svirt', 'iso\u00adlation:svirt',
            '\ufeffisolation:svirt', 'isolation\u0000:svirt',
            'isolation\uff1asvirt', 'isolation\ufe55svirt',
            'isolation\u2236svirt', 'isolation\ua789svirt',
            '\uff49\uff53\uff4f\uff4c\uff41\uff54\uff49\uff4f\uff4e:x',
            'i\u017folation:x', '\u0130solation:x', 'isolation:svirt:x',
            # Letters that nobody sees, an i without its dot, other colons.
            'isolation\u3164:x', '\uffa0isolation:x', 'iso\u115flation:x',
            'isolation\u2800:x', '\u0131solat\u0131on:x', 'isolation\u02f8x',
            'isolation\u0703x', 'isolation\u205ax', 'isolation\ufe30x',
            'isolation\u0903x', 'isolation\ufe13x',
        ):  # fmt: skip
            self.assertTrue(vocabulary.is_ours(key), key)
        for key in (
            '', 'isolation', 'isolation.svirt', 'hw:isolation:svirt',
            'trait:CUSTOM_ISOLATION_X', 'xisolation:svirt',
            # Namespaces of others.
            'isolation_foo:bar', 'isolation.foo:bar', 'isolation-x:bar',
            'isolations:x', 'my isolation:x', 'isolation zone:x',
            'isolation_svirt', 'isolation_zone', ':isolation:svirt', ':', ' ',
        ):  # fmt: skip
            self.assertFalse(vocabulary.is_ours(key), key)

    def test_near_misses(self):
        known = vocabulary.Vocabulary(
            {'own': [row('isolation:own'), row('isolation:own_type')]}
        )
        for key, meant in (
            ('isolation.own', 'isolation:own'),
            ('isolation_own', 'isolation:own'),
            ('isolation-own', 'isolation:own'),
            ('isolation own', 'isolation:own'),
            ('Isolation.OWN', 'isolation:own'),
            (' isolation/own ', 'isolation:own'),
            ('isolation.own_type', 'isolation:own_type'),
            ('isolation_own-type', 'isolation:own_type'),
            ('isolation\town', 'isolation:own'),
            ('isolation\u00a0own', 'isolation:own'),
            ('isolation\u2013own', 'isolation:own'),
            ('isolation\uff0eown\uff3ftype', 'isolation:own_type'),
            ('\u0130solation.own', 'isolation:own'),
        ):
            self.assertEqual(meant, known.near_miss(key), key)
            self.assertFalse(vocabulary.is_ours(key), key)
        for key in (
            '', 'isolation', 'isolation_zone', 'isolation_owner', 'own',
            'isolation:own', 'isolation_own:x', 'x_isolation_own', 'hw:x',
            'isolationown',
        ):  # fmt: skip
            self.assertIsNone(known.near_miss(key), key)

    def test_what_is_meant(self):
        """One rule for whoever reports about flavors."""
        known = vocabulary.Vocabulary({'own': [row('isolation:own')]})
        for key, meant in (
            ('isolation_own', 'isolation:own'),
            ('isolatiom:own', 'isolation:own'),
            ('Islation:onw', 'isolation:own'),
            ('isolation:own', None),
            ('isolation_foo:own', None),
            ('hw:own', None),
        ):
            self.assertEqual(meant, known.meant(key), key)

    @hypothesis.settings(max_examples=400)
    @hypothesis.given(
        st.sampled_from(
            [
                {'pattern': vocabulary.IDENTIFIER},
                {'values': ('true',)},
                {'values': ('x', 'y_1')},
                {'values': ('x',), 'pattern': vocabulary.IDENTIFIER},
            ]
        ),
        st.booleans(),
        st.text()
        | st.text('xy_1,Tt\u017f\u0131\n \u0661', max_size=6)
        | st.sampled_from(('true', 'TrUe', 'true,true', 'x,y_1', 'None')),
    )
    def test_what_is_allowed_is_what_the_expression_matches(
        self, allowed, several, text
    ):
        spec = row(example='x', several=several, **allowed)
        matches = re.fullmatch(spec.expression, text) is not None
        self.assertEqual(matches, spec._allows(text))

    @hypothesis.given(st.text(), strategies.json_values)
    def test_any_row_is_taken_or_refused(self, key, pattern):
        spec = row(f'isolation:own_{key}', pattern=str(pattern))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)
            try:
                known = vocabulary.Vocabulary({'own': [spec]})
            except (ValueError, re.error):
                return
        self.assertTrue(known.rows[spec.key].parse(spec.example))
