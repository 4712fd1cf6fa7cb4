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

"""Tests of nova_isolation.decision.published."""

import ast
import math
from pathlib import Path
from unittest import mock

import nova_isolation
from nova_isolation.decision import decision
from nova_isolation.decision import host_facts
from nova_isolation.decision import published
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.model import evidence
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import strategies

NOW = 1_000_000.5
STRONG = facts.dumps(strategies.STRONG)
AUDITS = 'isolation.host.audits'
_FRESH = facts.Freshness(180, 30)


def stats(document=STRONG, measured_at='1000000', mode='enforce'):
    """The stats of a compute node; None removes one."""
    result = {
        facts.STAT: document,
        facts.TIME_STAT: measured_at,
        facts.MODE_STAT: mode,
    }
    return {k: v for k, v in result.items() if v is not None}


class TestCase(base.TestCase):
    def decider(self, enforces=True, **specs):
        return published.PublishedDecision(
            requirements.parse(
                {f'isolation:{k}': v for k, v in specs.items()},
                registry.get().vocabulary,
            ),
            _FRESH,
            registry.get(),
            enforces=enforces,
        )


class PublishedTest(TestCase):
    """The decision on the three stats of a host."""

    def codes(self, stats_, now=NOW, enforces=True, **specs):
        decider = self.decider(enforces, **(specs or {'svirt': 'selinux'}))
        # The second answer comes from the cache.
        first, second = (decider.decide(stats_, now) for _ in range(2))
        self.assertEqual(first, second)
        return first.codes

    def test_accepted(self):
        self.assertEqual((), self.codes(stats()))

    def test_facts(self):
        for document, code in (
            (None, 'isolation.facts.missing'),
            ('', 'isolation.facts.missing'),
            ('{', 'isolation.facts.malformed'),
            ('{"v":1}', 'isolation.svirt.unknown'),
        ):
            self.assertEqual((code,), self.codes(stats(document)))

    def test_time(self):
        for measured_at, code in (
            (None, 'isolation.facts.stale'),
            ('nan', 'isolation.facts.stale'),
            ('999000', 'isolation.facts.stale'),
            ('1001000', 'isolation.facts.from_the_future'),
        ):
            self.assertEqual((code,), self.codes(stats(STRONG, measured_at)))
        self.assertEqual(
            ('isolation.facts.stale',), self.codes(stats(), math.nan)
        )

    def test_no_stats(self):
        for nothing in (None, {}, {'other': '1'}):
            self.assertEqual(('isolation.facts.missing',), self.codes(nothing))

    def test_mode(self):
        for mode, found in (
            ('audit', 'mode audit'),
            ('', 'mode '),
            ('Enforce', 'mode Enforce'),
            (None, 'no published mode'),
        ):
            self.assertEqual((AUDITS,), self.codes(stats(mode=mode)), mode)
            (unmet,) = (
                self.decider(svirt='any').decide(stats(mode=mode), NOW).unmet
            )
            self.assertEqual(found, unmet.found)
            # A service in audit mode uses such hosts.
            self.assertEqual(
                (), self.codes(stats(mode=mode), enforces=False), mode
            )

    def test_mode_beside_other_reasons(self):
        self.assertEqual(
            (AUDITS, 'isolation.svirt.unknown'),
            tuple(sorted(self.codes(stats('{"v":1}', mode='audit')))),
        )
        # The facts are missing, and the mode says that the driver is ours.
        self.assertEqual(
            ('isolation.facts.missing', AUDITS),
            self.codes(stats(None, mode='audit')),
        )

    def test_alike_hosts_of_another_mode(self):
        decider = self.decider(svirt='any')
        for _ in range(2):
            for mode, accepted in (('enforce', True), ('audit', False)):
                answer = decider.decide(stats(mode=mode), NOW)
                self.assertEqual(accepted, answer.accepted)

    def test_untagged(self):
        decider = self.decider()
        for given in (None, {}, stats(mode='audit'), stats('{')):
            self.assertIs(decision.ACCEPTED, decider.decide(given, NOW))

    def test_wrong_extra_specs(self):
        self.assertEqual(
            ('isolation.spec.unknown',), self.codes(stats(), svrit='any')
        )

    def test_statements(self):
        decider = self.decider(attested='true')
        self.assertTrue(decider.needs_statements)
        self.assertFalse(self.decider(svirt='any').needs_statements)
        self.assertEqual(
            (reasons.EVIDENCE_MISSING.code,),
            decider.decide(stats(), NOW).codes,
        )
        said = evidence.Evidence('{}', NOW - 5, NOW - 5, 60, 5)
        with mock.patch.object(
            host_facts, 'decide', return_value=decision.ACCEPTED
        ) as spy:
            for confirmed, age in ((None, 5), (NOW + 40, 45)):
                decider.decide(stats(), NOW, {'attested': said}, confirmed)
                given = spy.call_args.kwargs['evidence']['attested']
                if confirmed is not None:
                    # Kept: it is the same document, and still fresh.
                    self.assertEqual(1, spy.call_count)
                    continue
                self.assertEqual(age, given.age)
            # Ages of statements are counted by the confirmed clock.
            decider.decide(stats(), NOW, {'attested': said}, NOW + 100)
            self.assertEqual(2, spy.call_count)
            given = spy.call_args.kwargs['evidence']['attested']
            self.assertEqual(105, given.age)

    def test_settings_are_readable(self):
        for enforces in (True, False):
            decider = self.decider(enforces, svirt='any')
            self.assertEqual(_FRESH, decider.freshness)
            self.assertIs(enforces, decider.enforces)


