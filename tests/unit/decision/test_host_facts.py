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

"""Tests of nova_isolation.decision.host_facts."""

import json
import math
from unittest import mock

import hypothesis
from hypothesis import strategies as st

from nova_isolation.decision import decision
from nova_isolation.decision import host_facts
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.svirt import mechanism
from nova_isolation.mechanisms.svirt import reason_codes as svirt_reasons
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit import strategies
from tests.unit.mechanisms import examples

FRESH = facts.Freshness(180, 30)
STRONG = facts.dumps(
    {**strategies.STRONG, 'certification': {'LSPP': ['selinux_enforcing']}}
)


def parse(specs, mechanisms=None):
    """The requirements of extra specs."""
    known = (mechanisms or registry.get()).vocabulary
    return requirements.parse(specs, known)


def decide(specs, document=STRONG, age=1.0, mechanisms=None, **more):
    """Decide with the installed mechanisms."""
    mechanisms = mechanisms or registry.get()
    return host_facts.decide(
        parse(specs, mechanisms),
        document,
        age=age,
        freshness=FRESH,
        mechanisms=mechanisms,
        **more,
    )


def decide_sections(specs, sections):
    """As decide, without the limit of the size, which has its own tests."""
    with mock.patch.object(facts, 'MAX_BYTES', 1 << 20):
        return decide(specs, facts.dumps(sections))


SVIRT = {'isolation:svirt': 'selinux'}
QUOTED = {'isolation:quote': 'boot'}
TRUSTED = examples.Quote({'trusted': ['boot', 'kernel']})
SEVERAL = {**SVIRT, 'isolation:qemu_sandbox': 'true'}

#: Documents that are none -> the code.
BAD = (
    (None, 'facts.missing'),
    ('', 'facts.missing'),
    ('{', 'facts.malformed'),
    ('[]', 'facts.malformed'),
    ('null', 'facts.malformed'),
    ('{}', 'facts.malformed'),
    (STRONG.encode(), 'facts.malformed'),
    (7, 'facts.malformed'),
    ({'v': 1}, 'facts.malformed'),
    (STRONG + ' ' * 1024, 'facts.malformed'),
    (STRONG.replace('"v":1', '"v":NaN'), 'facts.malformed'),
    (STRONG.replace('"v":1', '"v":1,"v":1'), 'facts.malformed'),
    (STRONG.replace('"v":1', '"v":2'), 'facts.newer_schema'),
)


