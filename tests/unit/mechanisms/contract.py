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

"""The contract of nova_isolation.mechanisms.base.Mechanism, as tests.

Every mechanism runs all of them: subclass :class:`Contract` beside TestCase
and say what its facts and guests look like.
"""

import copy
import dataclasses
import json
import re
import typing

import hypothesis
from lxml import etree

from nova_isolation.decision import domain_definition
from nova_isolation.decision import host_facts
from nova_isolation.mechanisms import base
from nova_isolation.model import facts
from nova_isolation.model import requirements
from tests.unit import base as unit
from tests.unit import fakes
from tests.unit import strategies
from tests.unit.mechanisms import examples

DOMAIN = """<domain type='kvm'>
  <uuid>f4f9ecaa-4b5a-4b56-8c5e-5a1e0c0a0001</uuid>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
  </devices>
  <seclabel type='dynamic' model='dac' relabel='yes'/>
</domain>"""

ERRORS = (
    OSError('no'),
    FileNotFoundError('no'),
    PermissionError('no'),
    ValueError('no'),
)


@dataclasses.dataclass
class Case:
    """One way to ask for a requirement.

    :ivar specs: the extra specs
    :ivar good: hosts, or evidence, that meet them
    :ivar bad: (code, host or evidence) that do not
    :ivar guests: started guests as wanted, on the first of ``good``
    :ivar wrong: (code, guest) that are not
    """

    specs: dict[str, str]
    good: list[typing.Any]
    bad: list[tuple[str, typing.Any]]
    guests: list[typing.Any]
    wrong: list[tuple[str, typing.Any]]