class AtTest(TestCase):
    """The same decision without words, for many hosts at one moment."""

    #: What hosts publish, and what is stated about them.
    STATS = (
        None,
        {},
        stats(),
        stats('{"v":1}'),
        stats('{'),
        stats(None),
        stats(7),
        stats(['no text']),
        stats(mode='audit'),
        stats(mode=None),
        stats(None, mode=None),
        *(
            stats(measured_at=text)
            for text in (None, '999000', '1001000', 'nan', [], 1000000)
        ),
    )
    GOOD = attestation_result.dumps(
        attestation_result.AttestationResult(attestation_result.GOOD)
    )

    def statements(self):
        yield {}
        yield {'other': evidence.Evidence('{}', NOW, NOW, 60, 5)}
        for document in (self.GOOD, '{"state":"failed"}', '{'):
            for good_at in (NOW - 5, NOW - 90, NOW + 90, None, math.nan):
                yield {
                    'attested': evidence.Evidence(
                        document, good_at, NOW, 60, 5
                    )
                }

    def test_as_the_decision_with_words(self):
        accepted = 0
        for enforces in (True, False):
            for specs in (
                {},
                {'svirt': 'selinux'},
                {'attested': 'true'},
                {'attested': 'true', 'attested_max_age': '3'},
                {'attested': 'true', 'svirt': 'apparmor'},
            ):
                decider = self.decider(enforces, **specs)
                for confirmed in (None, NOW + 40, math.nan):
                    for said in self.statements():
                        # Each is asked twice, at one moment and at two.
                        for _ in range(2):
                            ask = decider.at(NOW, confirmed)
                            for one in (*self.STATS, *self.STATS):
                                words = decider.decide(
                                    one, NOW, said, confirmed
                                )
                                self.assertEqual(
                                    sorted(words.codes),
                                    sorted(ask(one, said)),
                                    (specs, one, said, confirmed),
                                )
                                accepted += not words.codes
        self.assertLess(100, accepted)

    def test_alike_hosts_are_looked_at_in_place(self):
        for specs in ({}, {'attested_max_age': '3'}):
            decider = self.decider(attested='true', **specs)
            said = evidence.Evidence(self.GOOD, NOW - 5, NOW, 60, 5)
            first = decider.at(NOW)(stats(), {'attested': said})
            self.assertEqual(bool(specs), bool(first))
            with mock.patch.object(
                decider, '_codes', side_effect=AssertionError
            ):
                ask = decider.at(NOW + 1)
                for good_at in (NOW - 5, NOW - 6):
                    another = said._replace(good_at=good_at)
                    for measured in ('1000000', '1000001'):
                        self.assertEqual(
                            first,
                            ask(
                                stats(measured_at=measured),
                                {'attested': another},
                            ),
                        )
                for one in (stats(mode='audit'), stats(measured_at='1')):
                    self.assertRaises(
                        AssertionError, ask, one, {'attested': said}
                    )


class OneReaderTest(base.TestCase):
    """Nothing else in the package touches the three stats but who writes."""

    def test_names_of_the_stats(self):
        root = Path(nova_isolation.__file__).parent
        found = set()
        for path in root.rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, 'attr', getattr(node, 'id', None))
                if (
                    isinstance(node, ast.Attribute | ast.Name)
                    and name in ('STAT', 'TIME_STAT', 'MODE_STAT')
                ) or (
                    isinstance(node, ast.Constant)
                    and node.value
                    in (facts.STAT, facts.TIME_STAT, facts.MODE_STAT)
                ):
                    found.add(str(path.relative_to(root)))
        self.assertEqual(
            {
                'decision/published.py',
                # Names them.
                'model/facts.py',
                # Write them.
                'host/measurement.py',
                'virt/base_driver.py',
            },
            found,
        )