class DecideTest(base.TestCase):
    """The one place that decides."""

    def refused(self, codes, answer, mechanisms=None):
        self.assertFalse(answer.accepted)
        self.assertCodes(
            codes, answer.unmet, mechanisms and mechanisms.reasons
        )
        self.assertEqual(
            tuple(sorted(f'isolation.{code}' for code in codes)), answer.codes
        )
        self.assertNotEqual('accepted', str(answer))

    def test_accepted(self):
        answer = decide(SEVERAL)
        self.assertEqual(decision.ACCEPTED, answer)
        self.assertTrue(answer.accepted)
        self.assertEqual('accepted', str(answer))
        self.assertEqual((), answer.codes)

    def test_untagged_is_accepted_whatever_the_host_says(self):
        for document, _ in BAD:
            for age in (None, -1e9, 0, 1e9, math.nan):
                answer = decide({'hw:cpu_policy': 'x'}, document, age)
                self.assertTrue(answer.accepted)

    def test_bad_documents(self):
        for document, code in BAD:
            self.refused([code], decide(SEVERAL, document))
            # Once for the host, not for each requirement.
            self.assertEqual(1, len(decide(SEVERAL, document).unmet))

    def test_stale(self):
        for age in (180.001, 1e9, math.inf, None, math.nan):
            self.refused(['facts.stale'], decide(SEVERAL, age=age))

    def test_from_the_future(self):
        for age in (-30.001, -1e9, -math.inf):
            self.refused(['facts.from_the_future'], decide(SEVERAL, age=age))

    def test_fresh(self):
        for age in (-30, -1, 0, 0.5, 180):
            self.assertTrue(decide(SEVERAL, age=age).accepted, age)

    def test_stale_facts_do_not_hide_what_they_lack(self):
        answer = decide({'isolation:hypervisor': 'xen'}, age=1000)
        self.refused(['facts.stale', 'hypervisor.other'], answer)

    def test_problems_of_the_flavor_refuse_everywhere(self):
        for specs, code in (
            ({'isolation:nonsense': '1'}, 'spec.unknown'),
            ({' isolation:svirt': 'selinux'}, 'spec.unknown'),
            ({'isolation:memory_label': 'x'}, 'spec.reserved'),
            ({'isolation:svirt': ''}, 'spec.invalid_value'),
            ({'isolation:svirt_type': 'svirt_t'}, 'spec.conflict'),
            ({**SVIRT, 'isolation:hypervisor': 'xen'}, None),
        ):
            answer = decide(specs)
            self.assertFalse(answer.accepted)
            if code:
                self.refused([code], answer)

    def test_all_that_is_unmet_is_told(self):
        answer = decide(
            {
                'isolation:hypervisor': 'xen,qemu',
                'isolation:certification': 'LSPP,EAL4',
                'isolation:qemu_absent': 'floppy',
            },
            STRONG.replace('"present":"0"', '"present":"1"'),
        )
        self.refused(
            [
                'hypervisor.other',
                'certification.undeclared',
                'certification.precondition',
                'qemu.component_present',
            ],
            answer,
        )

    def test_unknown_sections(self):
        for specs, code in (
            (SVIRT, 'svirt.unknown'),
            ({'isolation:qemu_sandbox': 'true'}, 'qemu.unknown'),
            ({'isolation:hypervisor': 'kvm'}, 'hypervisor.unknown'),
            ({'isolation:certification': 'CAPP'}, 'certification.unknown'),
        ):
            name = code.split('.')[0]
            for document in ('{"v":1}', f'{{"v":1,"{name}":null}}'):
                self.refused([code], decide(specs, document))

    def test_malformed_section_spoils_only_what_needs_it(self):
        document = facts.dumps({**strategies.STRONG, 'svirt': {'models': 1}})
        self.refused(['facts.malformed'], decide(SVIRT, document))
        self.assertTrue(
            decide({'isolation:hypervisor': 'kvm'}, document).accepted
        )

    def test_sections_of_others_do_no_harm(self):
        document = facts.dumps({**strategies.STRONG, 'else': [1]})
        self.assertTrue(decide(SEVERAL, document).accepted)

    def test_mechanism_that_failed_to_load(self):
        classes = examples.built_in_classes()
        broken = registry.build(
            {n: c for n, c in classes.items() if n != 'svirt'},
            {'svirt': 'ImportError: no'},
        )
        for document in (STRONG, '{"v":1}'):
            self.refused(
                ['mechanism.unavailable'],
                decide(SVIRT, document, mechanisms=broken),
            )
        self.assertTrue(
            decide({'isolation:hypervisor': 'kvm'}, mechanisms=broken).accepted
        )

    def test_mechanism_without_an_entry_point(self):
        broken = registry.build({})
        rows = registry.get().vocabulary.rows
        self.assertTrue(rows)
        for spec in rows.values():
            specs = {spec.key: spec.example, **dict(spec.requires)}
            wanted = requirements.parse(specs, broken.vocabulary)
            answer = host_facts.decide(
                wanted,
                STRONG,
                age=0,
                freshness=FRESH,
                mechanisms=broken,
            )
            self.refused(['mechanism.unavailable'], answer)
            self.assertEqual(set(specs), {u.key for u in answer.unmet})
            # Also where only the service that decides lacks the mechanism.
            self.refused(
                ['mechanism.unavailable'], decide(specs, mechanisms=broken)
            )

    def test_mechanism_that_raises(self):
        for method in ('judge', 'read', 'facts_of'):
            for error in (
                RuntimeError('x'), KeyError('x'), AssertionError(),
                RecursionError(), OSError('x'), StopIteration(),
                facts.FactsError(None, 'x'),
            ):  # fmt: skip
                with mock.patch.object(
                    mechanism.SvirtMechanism, method, side_effect=error
                ):
                    answer = decide(SEVERAL)
                self.refused(['mechanism.failed'], answer)

    def test_mechanism_that_raises_half_way(self):
        def judge(self, requirement, facts):
            yield requirement.unmet(svirt_reasons.LABEL, 'first')
            raise RuntimeError('then')

        with mock.patch.object(mechanism.SvirtMechanism, 'judge', judge):
            self.refused(['mechanism.failed'], decide(SVIRT))

    def test_mechanism_that_answers_nonsense(self):
        for value in (None, True, 7, ['no'], [None], [{}], [[]]):
            with mock.patch.object(
                mechanism.SvirtMechanism, 'judge', return_value=value
            ):
                answer = decide(SVIRT)
            self.refused(['mechanism.failed'], answer)

    def test_malformed_with_its_own_reason(self):
        error = facts.FactsError(svirt_reasons.UNKNOWN, 'found')
        with mock.patch.object(
            mechanism.SvirtMechanism, 'read', side_effect=error
        ):
            self.refused(['svirt.unknown'], decide(SVIRT))

    def test_pure(self):
        wanted = parse(SEVERAL)
        with (
            mock.patch('builtins.open', side_effect=AssertionError),
            mock.patch('time.time', side_effect=AssertionError),
        ):
            answer = host_facts.decide(
                wanted,
                STRONG,
                age=0,
                freshness=FRESH,
                mechanisms=registry.get(),
            )
        self.assertTrue(answer.accepted)


