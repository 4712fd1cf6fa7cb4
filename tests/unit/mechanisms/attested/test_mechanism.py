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

import collections
import dataclasses
import json
import math
from unittest import mock

import hypothesis
from hypothesis import strategies as st

from nova_isolation.decision import cache
from nova_isolation.decision import host_facts
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.attested import attestation_result
from nova_isolation.mechanisms.attested import mechanism
from nova_isolation.model import evidence as evidences
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

LAUNCHED = 'ab' * 32
NEVER = 'f' * 64
#: Of binary places enough that ages come out as they went in.
NOW = fakes.NOW
ATTESTED = {'isolation:attested': 'true'}


def parse(specs):
    """The requirements."""
    return requirements.parse(specs, registry.get().vocabulary)


def stated(evidence):
    """The evidence without the time of the decision."""
    return {name: one.at(math.nan) for name, one in evidence.items()}


def _count(judge):
    """The kept reason codes -> how many keys have them."""
    return collections.Counter(judge.kept_codes.values())


def said(**more):
    """See fakes.evidence."""
    return fakes.evidence(**more)


class AttestedContractTest(contract.Contract, base.TestCase):
    mechanism_class = mechanism.AttestedMechanism
    malformed = (
        said()._replace(document='{'),
        said()._replace(document='null'),
        said()._replace(document='{"state":"good"}'),
        said(state='perfect'),
        said(pcrs=('17',)),
        said(pcrs=('x=ab',)),
        said(pcrs=('17=',)),
    )
    cases = (
        contract.Case(
            ATTESTED,
            [
                said(),
                said(age=0.0),
                said(age=120.0),
                said(age=-5.0),
                said(pcrs=(), boot=False, runtime=False),
            ],
            [
                ('attested.unknown_host', said()._replace(document='')),
                ('attested.failed', said(state='failed')),
                ('attested.pending', said(state='pending')),
                ('attested.revoked', said(state='revoked')),
                ('attested.ambiguous', said(state='ambiguous')),
                ('attested.stale', said(age=120.1)),
                ('attested.from_the_future', said(age=-5.1)),
                ('attested.pending', said(age=None)),
                ('attested.stale', said(age=math.inf)),
                ('attested.stale', said(age=math.nan)),
            ],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
        contract.Case(
            {**ATTESTED, 'isolation:attested_pcrs': '17,18'},
            [
                said(pcrs=(f'17={LAUNCHED}', f'18={LAUNCHED},{"0" * 64}')),
                said(pcrs=(f'0={NEVER}', f'17={LAUNCHED}', f'18={LAUNCHED}')),
            ],
            [
                ('attested.pcr_not_judged', said(pcrs=(f'17={LAUNCHED}',))),
                ('attested.pcr_not_judged', said(pcrs=())),
                # What nobody can understand is no word about a policy.
                ('attested.pending', said(state='pending', pcrs=())),
                (
                    'attested.never_launched',
                    said(pcrs=(f'17={NEVER}', f'18={LAUNCHED}')),
                ),
                (
                    'attested.never_launched',
                    said(pcrs=(f'17={LAUNCHED},{"F" * 40}', f'18={LAUNCHED}')),
                ),
                (
                    'attested.never_launched',
                    said(pcrs=(f'17={LAUNCHED},{"0" * 40}', f'18={LAUNCHED}')),
                ),
            ],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
        contract.Case(
            {**ATTESTED, 'isolation:attested_pcrs': '0,7'},
            [said(pcrs=(f'0={LAUNCHED}', f'7={LAUNCHED}'))],
            [
                # Before anything was measured.
                (
                    'attested.never_launched',
                    said(pcrs=(f'0={LAUNCHED}', f'7={LAUNCHED},{"0" * 64}')),
                ),
                (
                    'attested.never_launched',
                    said(pcrs=(f'0={"3".zfill(64)}', f'7={LAUNCHED}')),
                ),
            ],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
        contract.Case(
            {**ATTESTED, 'isolation:attested_max_age': '60'},
            [said(age=60.0)],
            [('attested.stale', said(age=60.1))],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
        contract.Case(
            {**ATTESTED, 'isolation:attested_boot': 'true'},
            [said(runtime=False)],
            [('attested.no_boot', said(boot=False))],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
        contract.Case(
            {**ATTESTED, 'isolation:attested_runtime': 'true'},
            [said(boot=False)],
            [('attested.no_runtime', said(runtime=False))],
            [fakes.Guest()],
            [('attested.failed', fakes.Guest())],
        ),
    )

    def test_broken_evidence(self):
        document = json.loads(said().document)
        for name in document:
            for value in (None, 1, 'x', True, [1], {}, [None]):
                broken = json.dumps({**document, name: value})
                self.only_facts_error(said()._replace(document=broken))
            rest = {n: v for n, v in document.items() if n != name}
            self.only_facts_error(said()._replace(document=json.dumps(rest)))

    def test_contract_verifying_finds_what_is_wrong(self):
        # What a verifier says may have changed since the decision.
        read = self.mechanism.read
        with mock.patch.object(
            self.mechanism,
            'read',
            lambda section: read(
                said(
                    state='failed',
                    pcrs=tuple(f'{n}={LAUNCHED}' for n in (0, 7, 17, 18)),
                )
            ),
        ):
            super().test_contract_verifying_finds_what_is_wrong()


class MessagesTest(base.TestCase):
    """They name the wanted, the found and its age."""

    def decide(self, evidence, **specs):
        return host_facts.decide(
            parse({**ATTESTED, **specs}),
            '{"v":1}',
            age=0.0,
            freshness=base.FRESH,
            mechanisms=registry.get(),
            evidence={'attested': evidence},
        )

    def test_failed(self):
        self.assertEqual(
            'isolation:attested: wanted true, PCR 17 = abababababab..., found '
            'verdict: invalid quote (state 9) 2 s ago '
            '[isolation.attested.failed]',
            str(
                self.decide(
                    said(state='failed', found='invalid quote (state 9)'),
                    **{'isolation:attested_pcrs': '17'},
                )
            ),
        )

    def test_pcr_that_any_program_can_set(self):
        pcrs = (f'16={LAUNCHED}', f'17={LAUNCHED}', f'23={LAUNCHED}')
        for number in (16, 23):
            answer = self.decide(
                said(pcrs=pcrs), **{'isolation:attested_pcrs': f'17,{number}'}
            )
            self.assertEqual(
                ('isolation.attested.pcr_resettable',), answer.codes
            )
            self.assertIn(f'PCR {number}', str(answer))

    def test_value_that_is_refused_is_told(self):
        answer = self.decide(
            said(pcrs=(f'17={LAUNCHED},{NEVER}',)),
            **{'isolation:attested_pcrs': '17'},
        )
        self.assertIn('approves ffffffffffff...', str(answer))

    def test_stale(self):
        self.assertEqual(
            'isolation:attested: wanted a good quote of the last 120 s, found '
            'the last good quote 120.4 s ago (https://v: refused) '
            '[isolation.attested.stale]',
            str(
                self.decide(
                    said(age=120.4)._replace(trouble='https://v: refused')
                )
            ),
        )

    def test_nobody_is_asked(self):
        answer = host_facts.decide(
            parse(ATTESTED),
            '{"v":1}',
            age=0.0,
            freshness=base.FRESH,
            mechanisms=registry.get(),
        )
        self.assertEqual(('isolation.facts.no_evidence',), answer.codes)

    def test_the_host_cannot_attest_itself(self):
        answer = host_facts.decide(
            parse(ATTESTED),
            '{"v":1,"attested":' + said().document + '}',
            age=0.0,
            freshness=base.FRESH,
            mechanisms=registry.get(),
        )
        self.assertEqual(('isolation.facts.no_evidence',), answer.codes)

    def test_never_laxer_than_the_option(self):
        answer = self.decide(
            said(age=121.0), **{'isolation:attested_max_age': '3600'}
        )
        self.assertEqual(('isolation.attested.stale',), answer.codes)


_AGES = st.one_of(
    st.none(),
    st.floats(-20, 200),
    st.sampled_from(
        [-5.0, -5.5, 0.0, 59.9, 60.0, 60.1, 120.0, 120.5, math.inf]
    ),
)


class JudgeTest(base.TestCase):
    """What is kept is what would be decided anew."""

    FLAVORS = (
        ATTESTED,
        {**ATTESTED, 'isolation:attested_max_age': '60'},
        {**ATTESTED, 'isolation:attested_pcrs': '17'},
        {
            **ATTESTED,
            'isolation:attested_boot': 'true',
            'isolation:attested_max_age': '600',
        },
    )

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(
        st.sampled_from(FLAVORS),
        st.lists(
            st.one_of(
                st.none(),
                st.builds(
                    fakes.evidence,
                    state=st.sampled_from(sorted(attestation_result.STATES)),
                    age=_AGES,
                    told=st.one_of(st.none(), st.floats(0, 9)),
                    pcrs=st.sampled_from(
                        [(), (f'17={LAUNCHED}',), (f'17={NEVER}',)]
                    ),
                    boot=st.booleans(),
                ),
            ),
            max_size=12,
        ),
    )
    def test_as_the_decision(self, flavor, hosts):
        wanted = parse(flavor)
        judge = cache.DecisionCache(wanted, base.FRESH, registry.get())
        self.assertTrue(judge.asks)
        for one in hosts:
            evidence = {} if one is None else {'attested': one}
            anew = host_facts.decide(
                wanted,
                '{"v":1}',
                age=0.0,
                freshness=base.FRESH,
                mechanisms=registry.get(),
                evidence=evidence,
            )
            self.assertEqual(
                anew.codes, judge.codes('{"v":1}', 0.0, stated(evidence), NOW)
            )
            kept = judge.decide('{"v":1}', 0.0, stated(evidence), NOW)
            self.assertEqual(anew.accepted, kept.accepted)
            self.assertEqual(anew.unmet, kept.unmet)

    def test_once_for_alike_hosts(self):
        judge = cache.DecisionCache(
            parse(ATTESTED), base.FRESH, registry.get()
        )
        for age in range(100):
            judge.decide(
                '{"v":1}',
                0.0,
                stated({'attested': said(age=float(age))}),
                NOW,
            )
        self.assertEqual({(): 1}, _count(judge))

    def test_codes_once_for_each_reason(self):
        """Thousands of hosts are too old, each by its own age."""
        judge = cache.DecisionCache(
            parse({**ATTESTED, 'isolation:attested_max_age': '60'}),
            base.FRESH,
            registry.get(),
        )
        for age in range(61, 161):
            statements = stated({'attested': said(age=float(age))})
            self.assertEqual(
                ('isolation.attested.stale',),
                judge.codes('{"v":1}', 0.0, statements, NOW),
            )
            answer = judge.decide('{"v":1}', 0.0, statements, NOW)
            self.assertIn(f'{age}.0 s ago', str(answer))
        for age in range(61):
            statements = stated({'attested': said(age=float(age))})
            self.assertEqual((), judge.codes('{"v":1}', 0.0, statements, NOW))
        # Beyond the limit of the flavor, and beyond that of the option.
        self.assertEqual(
            {(): 1, ('isolation.attested.stale',): 2}, _count(judge)
        )

    def test_what_is_accepted_though_too_old_is_decided_each_time(self):
        """By a mechanism that has a limit of its own."""
        judge = cache.DecisionCache(
            parse(ATTESTED), base.FRESH, registry.get()
        )
        limit = said().max_age + 100.0

        def own(self, requirement, facts):
            if not facts.evidence.age <= limit:
                yield from plain(self, requirement, facts)

        plain = mechanism.AttestedMechanism.judge
        with mock.patch.object(mechanism.AttestedMechanism, 'judge', own):
            for age, codes in (
                (limit - 50.0, ()),
                (limit + 50.0, ('isolation.attested.stale',)),
            ):
                statements = stated({'attested': said(age=age)})
                self.assertEqual(
                    codes, judge.codes('{"v":1}', 0.0, statements, NOW)
                )

    def test_refusals_are_of_one_moment(self):
        judge = cache.DecisionCache(
            parse(ATTESTED), base.FRESH, registry.get()
        )
        lacking = stated({'attested': said(state='failed', told=2.0)})
        for later in range(5):
            answer = judge.decide('{"v":1}', 0.0, lacking, NOW + later)
            self.assertIn(f' {2 + later} s ago', str(answer))
            again = judge.decide('{"v":1}', 0.0, dict(lacking), NOW + later)
            self.assertEqual(answer, again)
        self.assertEqual({}, judge.kept)
        # Whose verdict it is makes no other one.
        other = {
            'attested': lacking['attested']._replace(agent='b', verifier='w')
        }
        self.assertEqual(answer, judge.decide('{"v":1}', 0.0, other, NOW + 4))

    def test_asks_nobody_for_other_flavors(self):
        judge = cache.DecisionCache(
            parse({'isolation:hypervisor': 'kvm'}),
            base.FRESH,
            registry.get(),
        )
        self.assertFalse(judge.asks)

    def test_a_mechanism_that_cannot_tell_an_age(self):
        mechanism = registry.get().loaded['attested']
        with mock.patch.object(mechanism, 'max_age', side_effect=KeyError):
            judge = cache.DecisionCache(
                parse(ATTESTED), base.FRESH, registry.get()
            )
            answer = judge.decide(
                '{"v":1}', 0.0, stated({'attested': said()}), NOW
            )
        self.assertEqual(('isolation.mechanism.failed',), answer.codes)


class EvidenceTest(base.TestCase):
    def test_fresh(self):
        one = evidences.Evidence('', None, None, 120.0, 5.0, now=1000.0)
        for age, limit, expected in (
            (0, math.inf, True),
            (120, math.inf, True),
            (120.1, math.inf, False),
            (60, 60, True),
            (60.1, 60, False),
            (-5, 60, True),
            (-5.1, 60, False),
            (None, 60, False),
            (0, -math.inf, False),
            (math.nan, 60, False),
        ):
            found = one._replace(good_at=None if age is None else 1000 - age)
            self.assertEqual(expected, found.is_fresh(limit), age)
            self.assertEqual(expected, found.is_fresh_at(1000.0, limit), age)
            # Without a time nothing is fresh.
            self.assertFalse(found.at(math.nan).is_fresh(limit), age)

    def test_ages(self):
        one = evidences.Evidence('', 7.0, 8.0, 120.0, 5.0)
        self.assertTrue(math.isnan(one.age) and math.isnan(one.report_age))
        found = one.at(10.0)
        self.assertEqual((3.0, 2.0), (found.age, found.report_age))
        never = found._replace(good_at=None, reported_at=None)
        self.assertEqual((None, None), (never.age, never.report_age))


class StandingTest(base.TestCase):
    def test_round_trip(self):
        one = attestation_result.AttestationResult(
            'good', 'x', ('17=ab,cd', '18=ef'), True
        )
        self.assertEqual(
            one, attestation_result.loads(attestation_result.dumps(one))
        )
        self.assertEqual({17: ('ab', 'cd'), 18: ('ef',)}, one.approved())

    def test_equal_ones_have_equal_documents(self):
        one = attestation_result.AttestationResult('good')
        self.assertEqual(
            attestation_result.dumps(one),
            attestation_result.dumps(dataclasses.replace(one)),
        )
