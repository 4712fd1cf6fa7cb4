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

"""The fault keeps the codes, as many as Nova has room for."""

from nova_isolation.model import fault_message
from nova_isolation.model import reasons
from tests.unit import base

BEFORE = 'Isolation refuses the guest: '


def unmet(number, key='isolation:requirement_'):
    return [
        reasons.Unmet(
            f'isolation.area.what_is_wrong_{n}', f'{key}{n}', 'x' * 50, 'y'
        )
        for n in range(number)
    ]


def declared(item, public):
    return reasons.Reason(item.code, 'It is so.', 'Mend it.', public=public)


def fit(items):
    """The text where all of it is public."""
    known = {item.code: declared(item, public=True) for item in items}
    return fault_message.fit(items, BEFORE, known)


class FaultMessageTest(base.TestCase):
    def test_in_full(self):
        (one,) = unmet(1)
        self.assertEqual(str(one), fit([one]))

    def test_what_is_not_public(self):
        # Nor is what nobody declares.
        (one,) = unmet(1)
        for known in ({}, {one.code: declared(one, public=False)}):
            text = fault_message.fit([one, one], BEFORE, known)
            self.assertEqual(f'{one.key} [{one.code}]', text)

    def test_codes_alone(self):
        text = fit(unmet(3))
        for item in unmet(3):
            self.assertIn(f'{item.key} [{item.code}]', text)
        self.assertNotIn('wanted', text)

    def test_never_longer_than_nova_keeps(self):
        for number in range(1, 12):
            for key in (
                'isolation:k',
                'isolation:' + 'k' * 200,
                'isolation:é',
            ):
                text = fit(unmet(number, key))
                self.assertLessEqual(len((BEFORE + text).encode()), 255)
                self.assertTrue(text)

    def test_says_how_many_are_left_out(self):
        text = fit(unmet(9))
        shown = text.count('[isolation.')
        self.assertTrue(0 < shown < 9)
        self.assertTrue(text.endswith(f'; and {9 - shown} more'), text)

    def test_no_room_for_one(self):
        text = fit(unmet(4, 'isolation:' + 'k' * 250))
        self.assertEqual('4 requirements are not met', text)