class EvidenceTest(base.TestCase):
    """A mechanism that does not take the host's word."""

    def setUp(self):
        super().setUp()
        self.mechanisms = examples.all_mechanisms()

    def codes(self, document, evidence):
        answer = decide(
            QUOTED,
            document,
            mechanisms=self.mechanisms,
            evidence=evidence,
        )
        self.assertHelpful(answer.unmet, self.mechanisms.reasons)
        return answer.codes

    def test_passes_with_evidence(self):
        self.assertEqual((), self.codes('{"v":1}', {'quote': TRUSTED}))

    def test_refused_without(self):
        for evidence in ({}, {'quote': None}, {'other': TRUSTED}):
            self.assertEqual(
                ('isolation.facts.no_evidence',),
                self.codes('{"v":1}', evidence),
            )

    def test_the_word_of_the_host_does_not_count(self):
        document = facts.dumps({'quote': TRUSTED.document})
        self.assertEqual(
            ('isolation.facts.no_evidence',), self.codes(document, {})
        )
        self.assertEqual(
            ('isolation.quote.untrusted',),
            self.codes(document, {'quote': examples.Quote({'trusted': []})}),
        )

    def test_malformed_evidence(self):
        for evidence in (
            1, 'x', [], {}, TRUSTED.document,
            examples.Quote({'trusted': 'boot'}),
        ):  # fmt: skip
            self.assertEqual(
                ('isolation.facts.malformed',),
                self.codes('{"v":1}', {'quote': evidence}),
            )

    def test_evidence_does_not_replace_the_facts_of_the_host(self):
        answer = decide(
            {'isolation:hypervisor': 'kvm'},
            '{"v":1}',
            mechanisms=self.mechanisms,
            evidence={'hypervisor': {'type': 'kvm'}},
        )
        self.assertEqual(('isolation.hypervisor.unknown',), answer.codes)


def _document(value):
    return json.dumps({'v': 1, 'svirt': value, 'qemu': value})


