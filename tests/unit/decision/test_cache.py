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

"""Tests of nova_isolation.decision.cache."""

import math
from unittest import mock

from nova_isolation.decision import cache
from nova_isolation.decision import host_facts
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit.decision import test_host_facts

FRESH = test_host_facts.FRESH
STRONG = test_host_facts.STRONG
SEVERAL = test_host_facts.SEVERAL
BAD = test_host_facts.BAD
parse = test_host_facts.parse
decide = test_host_facts.decide


class DecisionCacheTest(base.TestCase):
    """Decides once for alike hosts."""

    def setUp(self):
        super().setUp()
        self.cache = cache.DecisionCache(parse(SEVERAL), FRESH, registry.get())
        patcher = mock.patch.object(
            host_facts, 'decide', side_effect=host_facts.decide
        )
        self.addCleanup(patcher.stop)
        self.spy = patcher.start()

    def test_once_for_each_document(self):
        weak = facts.dumps({})
        for _ in range(10):
            self.assertTrue(self.cache.decide(STRONG, 5).accepted)
            self.assertFalse(self.cache.decide(weak, 7).accepted)
        self.assertEqual(2, self.spy.call_count)

    def test_same_answers_as_decide(self):
        for document in (STRONG, *(d for d, _ in BAD)):
            for age in (None, -31, -30, 0, 180, 181, math.nan):
                for _ in range(2):
                    self.assertEqual(
                        decide(SEVERAL, document, age),
                        self.cache.decide(document, age),
                    )

    def test_same_answers_for_extra_specs_with_problems(self):
        for specs in (
            {'isolation:svrit': 'selinux'},
            {**SEVERAL, 'isolation:qemu_absent': 'nonesuch'},
            {**SEVERAL, 'isolation_svirt': 'any', 'isolation:x': '1'},
        ):
            judge = cache.DecisionCache(parse(specs), FRESH, registry.get())
            for document in (STRONG, facts.dumps({}), *(d for d, _ in BAD)):
                for age in (None, -31, 0, 181, 900, math.nan):
                    self.assertEqual(
                        decide(specs, document, age),
                        judge.decide(document, age),
                    )

    def test_stale_hosts_are_decided_about_once(self):
        for age in range(200, 300):
            self.assertFalse(self.cache.decide(STRONG, age).accepted)
        # One for the codes, one for the words.
        self.assertEqual(2, self.spy.call_count)

    def test_never_across_staleness(self):
        for age, accepted in (
            (1, True), (500, False), (1, True), (None, False), (-99, False),
            (180, True), (math.nan, False), (0, True),
        ):  # fmt: skip
            answer = self.cache.decide(STRONG, age)
            self.assertEqual(accepted, answer.accepted, age)

    def test_stale_first(self):
        self.assertFalse(self.cache.decide(STRONG, 500).accepted)
        self.assertTrue(self.cache.decide(STRONG, 1).accepted)

    def test_what_is_no_text_is_not_kept(self):
        for document in (None, 7, [], {}, b'x'):
            self.assertFalse(self.cache.decide(document, 1).accepted)
        self.assertEqual({}, self.cache.kept)

    def test_bounded(self):
        with mock.patch.object(cache.DecisionCache, 'MAX_KEPT', 3):
            for number in range(10):
                self.cache.decide(str(number), 1)
                self.assertLessEqual(len(self.cache.kept), 3)

    def test_untagged(self):
        judge = cache.DecisionCache(
            requirements.NOTHING, FRESH, registry.get()
        )
        for document, age in ((None, None), ('{', 0), (STRONG, 1e9)):
            self.assertTrue(judge.decide(document, age).accepted)