class Contract:
    """What holds for every mechanism.

    :cvar NAME: of the mechanism
    :cvar CASES: at least one for each extra spec
    :cvar MALFORMED: sections that cannot be understood, beside the usual
    """

    NAME: str
    CASES: tuple[Case, ...]
    MALFORMED: tuple[typing.Any, ...] = ()

    def setUp(self):
        super().setUp()
        self.mechanisms = examples.all_mechanisms()
        self.mechanism = self.mechanisms.loaded[self.NAME]

    def wanted(self, case):
        """The requirements of a case, which are without problems."""
        result = requirements.parse(case.specs, self.mechanisms.vocabulary)
        self.assertEqual((), result.problems)
        self.assertTrue(result.of(self.NAME))
        return result

    @property
    def third_party(self):
        """Whether evidence stands in the place of hosts."""
        return self.mechanism.source is base.Source.THIRD_PARTY

    def section(self, host):
        """What is measured of a host; evidence is as it is."""
        return host if self.third_party else self.mechanism.measure(host)

    def facts(self, host):
        """The typed facts, over the wire; evidence never is on it."""
        if self.third_party:
            return self.mechanism.read(copy.deepcopy(host))
        text = json.dumps(self.section(host), allow_nan=False)
        return self.mechanism.read(json.loads(text))

    def hosts(self):
        """All hosts of the cases."""
        for case in self.CASES:
            yield from case.good
            for _, host in case.bad:
                yield host

    def judge(self, case, read):
        """All that is unmet of a case."""
        return [
            unmet
            for item in self.wanted(case).of(self.NAME)
            for unmet in self.mechanism.judge(item, read)
        ]

    def decide(self, case, section):
        """The decision about a host with this section alone."""
        sections = {} if self.third_party else {self.NAME: section}
        evidence = {self.NAME: section} if self.third_party else {}
        return host_facts.decide(
            dataclasses.replace(
                self.wanted(case), items=self.wanted(case).of(self.NAME)
            ),
            facts.dumps(sections),
            age=0,
            freshness=unit.FRESH,
            mechanisms=self.mechanisms,
            evidence=evidence,
        )

    def test_kept_by_the_registry(self):
        self.assertNotIn(self.NAME, self.mechanisms.failed)
        self.assertEqual(self.NAME, self.mechanism.name)
        self.assertIsInstance(self.mechanism, base.Mechanism)

    def test_owns_its_extra_specs(self):
        self.assertTrue(self.mechanism.extra_specs)
        for spec in self.mechanism.extra_specs:
            self.assertEqual(self.NAME, spec.mechanism)
            self.assertEqual(spec, self.mechanisms.vocabulary.rows[spec.key])

    def test_every_requirement_has_cases(self):
        asked = {key for case in self.CASES for key in case.specs}
        for spec in self.mechanism.extra_specs:
            self.assertIn(spec.key, asked)
        for case in self.CASES:
            for part in (case.good, case.bad, case.guests, case.wrong):
                self.assertTrue(part, case.specs)

    def test_every_word_is_asked_for(self):
        for spec in self.mechanism.extra_specs:
            asked = {
                word
                for case in self.CASES
                for word in case.specs.get(spec.key, '').split(',')
            }
            self.assertLessEqual(set(spec.values), asked)

    def test_reading_what_was_measured(self):
        for host in self.hosts():
            section = self.section(host)
            direct = self.mechanism.read(copy.deepcopy(section))
            self.assertEqual(direct, self.facts(host))
            self.assertEqual(section, self.section(host))

    def test_sections_are_small(self):
        for host in self.hosts():
            text = json.dumps(self.section(host), separators=(',', ':'))
            self.assertLess(len(text), 512)

    def test_malformed_sections(self):
        for section in (
            0, 1, 1.5, True, '', 'x', [], ['x'], [{}], {'x': 1}, {'x': None},
            {'x': {}}, {'': ''}, *self.MALFORMED,
        ):  # fmt: skip
            error = self.assertRaises(
                facts.FactsError, self.mechanism.read, section
            )
            self.assertHelpful(
                [
                    self.wanted(self.CASES[0])
                    .of(self.NAME)[0]
                    .unmet(error.reason, error.found)
                ],
                self.mechanisms.reasons,
            )
            self.assertFalse(self.decide(self.CASES[0], section).accepted)

    def test_broken_sections(self):
        for case in self.CASES:
            section = self.section(case.good[0])
            for name in section:
                for value in (None, 1, 'x', True, [1], {}, [None]):
                    self._only_facts_error({**section, name: value})
                self._only_facts_error(
                    {n: v for n, v in section.items() if n != name}
                )

    def test_any_section(self):
        hypothesis.given(strategies.json_values)(self._only_facts_error)()

    def _only_facts_error(self, section):
        try:
            read = self.mechanism.read(section)
        except facts.FactsError:
            return
        for case in self.CASES:
            self.judge(case, read)
        self.mechanism.traits(read)

    def test_passing_and_refusing(self):
        for case in self.CASES:
            for host in case.good:
                self.assertEqual([], self.judge(case, self.facts(host)))
            for code, host in case.bad:
                unmet = self.judge(case, self.facts(host))
                self.assertCodes([code], unmet, self.mechanisms.reasons)
                for item in unmet:
                    self.assertIn(item.key, case.specs)

    def test_through_the_decision(self):
        for case in self.CASES:
            for host in case.good:
                answer = self.decide(case, self.section(host))
                self.assertTrue(answer.accepted, answer)
            for code, host in case.bad:
                answer = self.decide(case, self.section(host))
                self.assertEqual((f'isolation.{code}',), answer.codes)

    def test_unknown_meets_nothing(self):
        self.assertIn(self.mechanism.unknown().code, self.mechanisms.reasons)
        for case in self.CASES:
            answer = self.decide(case, None)
            self.assertEqual((self.mechanism.unknown().code,), answer.codes)
            self.assertHelpful(answer.unmet, self.mechanisms.reasons)

    def test_hosts_that_cannot_be_measured(self):
        if self.third_party:
            return
        for error in ERRORS:
            host = fakes.BrokenHost(error)
            try:
                section = self.mechanism.measure(host)
            except (OSError, ValueError):
                continue
            for case in self.CASES:
                self.assertFalse(self.decide(case, section).accepted)

    def test_traits_are_valid(self):
        for host in self.hosts():
            for name in self.mechanism.traits(self.facts(host)):
                self.assertTrue(re.fullmatch('CUSTOM_[A-Z0-9_]+', name), name)
                self.assertTrue(name.startswith('CUSTOM_ISOLATION_'), name)
                self.assertLessEqual(len(name), 255)

    def test_required_traits_are_earned(self):
        for case in self.CASES:
            for host in self.hosts():
                read = self.facts(host)
                for item in self.wanted(case).of(self.NAME):
                    if not list(self.mechanism.judge(item, read)):
                        self.assertLessEqual(
                            self.mechanism.required_traits(item),
                            self.mechanism.traits(read),
                        )

    def test_confining_twice_changes_nothing(self):
        for case in self.CASES:
            for host in case.good:
                domain = etree.fromstring(DOMAIN)
                once = self._confine(domain, case, host)
                self.assertEqual(once, self._confine(domain, case, host))
                again = etree.fromstring(once)
                self.assertEqual(once, self._confine(again, case, host))

    def test_confining_leaves_the_rest_alone(self):
        for case in self.CASES:
            domain = etree.fromstring(DOMAIN)
            self._confine(domain, case, case.good[0])
            before = etree.fromstring(DOMAIN)
            for path in ('uuid', 'devices', 'seclabel[@model="dac"]'):
                self.assertEqual(
                    etree.tostring(before.find(path)).strip(),
                    etree.tostring(domain.find(path)).strip(),
                )

    def _confine(self, domain, case, host):
        self.mechanism.confine(domain, self.wanted(case), self.facts(host))
        return etree.tostring(domain)

    def judge_definition(self, case, domain):
        """All that is unmet of a case's own requirements in a domain."""
        wanted = self.wanted(case)
        before = etree.tostring(domain)
        answer = domain_definition.decide(
            dataclasses.replace(wanted, items=wanted.of(self.NAME)),
            domain,
            self.mechanisms,
        )
        self.assertEqual(before, etree.tostring(domain))
        return answer.unmet

    def test_a_definition_as_it_was_confined(self):
        for case in self.CASES:
            for host in case.good:
                domain = etree.fromstring(DOMAIN)
                self._confine(domain, case, host)
                self.assertEqual((), self.judge_definition(case, domain))

    def test_a_definition_that_lacks_what_confines(self):
        for case in self.CASES:
            for host in case.good:
                plain = etree.fromstring(DOMAIN)
                unmet = self.judge_definition(case, plain)
                self.assertHelpful(unmet, self.mechanisms.reasons)
                self.assertLessEqual({u.key for u in unmet}, set(case.specs))
                before = etree.tostring(plain)
                writes = self._confine(plain, case, host) != before
                self.assertEqual(writes, bool(unmet), case.specs)

    def verify(self, case, guest):
        """What is found of a guest, on the first good host."""
        host = case.good[0]
        asked = fakes.Host() if self.third_party else host
        return list(
            self.mechanism.verify(
                guest, self.wanted(case), self.facts(host), asked
            )
        )

    def test_verifying_proves_each_requirement(self):
        for case in self.CASES:
            for guest in case.guests:
                found = self.verify(case, guest)
                for item in found:
                    self.assertIsInstance(item, base.Proof)
                    self.assertTrue(item.found)
                self.assertEqual(
                    {r.key for r in self.wanted(case).of(self.NAME)},
                    {item.key for item in found},
                )

    def test_verifying_finds_what_is_wrong(self):
        for case in self.CASES:
            for code, guest in case.wrong:
                try:
                    found = self.verify(case, guest)
                except (OSError, ValueError):
                    self.assertEqual('verify.failed', code)
                    continue
                unmet = [f for f in found if not isinstance(f, base.Proof)]
                self.assertCodes([code], unmet, self.mechanisms.reasons)
                proven = {f.key for f in found if isinstance(f, base.Proof)}
                self.assertFalse(proven & {u.key for u in unmet})

    def test_guests_that_cannot_be_examined(self):
        for case in self.CASES:
            for error in ERRORS:
                try:
                    self.verify(case, fakes.BrokenGuest(error))
                except (OSError, ValueError) as raised:
                    self.assertIs(error, raised)

    def test_own_reasons(self):
        for reason in self.mechanism.own_reasons:
            self.assertTrue(reason.meaning and reason.remedy)
            self.assertEqual(self.NAME, reason.code.split('.')[1])