class PropertiesTest(base.TestCase):
    """What holds for all flavors and all hosts."""

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        strategies.extra_specs, strategies.extra_specs, strategies.sections
    )
    def test_adding_a_requirement_never_widens(self, more, fewer, sections):
        both = {**more, **fewer}
        if decide_sections(both, sections).accepted:
            self.assertTrue(decide_sections(fewer, sections).accepted)

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(st.data(), strategies.extra_specs, strategies.sections)
    def test_leaving_one_out_never_narrows(self, data, specs, sections):
        hypothesis.assume(specs)
        key = data.draw(st.sampled_from(sorted(specs)))
        fewer = {k: v for k, v in specs.items() if k != key}
        # Without its model a type is a contradiction.
        hypothesis.assume(not parse(fewer).problems)
        if decide_sections(specs, sections).accepted:
            self.assertTrue(decide_sections(fewer, sections).accepted)

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(st.data(), strategies.extra_specs, strategies.sections)
    def test_adding_a_word_never_widens(self, data, specs, sections):
        key = data.draw(st.sampled_from(strategies.ALL_OF))
        row = registry.get().vocabulary.rows[key]
        words = row.values or strategies.CERTIFICATIONS
        word = data.draw(st.sampled_from(words))
        more = {**specs, key: ','.join(filter(None, (specs.get(key), word)))}
        if decide_sections(more, sections).accepted:
            self.assertTrue(decide_sections(specs, sections).accepted)

    @hypothesis.settings(max_examples=300)
    @hypothesis.given(st.data(), strategies.extra_specs, strategies.sections)
    def test_losing_facts_never_accepts(self, data, specs, sections):
        hypothesis.assume(specs)
        before = decide_sections(specs, sections)
        for _ in range(3):
            less = data.draw(strategies.forget(sections))
            after = decide_sections(specs, less)
            if after.accepted:
                self.assertTrue(before.accepted, (sections, less))
            sections = less
            # One that cannot be read is refused whole; when what was wrong
            # with it is lost too, it can be read again.
            if all(
                u.code != reasons.FACTS_MALFORMED.code for u in after.unmet
            ):
                before = after

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(strategies.extra_specs, strategies.sections)
    def test_required_traits_are_earned(self, specs, sections):
        mechanisms = registry.get()
        for item in parse(specs).items:
            mechanism = mechanisms.loaded[item.mechanism]
            section = sections.get(item.mechanism)
            if section is None:
                continue
            read = mechanism.read(section)
            if not list(mechanism.judge(item, read)):
                self.assertLessEqual(
                    mechanism.required_traits(item), mechanism.traits(read)
                )

    @hypothesis.given(
        st.dictionaries(
            st.text().map('isolation:{}'.format)
            | st.sampled_from(sorted(registry.get().vocabulary.rows)),
            st.text() | st.sampled_from(('kvm', 'selinux', 'true', 'pie')),
            min_size=1,
        ),
        st.text() | strategies.json_values.map(_document),
        st.none() | st.floats(),
    )
    def test_anything_is_decided(self, specs, document, age):
        answer = decide(specs, document, age)
        self.assertHelpful(answer.unmet)

    @hypothesis.given(
        st.sampled_from(sorted(strategies.STRONG)), strategies.json_values
    )
    def test_any_section_is_judged(self, name, value):
        for spec in registry.get().loaded[name].extra_specs:
            specs = {spec.key: spec.example, **dict(spec.requires)}
            answer = decide_sections(specs, {name: value})
            self.assertHelpful(answer.unmet)
            self.assertNotIn('isolation.mechanism.failed', answer.codes)

    def test_the_strong_host_meets_everything(self):
        # The properties would say little if no host were ever accepted.
        specs = {
            'isolation:hypervisor': 'kvm,xen',
            'isolation:certification': ','.join(strategies.CERTIFICATIONS),
            'isolation:svirt': 'selinux',
            'isolation:svirt_type': 'own_t',
            'isolation:qemu_hardening': ','.join(strategies.HARDENING),
            'isolation:qemu_sandbox': 'true',
            'isolation:qemu_absent': 'floppy,sga',
        }
        self.assertEqual(
            decision.ACCEPTED, decide_sections(specs, strategies.STRONG)
        )


class ViolatedTest(base.TestCase):
    """A running guest of the host is not confined by a mechanism."""

    def decide(self, specs, by=''):
        sections = {**facts.loads(STRONG).sections}
        sections['svirt'] = facts.violated(by)
        return decide(specs, facts.dumps(sections))

    def test_its_own_requirements_are_unmet(self):
        decided = self.decide(SEVERAL)
        self.assertEqual(('isolation.host.violated',), decided.codes)
        (unmet,) = decided.unmet
        self.assertEqual('isolation:svirt', unmet.key)

    def test_others_are_met(self):
        self.assertTrue(
            self.decide({'isolation:qemu_sandbox': 'true'}).accepted
        )
        self.assertTrue(self.decide({}).accepted)

    def test_who(self):
        (unmet,) = self.decide(SVIRT, 'guest a: code').unmet
        self.assertEqual('guest a: code', unmet.found)

    def test_evidence_of_a_third_party_does_not_help(self):
        mechanisms = examples.all_mechanisms()
        for section, accepted in ((None, True), (facts.violated(), False)):
            decided = decide(
                QUOTED,
                facts.dumps({'quote': section}),
                mechanisms=mechanisms,
                evidence={'quote': TRUSTED},
            )
            self.assertEqual(accepted, decided.accepted)
