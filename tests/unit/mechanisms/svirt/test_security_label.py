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

"""Tests of the labels of guests.

Tables in the manner of libvirt's tests/securityselinuxtest.c: labels as
libvirt generates them from the context of virtd, and what is none.
"""

import itertools
import re

import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms.svirt import label_check
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import printable
from nova_isolation.model import requirements
from tests.unit import base

#: label -> type, categories, is_range
LABELS = {
    # dynamic unconfined, s0, c0.c1023
    'unconfined_u:unconfined_r:svirt_t:s0:c1,c1023': (
        'svirt_t', {1, 1023}, False),
    # dynamic virtd, s0, c0.c10
    'system_u:system_r:svirt_t:s0:c0,c10': ('svirt_t', {0, 10}, False),
    # dynamic virtd, s2-s3, c1.c10: libvirt takes the lowest
    'system_u:system_r:svirt_t:s2:c3,c5': ('svirt_t', {3, 5}, False),
    # an emulated guest
    'system_u:system_r:svirt_tcg_t:s0:c392,c662': (
        'svirt_tcg_t', {392, 662}, False),
    # one category: both were the same
    'system_u:system_r:svirt_t:s0:c4': ('svirt_t', {4}, False),
    # neighbours are written as a range
    'system_u:system_r:svirt_t:s0:c4.c5': ('svirt_t', {4, 5}, False),
    'system_u:system_r:svirt_t:s0:c4.c7,c9': (
        'svirt_t', {4, 5, 6, 7, 9}, False),
    'system_u:system_r:svirt_t:s0:c1,c1': ('svirt_t', {1}, False),
    'system_u:system_r:svirt_t:s0:c5.c5': ('svirt_t', {5}, False),
    # static
    'system_u:system_r:own_t:s15:c0.c1023': (
        'own_t', set(range(1024)), False),
    # no categories
    'system_u:system_r:svirt_t:s0': ('svirt_t', set(), False),
    'system_u:system_r:svirt_t:s0:c5.c2': ('svirt_t', set(), False),
    # ranges, as services have them
    'system_u:system_r:virtd_t:s0-s0:c0.c1023': (
        'virtd_t', set(range(1024)), True),
    'system_u:system_r:svirt_t:s0-s15': ('svirt_t', set(), True),
    'system_u:system_r:svirt_t:s0:c1-s0:c1,c2': ('svirt_t', {1, 2}, True),
    'a:b:c:s0': ('c', set(), False),
}  # fmt: skip

NO_LABELS = (
    '', 'unconfined', 'kernel', 'libvirt-x (enforce)', 'a', 'a:b', 'a:b:c',
    'system_u:system_r:svirt_t:', 'system_u:system_r:svirt_t:c1,c2',
    'system_u:system_r:svirt_t:s', 'system_u:system_r:svirt_t:s0:',
    'system_u:system_r:svirt_t:s0:c', 'system_u:system_r:svirt_t:s0:1,2',
    'system_u:system_r:svirt_t:s0:c1,', 'system_u:system_r:svirt_t:s0:,c1',
    'system_u:system_r:svirt_t:s0:c1,,c2', 'system_u:system_r:svirt_t:s0:c1.',
    'system_u:system_r:svirt_t:s0:c1.c2.c3', 'system_u:system_r:svirt_t:s0-',
    'system_u:system_r:svirt_t:s0:c1.2', 'system_u:system_r:svirt_t:s0:c1 ',
    'system_u:system_r:svirt_t:s0:c1,c2\n', '\0', ' a:b:c:s0',
    'system_u:system_r:svirt_t:s0:c1,c2\0', 'system_u::svirt_t:s0:c1,c2',
    ':system_r:svirt_t:s0:c1,c2', 'system_u:system_r::s0:c1,c2',
    'system_u:system_r:svirt_t:s0:c12345', 'a:b:c:S0', 'a:b:c:s0:C1',
    'system_u:system_r:svirt_t:s0:c1,c2:x', 'x:a:b:c:s0', 'a b:c:d:s0',
    'system_u:system_r:svirt_t:SystemLow', 'a:b:c:s\u0661',
    'system_u:system_r:svirt_t:s0-s1-s2', 'system_u:system_r:svirt_t:s0:c-1',
)  # fmt: skip

#: What a label of SELinux is; the module itself does without this.
LABEL = re.compile(
    r'[^:\s]+:[^:\s]+:[^:\s]+:'
    r's[0-9]+(:[c0-9.,]+)?(-s[0-9]+(:[c0-9.,]+)?)?'
)
CATEGORIES = re.compile(
    r'c[0-9]{1,4}(\.c[0-9]{1,4})?(,c[0-9]{1,4}(\.c[0-9]{1,4})?)*'
)

GOOD = 'system_u:system_r:svirt_t:s0:c1,c2'
REQUIREMENT = requirements.Requirement(
    'isolation:svirt', 'svirt', ('selinux',)
)


def at(level, type_='svirt_t'):
    """A label."""
    return f'system_u:system_r:{type_}:{level}'


def check(label=GOOD, process=None, types=('svirt_t',), others=None):
    """Check a label."""
    return list(
        label_check.check(
            REQUIREMENT,
            label,
            label if process is None else process,
            types,
            others or {},
        )
    )


