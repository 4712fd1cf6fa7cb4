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

"""The contract of every mechanism, as tests.

A test of a mechanism inherits from :class:`MechanismContract` and from
:class:`unittest.TestCase` (or another test case class). It names the class of
the mechanism and describes hosts, evidence and guests::

    class SmtContractTest(
        mechanism_contract.MechanismContract, unittest.TestCase
    ):
        mechanism_class = smt.SmtMechanism
        cases = (
            mechanism_contract.Case(
                specs={'isolation:smt': 'off'},
                good=[fakes.FakeHost({ACTIVE: '0'})],
                bad=[('smt.active', fakes.FakeHost({ACTIVE: '1'}))],
                guests=[fakes.FakeGuest()],
                wrong=[],
            ),
        )
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import copy
import dataclasses
import json
import random
import typing
import unittest

from lxml import etree

from nova_isolation.decision import decision
from nova_isolation.decision import domain_definition
from nova_isolation.decision import guest_image
from nova_isolation.decision import host_facts
from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import requirements
from nova_isolation.model import sight
from nova_isolation.model import traits
from nova_isolation.testing import fakes

#: A domain as Nova may write it, before a mechanism confines the guest.
DOMAIN = f"""<domain type='kvm'>
  <uuid>{fakes.UUID}</uuid>
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

#: A section must have fewer bytes than this.
_MAX_SECTION = 512

#: Seconds that the measurement of a host of a case may take.
_PATIENCE = 60.0

#: Values with which the test replaces a field of a section.
_BROKEN: tuple[object, ...] = (None, 1, 'x', True, [1], {}, [None])

#: The number of random sections that the test reads.
_RANDOM_SECTIONS = 300

#: The number of sections that the test mixes from those of the hosts.
_MIXED_SECTIONS = 300


@dataclasses.dataclass
class Case:
    """One flavor with the hosts and guests that meet or violate it.

    :ivar specs: the extra specs of the flavor
    :ivar good: hosts that meet the extra specs; for an evidence mechanism
        evidence in place of hosts
    :ivar bad: (code without ``isolation.``, host or evidence) pairs that do
        not meet the extra specs
    :ivar guests: started guests that meet the extra specs, on the first host
        of ``good``
    :ivar wrong: (code without ``isolation.``, guest) pairs that do not meet
        the extra specs; the code is ``verify.failed`` where the verification
        of the guest raises an error
    """

    specs: dict[str, str]
    good: list[typing.Any]
    bad: list[tuple[str, typing.Any]]
    guests: list[typing.Any]
    wrong: list[tuple[str, typing.Any]]


if typing.TYPE_CHECKING:
    _Base = unittest.TestCase
else:
    _Base = object


