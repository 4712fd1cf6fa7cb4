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

"""Tests of nova_isolation.model.traits."""

import re

import hypothesis
from hypothesis import strategies as st

from nova_isolation.model import traits
from tests.unit import base


class TraitsTest(base.TestCase):
    """Names are such as placement takes."""

    def test_name(self):
        self.assertEqual(
            'CUSTOM_ISOLATION_QEMU_ABSENT_USB_REDIR',
            traits.name('QEMU', 'ABSENT', 'usb-redir'),
        )

    @hypothesis.given(st.lists(st.text(max_size=300), max_size=3))
    def test_any_text_gives_a_valid_name(self, words):
        name = traits.name(*words)
        self.assertTrue(re.fullmatch('CUSTOM_[A-Z0-9_]{1,248}', name), name)
        self.assertTrue(name.startswith(traits.PREFIX))