class ParseTest(base.TestCase):
    """Labels taken apart."""

    def test_labels(self):
        for text, wanted in LABELS.items():
            found = security_label.parse(text)
            self.assertEqual(
                wanted, (found.type, found.categories, found.is_range), text
            )

    def test_no_labels(self):
        for text in NO_LABELS:
            self.assertRaises(ValueError, security_label.parse, text)

    def test_base(self):
        text = security_label.base('own_t')
        self.assertEqual('system_u:system_r:own_t:s0', text)
        self.assertEqual('own_t', security_label.parse(text).type)

    @hypothesis.given(
        st.text() | st.text('su:_rt0123,.c-', max_size=30).map(at)
    )
    def test_any_text_is_parsed_or_refused(self, text):
        try:
            label = security_label.parse(text)
        except ValueError:
            self.assertTrue(check(text))
        else:
            self.assertEqual(
                label.type == 'svirt_t'
                and bool(label.categories)
                and not label.is_range,
                not check(text),
            )

    @hypothesis.settings(max_examples=600)
    @hypothesis.given(
        st.from_regex(LABEL, fullmatch=True)
        | st.text('a:s0:c1,-. \n\u2003\u0661', max_size=20)
        | st.text('s0:c1,-.', max_size=12).map(at)
    )
    def test_as_the_expressions(self, text):
        match = LABEL.fullmatch(text)
        categories = match and text.split(':', 3)[3].rpartition('-')[2]
        _, colon, categories = (categories or '').partition(':')
        wanted = bool(match) and (
            not colon or CATEGORIES.fullmatch(categories) is not None
        )
        try:
            security_label.parse(text)
        except ValueError:
            self.assertFalse(wanted, text)
        else:
            self.assertTrue(wanted, text)

    @hypothesis.given(
        st.integers(0, 1023), st.integers(0, 1023), st.integers(0, 15)
    )
    def test_all_pairs_that_libvirt_gives(self, one, two, level):
        label = security_label.parse(at(f's{level}:c{one},c{two}'))
        self.assertEqual({one, two}, label.categories)


class CheckTest(base.TestCase):
    """What is wrong with the label of a guest."""

    def test_good(self):
        for label in (GOOD, at('s0:c7'), at('s3:c1,c9'), at('s0:c4.c5')):
            self.assertEqual([], check(label))

    def test_libvirt_and_the_kernel_must_agree(self):
        for process in (
            at('s0:c1,c3'), at('s0:c2,c1'), at('s0:c1,c2', 'svirt_tcg_t'),
            'unconfined_u:system_r:svirt_t:s0:c1,c2',
            'system_u:object_r:svirt_t:s0:c1,c2', at('s1:c1,c2'), at('s0'),
            '', 'unconfined', GOOD + '\0', GOOD + ' ',
        ):  # fmt: skip
            unmet = check(GOOD, process)
            self.assertCodes(['svirt.wrong_label'], unmet)
            self.assertIn(printable.one_line(process), unmet[0].found)

    def test_type(self):
        for label, types in (
            (at('s0:c1,c2', 'unconfined_t'), ('svirt_t', 'svirt_tcg_t')),
            (GOOD, ('svirt_tcg_t',)),
            (GOOD, ('svirt',)),
            (GOOD, ('SVIRT_T',)),
            (GOOD, ()),
        ):
            self.assertCodes(['svirt.wrong_label'], check(label, types=types))

    def test_categories(self):
        for level in ('s0', 's15', 's0:c5.c2', 's0-s0:c0.c1023',
                      's0:c1,c2-s0:c1,c2'):  # fmt: skip
            self.assertCodes(['svirt.wrong_label'], check(at(level)))

    def test_no_label(self):
        for text in NO_LABELS:
            self.assertCodes(['svirt.wrong_label'], check(text))

    def test_others_that_are_apart(self):
        others = {
            'a': at('s0:c1,c3'),
            'b': at('s0:c2,c3'),
            'c': at('s0:c3,c4', 'svirt_tcg_t'),
            'd': at('s0:c5.c9'),
            'e': at('s0:c900'),
        }
        self.assertEqual([], check(others=others))

    def test_equal_pairs_clash(self):
        for other in (
            GOOD, at('s0:c2,c1'), at('s0:c1.c2'), at('s0:c1,c2,c1'),
            at('s5:c1,c2'), at('s0:c1,c2', 'svirt_tcg_t'),
            'unconfined_u:unconfined_r:svirt_t:s0:c1,c2',
        ):  # fmt: skip
            unmet = check(others={'guest-7': other})
            self.assertCodes(['svirt.category_clash'], unmet)
            self.assertIn('guest-7', unmet[0].found)

    def test_subsets_and_supersets_clash(self):
        for other in (
            's0:c1', 's0:c2', 's0:c0.c1023', 's0:c1.c5', 's0:c1,c2,c3',
            's0-s0:c0.c1023', 's0', 's0:c9.c2',
        ):  # fmt: skip
            self.assertCodes(
                ['svirt.category_clash'], check(others={'a': at(other)})
            )

    def test_a_single_category_within_the_pair_of_another(self):
        self.assertCodes(
            ['svirt.category_clash'],
            check(at('s0:c1'), others={'a': at('s0:c1,c9')}),
        )

    def test_others_that_cannot_be_read_clash(self):
        for text in NO_LABELS:
            self.assertCodes(
                ['svirt.category_clash'], check(others={'a': text})
            )

    def test_each_clash_is_told(self):
        others = {'b': GOOD, 'a': at('s0:c2'), 'c': at('s0:c3,c4')}
        unmet = check(others=others)
        self.assertEqual(['a', 'b'], [u.found.split(' ')[0] for u in unmet])

    def test_clashing_is_mutual(self):
        levels = ('s0', 's0:c1', 's0:c1,c2', 's0:c2,c3', 's0:c0.c9', 's0:c8')
        for one, two in itertools.product(levels[1:], repeat=2):
            self.assertEqual(
                bool(check(at(one), others={'x': at(two)})),
                bool(check(at(two), others={'x': at(one)})),
            )