class MechanismContract(_Base):
    """The tests that every mechanism must pass.

    :cvar mechanism_class: the class of the mechanism
    :cvar cases: at least one case for each extra spec, and for each word of
        an extra spec whose words are listed
    :cvar malformed: sections (or evidence) that must be refused as malformed,
        in addition to those of the suite
    """

    mechanism_class: typing.ClassVar[type[registry.AnyMechanism]]
    cases: typing.ClassVar[tuple[Case, ...]]
    malformed: typing.ClassVar[tuple[typing.Any, ...]] = ()

    def setUp(self) -> None:
        """Load the mechanism together with the installed mechanisms."""
        super().setUp()
        self.name = self.mechanism_class.name
        self.mechanisms = registry.build(
            {**installed(), self.name: self.mechanism_class}
        )
        self.assertNotIn(self.name, self.mechanisms.failed)
        self.mechanism: typing.Any = self.mechanisms.loaded[self.name]

    # These methods are the parts of the tests.

    @property
    def has_evidence(self) -> bool:
        """Whether the cases have evidence in place of hosts."""
        return issubclass(self.mechanism_class, base.EvidenceMechanism)

    def wanted(self, case: Case) -> requirements.Requirements:
        """Return the requirements of a case, which must have no problems."""
        result = requirements.parse(case.specs, self.mechanisms.vocabulary)
        self.assertEqual((), result.problems)
        self.assertTrue(result.of(self.name))
        return result

    def own(self, case: Case) -> requirements.Requirements:
        """Return the requirements of a case that the mechanism owns."""
        wanted = self.wanted(case)
        return dataclasses.replace(wanted, items=wanted.of(self.name))

    def section(self, host: typing.Any) -> typing.Any:
        """Return the section that a host publishes, or the evidence."""
        if self.has_evidence:
            return host
        return self.mechanism.write(self.measure(host))

    def measure(self, host: typing.Any) -> typing.Any:
        """Return the typed facts, as the host measures them."""
        if isinstance(host, fakes.FakeHost):
            host.declare(self.mechanism_class)
        return self.mechanism.measure(host)

    def read_back(self, host: typing.Any) -> typing.Any:
        """Return the typed facts, as the scheduler reads them."""
        if self.has_evidence:
            return self.mechanism.read(copy.deepcopy(host))
        text = json.dumps(self.section(host), allow_nan=False)
        return self.mechanism.read(json.loads(text))

    def hosts(self) -> Iterator[typing.Any]:
        """Return all hosts of the cases."""
        for case in self.cases:
            yield from case.good
            for _, host in case.bad:
                yield host

    def judge(self, case: Case, read: typing.Any) -> list[reasons.Unmet]:
        """Return all unmet requirements of a case."""
        return [
            unmet
            for item in self.own(case).items
            for unmet in self.mechanism.judge(item, read)
        ]

    def decide(self, case: Case, section: typing.Any) -> decision.Decision:
        """Return the decision about a host that has only this section."""
        published = {} if self.has_evidence else {self.name: section}
        evidence = {self.name: section} if self.has_evidence else {}
        return host_facts.decide(
            self.own(case),
            facts.dumps(published),
            age=0,
            freshness=facts.Freshness(),
            mechanisms=self.mechanisms,
            evidence=evidence,
        )

    def confine(self, domain: typing.Any, case: Case, host: object) -> bytes:
        """Return a domain after the mechanism has confined it."""
        self.mechanism.confine(domain, self.wanted(case), self.read_back(host))
        return bytes(etree.tostring(domain))

    def judge_definition(
        self, case: Case, domain: typing.Any
    ) -> tuple[reasons.Unmet, ...]:
        """Return all of a case's own requirements that a domain violates."""
        before = etree.tostring(domain)
        answer = domain_definition.decide(
            self.own(case), domain, self.mechanisms
        )
        self.assertEqual(before, etree.tostring(domain))
        return answer.unmet

    def verify(self, case: Case, guest: typing.Any) -> list[typing.Any]:
        """Return the result of verifying a guest, on the first good host."""
        return self.verify_with(case, guest, self.read_back(case.good[0]))

    def verify_with(
        self, case: Case, guest: typing.Any, read: typing.Any
    ) -> list[typing.Any]:
        """Return the result of verifying a guest with these typed facts."""
        host = case.good[0]
        asked = fakes.FakeHost() if self.has_evidence else host
        if isinstance(asked, fakes.FakeHost):
            asked.declare(self.mechanism_class)
        return list(
            self.mechanism.verify(guest, self.wanted(case), read, asked)
        )

    def check_reported(self, unmet: Iterable[reasons.Unmet]) -> None:
        """Check that each unmet requirement is complete and has a remedy."""
        for item in unmet:
            reason = self.mechanisms.reasons[item.code]
            self.assertTrue(reason.meaning and reason.remedy)
            self.assertTrue(item.wanted and item.found, item)
            for words in (item.wanted, item.found, item.code):
                self.assertIn(words, str(item))

    def check_codes(
        self, codes: Iterable[str], unmet: Iterable[reasons.Unmet]
    ) -> None:
        """Check that the unmet requirements have exactly these codes."""
        found = list(unmet)
        self.check_reported(found)
        self.assertEqual(
            sorted(f'isolation.{code}' for code in codes),
            sorted({item.code for item in found}),
        )

    def facts_error(
        self, function: Callable[..., object], *args: object
    ) -> facts.FactsError:
        """Return the FactsError that a function raises."""
        try:
            function(*args)
        except facts.FactsError as error:
            return error
        self.fail(f'{args!r} was read')

    # Tests of the declarations.

    def test_contract_is_loaded(self) -> None:
        """The registry accepts the mechanism."""
        self.assertIsInstance(self.mechanism, base.Mechanism)

    def test_contract_extra_specs(self) -> None:
        """The mechanism owns at least one extra spec."""
        self.assertTrue(self.mechanism.extra_specs)
        for spec in self.mechanism.extra_specs:
            known = self.mechanisms.vocabulary
            self.assertEqual(self.name, known.owner(spec.key))
            self.assertEqual(spec, known.rows[spec.key])
            self.assertTrue(spec.parse(spec.example))

    def test_contract_reasons(self) -> None:
        """Every reason code has a meaning and a remedy."""
        for reason in self.mechanism.own_reasons:
            self.assertTrue(reason.meaning and reason.remedy)
            self.assertEqual(self.name, reason.area)
            self.assertEqual(reason, self.mechanisms.reasons[reason.code])
        if not self.has_evidence:
            unknown = self.mechanism.unknown
            self.assertTrue(unknown.uncertain)
            self.assertEqual(unknown, self.mechanisms.reasons[unknown.code])

    def test_contract_options(self) -> None:
        """Every option has a help text and a usable default."""
        for option in self.mechanism.options():
            self.assertTrue(option.help)
            self.assertFalse(option.required, option.name)

    def test_contract_every_requirement_has_cases(self) -> None:
        """Every extra spec has a case that passes and one that is refused."""
        asked = {key for case in self.cases for key in case.specs}
        for spec in self.mechanism.extra_specs:
            self.assertIn(spec.key, asked)
        for case in self.cases:
            for part in (case.good, case.bad, case.guests):
                self.assertTrue(part, case.specs)

    def test_contract_every_word_is_asked_for(self) -> None:
        """Every word that is listed occurs in a case."""
        for spec in self.mechanism.extra_specs:
            asked = {
                word
                for case in self.cases
                for word in case.specs.get(spec.key, '').split(',')
            }
            self.assertLessEqual(set(spec.values), asked)

    # Tests of the facts.

    def test_contract_facts_survive_publishing(self) -> None:
        """The scheduler reads the facts that the host measured."""
        for host in self.hosts():
            section = self.section(host)
            direct = self.mechanism.read(copy.deepcopy(section))
            self.assertEqual(direct, self.read_back(host))
            self.assertEqual(section, self.section(host))
            if not self.has_evidence:
                self.assertEqual(direct, self.measure(host))

    def test_contract_sections_are_small(self) -> None:
        """The facts leave room for those of other mechanisms."""
        if self.has_evidence:
            return
        for host in self.hosts():
            text = json.dumps(self.section(host), separators=(',', ':'))
            self.assertLess(len(text), _MAX_SECTION)

    def test_contract_malformed_sections(self) -> None:
        """A malformed section is refused, with a message that helps."""
        for section in (
            0, 1, 1.5, True, '', 'x', [], ['x'], [{}], {'x': 1}, {'x': None},
            {'x': {}}, {'': ''}, *self.malformed,
        ):  # fmt: skip
            error = self.facts_error(self.mechanism.read, section)
            item = self.own(self.cases[0]).items[0]
            self.check_reported([item.unmet(error.reason, error.found)])
            answer = self.decide(self.cases[0], section)
            self.assertFalse(answer.accepted, section)

    def test_contract_broken_sections(self) -> None:
        """A missing or wrongly typed field raises only FactsError."""
        if self.has_evidence:
            return
        for case in self.cases:
            section = self.section(case.good[0])
            for name in section:
                for value in _BROKEN:
                    self.only_facts_error({**section, name: value})
                self.only_facts_error(
                    {n: v for n, v in section.items() if n != name}
                )

    def test_contract_any_section(self) -> None:
        """For any JSON value, reading raises FactsError or no error."""
        # The seed is fixed, so that a failure can be repeated.
        source = random.Random(0)  # noqa: S311  # nosec B311: no secret
        for _ in range(_RANDOM_SECTIONS):
            self.only_facts_error(_any_json(source, 3))

    def only_facts_error(self, section: object) -> None:
        """Check that a section causes no error except FactsError."""
        try:
            read = self.mechanism.read(section)
        except facts.FactsError:
            return
        for case in self.cases:
            self.judge(case, read)
        self.mechanism.traits(read)

    def test_contract_hosts_that_cannot_be_measured(self) -> None:
        """A host that cannot be measured meets no requirement."""
        if self.has_evidence:
            return
        for error in ERRORS:
            host = fakes.BrokenHost(error, self.broken_options())
            try:
                section = self.section(host)
            except (OSError, ValueError):
                continue
            for case in self.cases:
                self.assertFalse(self.decide(case, section).accepted)

    def broken_options(self) -> Mapping[str, Mapping[str, object]]:
        """Return the options of a host that cannot be measured.

        A subclass may override this method.
        """
        return {}

    # Tests of the decision.

    def test_contract_passing_and_refusing(self) -> None:
        """Good hosts meet each case; bad ones are refused by their code."""
        for case in self.cases:
            for host in case.good:
                self.assertEqual([], self.judge(case, self.read_back(host)))
            for code, host in case.bad:
                unmet = self.judge(case, self.read_back(host))
                self.check_codes([code], unmet)
                for item in unmet:
                    self.assertIn(item.key, case.specs)

    def test_contract_through_the_decision(self) -> None:
        """The decision function gives the same answers as the mechanism."""
        for case in self.cases:
            for host in case.good:
                answer = self.decide(case, self.section(host))
                self.assertTrue(answer.accepted, answer)
            for code, host in case.bad:
                answer = self.decide(case, self.section(host))
                self.assertEqual((f'isolation.{code}',), answer.codes)

    def test_contract_unknown_meets_nothing(self) -> None:
        """Missing facts or evidence meet no requirement."""
        code = (
            reasons.EVIDENCE_MISSING
            if self.has_evidence
            else self.mechanism.unknown
        ).code
        self.assertIn(code, self.mechanisms.reasons)
        for case in self.cases:
            answer = self.decide(case, None)
            self.assertEqual((code,), answer.codes)
            self.check_reported(answer.unmet)

    def test_contract_what_is_accepted_can_be_proven(self) -> None:
        """For all facts that meet a case, there is a guest that is proven.

        A host whose facts are accepted and whose guests all fail their
        verification would attract every guest and refuse it. Beside the
        facts of each host, mixtures of the facts of several hosts are tried.
        The guests are those of all cases.
        """
        guests = [guest for case in self.cases for guest in case.guests]
        for case in self.cases:
            for section in (*map(self.section, self.hosts()), *self.mixed()):
                try:
                    read = self.mechanism.read(copy.deepcopy(section))
                except facts.FactsError:
                    continue
                if self.judge(case, read):
                    continue
                self.assertTrue(
                    any(self.is_proven(case, read, g) for g in guests),
                    f'{case.specs}: judge() accepts the facts {section}, but '
                    'verify() proves none of the guests: let judge() refuse '
                    'these facts, or add a guest that is proven to a case',
                )

    def test_contract_needs_what_it_reads(self) -> None:
        """The mechanism says what it reads of a guest's process, and no more.

        A host that cannot see what is read would refuse each guest after its
        start; one that cannot see what is not read would refuse for nothing.
        """
        needs = self.needs()
        read: set[sight.Sight] = set()
        for case in self.cases:
            for guest in case.guests:
                if not isinstance(guest, fakes.FakeGuest):
                    # Nobody can tell what was read of another class.
                    return
                guest.read.clear()
                self.verify(case, guest)
                read |= guest.read
        self.assertEqual(needs, read, 'needs, and what verify() has read')

    def test_contract_a_host_that_cannot_see_what_is_read(self) -> None:
        """Where a verification could see nothing, no guest is accepted.

        The host says why in place of the facts, and earns no traits. What a
        mechanism does not read costs its guests nothing.
        """
        if self.has_evidence:
            return
        for thing in sight.Sight:
            for case in self.cases:
                host = case.good[0]
                if not isinstance(host, fakes.FakeHost):
                    continue
                host = copy.copy(host)
                host.hide({thing: reasons.NO_HELPER})
                measured = self.measured(host)
                answer = host_facts.decide(
                    self.own(case),
                    measured.document,
                    age=0,
                    freshness=facts.Freshness(),
                    mechanisms=self.mechanisms,
                )
                if thing in self.needs():
                    self.assertEqual((reasons.NO_HELPER.code,), answer.codes)
                    self.check_reported(answer.unmet)
                    self.assertNotIn(self.name, measured.earned)
                else:
                    self.assertTrue(answer.accepted, answer)

    def needs(self) -> frozenset[sight.Sight]:
        """Return what the mechanism says that it reads of a process."""
        if self.has_evidence:
            return frozenset()
        needs: frozenset[sight.Sight] = self.mechanism.needs
        return needs

    def measured(self, host: fakes.FakeHost) -> measurement.Measurement:
        """Return what a host publishes that has this mechanism alone."""
        host.declare(self.mechanism_class)
        return measurement.measure(
            host,
            dataclasses.replace(
                self.mechanisms, loaded={self.name: self.mechanism}
            ),
            bounded_calls.BoundedCalls(_PATIENCE),
        )

    def mixed(self) -> Iterator[dict[str, object]]:
        """Return sections whose fields are from sections of several hosts."""
        if self.has_evidence:
            return
        sections = [s for s in map(self.section, self.hosts()) if s]
        # The seed is fixed, so that a failure can be repeated.
        source = random.Random(0)  # noqa: S311  # nosec B311: no secret
        for _ in range(_MIXED_SECTIONS):
            alike = source.choice(sections)
            others = [s for s in sections if set(s) == set(alike)]
            yield {name: source.choice(others)[name] for name in alike}

    def is_proven(
        self, case: Case, read: typing.Any, guest: typing.Any
    ) -> bool:
        """Return whether a guest proves all requirements on these facts."""
        try:
            found = self.verify_with(case, guest, read)
        except (OSError, ValueError):
            return False
        return all(isinstance(item, base.Proof) for item in found) and {
            item.key for item in found
        } == {item.key for item in self.own(case).items}

    # Tests of the traits.

    def test_contract_traits_are_valid(self) -> None:
        """Placement accepts the traits and the driver can remove them."""
        for host in self.hosts():
            for name in self.mechanism.traits(self.read_back(host)):
                self.assertTrue(traits.PATTERN.fullmatch(name), name)
                self.assertLessEqual(len(name), 255)

    def test_contract_required_traits_are_earned(self) -> None:
        """A host that meets a requirement has all required traits."""
        for case in self.cases:
            for host in self.hosts():
                read = self.read_back(host)
                for item in self.own(case).items:
                    if not list(self.mechanism.judge(item, read)):
                        self.assertLessEqual(
                            self.mechanism.required_traits(item),
                            self.mechanism.traits(read),
                        )

    # Tests of the domain's XML.

    def test_contract_confining_twice_changes_nothing(self) -> None:
        """Confining a domain again does not change it."""
        for case in self.cases:
            for host in case.good:
                domain = etree.fromstring(DOMAIN)
                once = self.confine(domain, case, host)
                self.assertEqual(once, self.confine(domain, case, host))
                again = etree.fromstring(once)
                self.assertEqual(once, self.confine(again, case, host))

    def test_contract_confining_leaves_the_rest_alone(self) -> None:
        """The other elements of the domain do not change."""
        for case in self.cases:
            domain = etree.fromstring(DOMAIN)
            self.confine(domain, case, case.good[0])
            before = etree.fromstring(DOMAIN)
            for path in ('uuid', 'devices', 'seclabel[@model="dac"]'):
                self.assertEqual(
                    *(self._part(d, path) for d in (before, domain))
                )

    def _part(self, domain: typing.Any, path: str) -> bytes:
        found = domain.find(path)
        self.assertIsNotNone(found, path)
        return bytes(etree.tostring(found)).strip()

    def test_contract_an_image_without_properties(self) -> None:
        """A plain image is no obstacle to a requirement that a host meets."""
        for case in self.cases:
            answer = guest_image.decide(self.own(case), {}, self.mechanisms)
            self.assertEqual((), answer.unmet)

    def test_contract_a_definition_as_it_was_confined(self) -> None:
        """The libvirt hook accepts XML that the mechanism wrote."""
        for case in self.cases:
            for host in case.good:
                domain = etree.fromstring(DOMAIN)
                self.confine(domain, case, host)
                self.assertEqual((), self.judge_definition(case, domain))

    def test_contract_a_definition_that_lacks_what_confines(self) -> None:
        """The libvirt hook refuses a domain that was not confined."""
        for case in self.cases:
            for host in case.good:
                plain = etree.fromstring(DOMAIN)
                unmet = self.judge_definition(case, plain)
                self.check_reported(unmet)
                self.assertLessEqual({u.key for u in unmet}, set(case.specs))
                before = etree.tostring(plain)
                writes = self.confine(plain, case, host) != before
                self.assertEqual(writes, bool(unmet), case.specs)

    # Tests of the started guest.

    def test_contract_verifying_proves_each_requirement(self) -> None:
        """A guest that meets its requirements proves each of them."""
        for case in self.cases:
            for guest in case.guests:
                found = self.verify(case, guest)
                for item in found:
                    self.assertIsInstance(item, base.Proof)
                    self.assertTrue(item.found)
                self.assertEqual(
                    {r.key for r in self.own(case).items},
                    {item.key for item in found},
                )

    def test_contract_verifying_finds_what_is_wrong(self) -> None:
        """A guest that violates its requirements is refused by its code."""
        for case in self.cases:
            for code, guest in case.wrong:
                try:
                    found = self.verify(case, guest)
                except (OSError, ValueError):
                    self.assertEqual('verify.failed', code)
                    continue
                unmet = [f for f in found if not isinstance(f, base.Proof)]
                self.check_codes([code], unmet)
                proven = {f.key for f in found if isinstance(f, base.Proof)}
                self.assertFalse(proven & {u.key for u in unmet})

    def test_contract_guests_that_cannot_be_examined(self) -> None:
        """Errors of the guest are raised; they never become a proof."""
        for case in self.cases:
            for error in ERRORS:
                try:
                    found = self.verify(case, fakes.BrokenGuest(error))
                except (OSError, ValueError) as raised:
                    self.assertIs(error, raised)
                    continue
                # The guest was not read, so the requirement is on the host.
                self.assertEqual(found, self.verify(case, fakes.FakeGuest()))

    def test_contract_guests_without_a_process(self) -> None:
        """A requirement on the process is unmet without a process."""
        for case in self.cases:
            guest = copy.copy(case.guests[0])
            if not isinstance(guest, fakes.FakeGuest):
                continue
            guest.has_process = False
            found = self.verify(case, guest)
            for item in found:
                if not isinstance(item, base.Proof):
                    self.check_codes(['verify.no_process'], [item])


def installed() -> dict[str, object]:
    """Return name -> class of the installed mechanisms."""
    return {n: type(m) for n, m in registry.get().loaded.items()}


def _any_json(source: random.Random, depth: int) -> object:
    """Return a random JSON value."""
    leaves: tuple[object, ...] = (
        None, True, False, 0, 1, -1, 1.5, 2**70, '', 'x', 'enforcing', '\0',
        '\u0661',
    )  # fmt: skip
    kind = source.randrange(4) if depth else 0
    if kind < 2:
        return source.choice(leaves)
    count = source.randrange(4)
    if kind == 2:
        return [_any_json(source, depth - 1) for _ in range(count)]
    return {
        str(source.choice(leaves)): _any_json(source, depth - 1)
        for _ in range(count)
    }
