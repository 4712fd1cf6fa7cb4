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

"""The traits that placement holds are asked for without waiting for it."""

import threading
import time
from unittest import mock

from oslotest import base

from nova_isolation.cloud import placement_traits

_HELD = {'uuid-1': frozenset({'CUSTOM_ISOLATION_GUARDED'})}


class KeptTraitsTest(base.BaseTestCase):
    """A placement that hangs, fails or answers; the real one does not hang."""

    def setUp(self) -> None:
        super().setUp()
        self.now = 1000.0
        patched = mock.patch.object(placement_traits, 'of_all_nodes')
        self.ask = patched.start()
        self.addCleanup(patched.stop)

    def kept(self, patience: float = 60.0) -> placement_traits.KeptTraits:
        return placement_traits.KeptTraits(lambda: self.now, patience)

    def hang(self) -> threading.Event:
        """Let placement hang until the event is set, then answer."""
        answers = threading.Event()
        self.addCleanup(answers.set)

        def wait() -> dict[str, frozenset[str]]:
            answers.wait(60)
            return _HELD

        self.ask.side_effect = wait
        return answers

    def test_an_answer_is_kept_for_a_minute(self) -> None:
        self.ask.return_value = _HELD
        kept = self.kept()
        self.assertEqual((_HELD, ''), kept.now())
        self.now += 59
        kept.now()
        self.assertEqual(1, self.ask.call_count)
        self.now += 1
        kept.now()
        self.assertEqual(2, self.ask.call_count)

    def test_a_failure_takes_the_answer_back(self) -> None:
        self.ask.return_value = _HELD
        kept = self.kept()
        kept.now()
        self.ask.side_effect = placement_traits.PlacementUnread('it is away')
        self.now += 60
        self.assertEqual((None, 'it is away'), kept.now())

    def test_nobody_waits_for_a_placement_that_hangs(self) -> None:
        answers = self.hang()
        kept = self.kept(patience=0.01)
        began = time.monotonic()
        held, trouble = kept.now()
        self.assertLess(time.monotonic() - began, 30)
        self.assertIsNone(held)
        self.assertIn('not answered yet', trouble)
        # There is one request at a time, however long it takes.
        self.now += 1000
        held, trouble = kept.now()
        self.assertIsNone(held)
        self.assertIn('not answered in time', trouble)
        self.assertEqual(1, self.ask.call_count)
        answers.set()
        kept._asking.join(60)
        self.now = 1030.0
        self.assertEqual((_HELD, ''), kept.now())

    def test_an_old_answer_ends_when_placement_hangs(self) -> None:
        self.ask.return_value = _HELD
        kept = self.kept(patience=0.01)
        kept.now()
        kept._asking.join(60)
        self.hang()
        self.now += 60
        self.assertEqual((_HELD, ''), kept.now())
        self.now += 60
        self.assertIsNone(kept.now()[0])
