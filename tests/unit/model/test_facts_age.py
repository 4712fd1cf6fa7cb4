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

"""Tests of nova_isolation.scheduler.stats."""

import hypothesis
from hypothesis import strategies as st

from nova_isolation.model import facts
from tests.unit import base


class AgeTest(base.TestCase):
    """How old the facts are."""

    def age(self, text, now=1000.5):
        return facts.age({facts.TIME_STAT: text}, now)

    def test_ages(self):
        for text, age in (('1000', 0.5), ('900', 100.5), ('2000', -999.5)):
            self.assertEqual(age, self.age(text))

    def test_missing(self):
        self.assertIsNone(facts.age({}, 1000))

    def test_malformed(self):
        for value in (
            None, '', ' ', 'x', 'nan', 'inf', '1e3', '-1', '+1', '1.5', ' 1',
            '1 ', '1_0', '\u0661', '\u00b2', '9' * 13, 1000, 1000.0, b'1000',
            True, [], {},
        ):  # fmt: skip
            self.assertIsNone(self.age(value), value)

    @hypothesis.given(st.text() | st.floats() | st.none() | st.integers())
    def test_anything(self, value):
        age = self.age(value)
        self.assertTrue(age is None or isinstance(age, float))

    @hypothesis.given(st.integers(0, 10**12 - 1))
    def test_what_is_written_is_read(self, second):
        self.assertEqual(0.25, self.age(str(second), second + 0.25))
