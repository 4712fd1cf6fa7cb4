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

"""Tests of nova_isolation.host.measurement."""

import copy
import dataclasses
import json
import time
from unittest import mock

from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.svirt import mechanism
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.model import traits
from tests.unit import base
from tests.unit import fakes
from tests.unit.host import test_bounded_calls
from tests.unit.mechanisms import examples

HOST = fakes.Host(
    {**fakes.SELINUX_MCS, examples.LockdownMechanism.FILE: '[integrity]'},
    ('selinux',),
    certifications=['CAPP'],
)
CALLS = bounded_calls.BoundedCalls(30)
#: The mechanisms that take the host's own word.
MEASURED = registry.BUILT_IN - {'attested'}


class MeasurementTest(base.TestCase):
    """Every mechanism is asked, none can break the others."""

    def measure(self, host=HOST, mechanisms=None):
        return measurement.measure(host, mechanisms or registry.get(), CALLS)

    def sections(self, measured):
        return facts.loads(measured.document).sections

    def test_all(self):
        before = time.time()
        measured = self.measure()
        self.assertTrue(before <= measured.time <= time.time())
        self.assertEqual(MEASURED, set(self.sections(measured)))
        self.assertEqual(MEASURED, set(measured.sections))
        self.assertNotIn(None, self.sections(measured).values())
        self.assertLessEqual(
            {
                'CUSTOM_ISOLATION_HYPERVISOR_KVM',
                'CUSTOM_ISOLATION_CERTIFICATION_CAPP',
                'CUSTOM_ISOLATION_SVIRT_SELINUX',
                'CUSTOM_ISOLATION_QEMU_SANDBOX',
            },
            measured.traits,
        )

    def test_only_what_is_asked_for(self):
        host = fakes.Host(HOST.files, ('selinux',))
        for only, examined in (
            ({'hypervisor', 'certification'}, 0),
            ({'qemu'}, 1),
        ):
            with mock.patch.object(host, 'unseen', wraps=host.unseen) as asked:
                measured = measurement.measure(
                    host, registry.get(), CALLS, only
                )
            self.assertEqual(examined, asked.call_count)
            sections = self.sections(measured)
            # What is not measured is unknown, as if it had failed.
            self.assertEqual(MEASURED, set(sections))
            self.assertEqual(
                only, {n for n, s in sections.items() if s is not None}
            )
            self.assertEqual(only, set(measured.sections))
            self.assertEqual(only, set(measured.earned))
            whole = self.sections(self.measure(host))
            for name in only:
                self.assertEqual(whole[name], sections[name])

    def test_stats(self):
        measured = self.measure()
        self.assertEqual(
            {
                'isolation_facts': measured.document,
                'isolation_measured_at': str(int(measured.time)),
            },
            measured.stats,
        )

    def test_facts_are_never_younger_than_they_claim(self):
        measured = measurement.Measurement('', 99.9, {}, {})
        self.assertEqual('99', measured.stats['isolation_measured_at'])

    def test_a_mechanism_that_hangs_costs_only_its_own_facts(self):
        hang = self.useFixture(test_bounded_calls.Hang())
        host = fakes.Host(HOST.files, ('selinux',))
        host.emulator = hang.read
        calls = bounded_calls.BoundedCalls(0.3)
        start = time.monotonic()
        for _ in range(3):
            measured = measurement.measure(host, registry.get(), calls)
            sections = self.sections(measured)
            self.assertIsNone(sections['qemu'])
            self.assertNotIn('CUSTOM_ISOLATION_QEMU_SANDBOX', measured.traits)
            self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', measured.traits)
        # The first of them has waited for it.
        self.assertLess(time.monotonic() - start, 0.6)

    def test_alike_hosts_at_other_times(self):
        one, two = self.measure(), self.measure()
        self.assertEqual(one.document, two.document)
        self.assertNotEqual(one.time, two.time)

    def test_one_that_raises_leaves_the_others(self):
        for method in ('measure', 'read', 'traits'):
            for error in (
                OSError('no'), ValueError('no'), KeyError('no'),
                AssertionError(), RecursionError(), MemoryError(),
                NotImplementedError(), StopIteration(), RuntimeError('no'),
                facts.FactsError(None, 'no'),
            ):  # fmt: skip
                with mock.patch.object(
                    mechanism.SvirtMechanism, method, side_effect=error
                ):
                    measured = self.measure()
                self.only_svirt_is_unknown(measured)

    def only_svirt_is_unknown(self, measured):
        sections = dict(self.sections(measured))
        self.assertIsNone(sections.pop('svirt'))
        self.assertEqual(MEASURED - {'svirt'}, set(sections))
        self.assertNotIn(None, sections.values())
        self.assertNotIn('svirt', measured.sections)
        self.assertFalse([t for t in measured.traits if 'SVIRT' in t])
        self.assertTrue(measured.traits)

    def test_one_that_cannot_read_its_own_section(self):
        for section in (None, 1, {}, {'models': []}):
            with mock.patch.object(
                mechanism.SvirtMechanism, 'measure', return_value=section
            ):
                self.only_svirt_is_unknown(self.measure())

    def test_broken_host(self):
        measured = self.measure(fakes.BrokenHost(OSError('no')))
        unseen = facts.unseen(reasons.UNEXAMINED)
        self.assertEqual(
            {'svirt': unseen, 'qemu': unseen}
            | dict.fromkeys(MEASURED - {'svirt', 'qemu'}),
            dict(self.sections(measured)),
        )
        self.assertEqual({traits.GUARDED}, measured.traits)
        self.assertEqual({}, measured.sections)

    def test_a_host_that_cannot_see(self):
        both = {'svirt', 'qemu'}
        for unseen, lost in (
            ({sight.Sight.EXECUTABLE: reasons.NO_HELPER}, {'qemu'}),
            ({sight.Sight.PROCESS: reasons.PID_NAMESPACE}, both),
            (dict.fromkeys(sight.ALL, reasons.HIDEPID), both),
        ):
            host = copy.copy(HOST)
            host.hide(unseen)
            measured = self.measure(host)
            (reason,) = set(unseen.values())
            for name, section in self.sections(measured).items():
                if name in lost:
                    self.assertEqual(facts.unseen(reason), section)
                    self.assertNotIn(name, measured.sections)
                    self.assertNotIn(name, measured.earned)
                else:
                    self.assertIsNone(facts.unseen_by(section))
                    self.assertIn(name, measured.sections)
            # No guest is the cause of that.
            closed = measured.closed(dict.fromkeys(lost, 'guest'))
            self.assertEqual(self.sections(measured), self.sections(closed))

    def test_nobody_asks_what_nobody_needs(self):
        loaded = registry.get()
        host = copy.copy(HOST)
        host.unseen = mock.Mock(side_effect=AssertionError)
        alone = dataclasses.replace(
            loaded, loaded={'hypervisor': loaded.loaded['hypervisor']}
        )
        measured = self.measure(host, alone)
        self.assertIn('hypervisor', measured.sections)

    def test_a_mechanism_that_raises_why_it_cannot_see(self):
        error = sight.Unseen(reasons.EMULATOR_UNSEEN, 'no file')
        with mock.patch.object(
            mechanism.SvirtMechanism, 'measure', side_effect=error
        ):
            sections = self.sections(self.measure())
        self.assertEqual(
            facts.unseen(reasons.EMULATOR_UNSEEN), sections['svirt']
        )

    def test_mechanisms_that_are_not_loaded_have_no_section(self):
        measured = self.measure(mechanisms=registry.build({}))
        self.assertEqual({}, dict(self.sections(measured)))

    def test_third_parties_are_not_asked_about_by_the_host(self):
        measured = self.measure(mechanisms=examples.all_mechanisms())
        sections = self.sections(measured)
        self.assertIn('lockdown', sections)
        self.assertNotIn('quote', sections)
        self.assertIn('CUSTOM_ISOLATION_LOCKDOWN_INTEGRITY', measured.traits)

    def test_section_that_is_too_large_is_unknown(self):
        measured = self.measure(
            fakes.Host(
                certifications=[f'CERTIFICATION_{n:050}' for n in range(20)]
            )
        )
        sections = self.sections(measured)
        self.assertIsNone(sections['certification'])
        self.assertIsNotNone(sections['qemu'])

    def test_too_large_together_is_empty(self):
        self.nothing(
            self.measure(
                fakes.Host(
                    fakes.SELINUX_MCS,
                    ('selinux',),
                    certifications=[f'C_{n:060}' for n in range(11)],
                    svirt_types=[f't_{n:060}' for n in range(11)],
                )
            )
        )

    def nothing(self, measured):
        self.assertEqual('', measured.document)
        self.assertEqual({traits.GUARDED}, measured.traits)
        self.assertEqual({}, measured.sections)
        self.assertRaises(facts.FactsError, facts.loads, measured.document)

    def test_section_of_another_package_that_finds_no_room(self):
        class Large(examples.LockdownMechanism):
            def measure(self, host):
                return {'states': ['x' * 900]}

            def read(self, section):
                return section

            def traits(self, facts):
                return frozenset({'CUSTOM_ISOLATION_LOCKDOWN_X'})

        built_in = {
            name: type(mechanism)
            for name, mechanism in registry.get().loaded.items()
        }
        measured = self.measure(
            mechanisms=registry.build({**built_in, 'lockdown': Large})
        )
        sections = self.sections(measured)
        self.assertIsNone(sections['lockdown'])
        self.assertIsNotNone(sections['svirt'])
        self.assertNotIn('lockdown', measured.sections)
        self.assertNotIn('CUSTOM_ISOLATION_LOCKDOWN_X', measured.traits)
        self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', measured.traits)

    def test_traits_that_are_not_ours(self):
        for name in ('bad', 'CUSTOM_OTHER', 'CUSTOM_ISOLATION_x', ''):
            with mock.patch.object(
                mechanism.SvirtMechanism, 'traits', return_value={name}
            ):
                self.only_svirt_is_unknown(self.measure())

    def test_sections_that_are_no_json(self):
        # A defect of somebody's mechanism.
        for section in ({'a': {1}}, {'a': object()}, {'a': float('nan')}):
            with mock.patch.object(
                mechanism.SvirtMechanism, 'measure', return_value=section
            ):
                self.only_svirt_is_unknown(self.measure())

    def test_traits_that_are_no_set(self):
        with mock.patch.object(
            mechanism.SvirtMechanism, 'traits', return_value=None
        ):
            self.only_svirt_is_unknown(self.measure())


class EvidenceTest(base.TestCase):
    """What a third party says is beside what the host says of itself."""

    def measure(self, said):
        host = fakes.Host(
            HOST.files,
            ('selinux',),
            certifications=['CAPP'],
            evidence={'attested': said},
        )
        return measurement.measure(host, registry.get(), CALLS)

    def test_trusted(self):
        said = fakes.evidence()
        measured = self.measure(said)
        self.assertIn('CUSTOM_ISOLATION_ATTESTED', measured.traits)
        self.assertEqual({'attested': said}, measured.evidence)
        self.assertEqual('good', measured.sections['attested'].result.state)

    def test_never_in_the_document(self):
        for said in (fakes.evidence(), fakes.evidence('failed'), None):
            self.assertEqual(
                measurement.measure(HOST, registry.get(), CALLS).document,
                self.measure(said).document,
            )

    def test_not_trusted(self):
        for said in (
            fakes.evidence('failed'),
            fakes.evidence(age=121.0),
            fakes.evidence()._replace(document=''),
            fakes.evidence()._replace(document='{'),
            None,
        ):
            measured = self.measure(said)
            self.assertNotIn('CUSTOM_ISOLATION_ATTESTED', measured.traits)
            self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', measured.traits)

    def test_kept_where_a_guest_violates_another(self):
        measured = self.measure(fakes.evidence())
        closed = measured.closed({'svirt': ''})
        self.assertEqual(measured.evidence, closed.evidence)
        self.assertIn('CUSTOM_ISOLATION_ATTESTED', closed.traits)

    def test_that_cannot_be_had(self):
        host = fakes.Host(HOST.files, ('selinux',))
        with mock.patch.object(host, 'evidence', side_effect=ValueError('x')):
            measured = measurement.measure(host, registry.get(), CALLS)
        self.assertEqual({}, measured.evidence)
        self.assertNotIn('CUSTOM_ISOLATION_ATTESTED', measured.traits)


class ClosedTest(base.TestCase):
    """What is left for new guests, where running ones are violated."""

    def setUp(self):
        super().setUp()
        self.measured = measurement.measure(HOST, registry.get(), CALLS)

    def sections(self, measured):
        return facts.loads(measured.document).sections

    def test_nothing(self):
        self.assertIs(self.measured, self.measured.closed({}))

    def test_one(self):
        closed = self.measured.closed({'qemu': ''})
        sections = self.sections(closed)
        self.assertEqual('', facts.violated_by(sections['qemu']))
        self.assertNotIn('qemu', closed.sections)
        self.assertFalse([t for t in closed.traits if 'QEMU' in t])
        self.assertIn('CUSTOM_ISOLATION_SVIRT_SELINUX', closed.traits)
        self.assertIn(traits.GUARDED, closed.traits)
        self.assertEqual(
            self.sections(self.measured)['svirt'], sections['svirt']
        )
        self.assertEqual(self.measured.time, closed.time)

    def test_what_is_unknown_stays_so(self):
        measured = measurement.measure(
            fakes.BrokenHost(OSError('no')), registry.get(), CALLS
        )
        closed = measured.closed({'qemu': 'guest a'})
        self.assertEqual(measured.document, closed.document)

    def test_no_document(self):
        empty = measurement.Measurement('', 1.0, {}, {})
        self.assertIs(empty, empty.closed({'qemu': ''}))

    def test_names_that_find_no_room(self):
        closed = self.measured.closed({'qemu': 'x' * 1024})
        self.assertEqual('', facts.violated_by(self.sections(closed)['qemu']))

    def test_no_room_at_all(self):
        text = json.dumps({'v': 1, 'a': 1, 'x': 'x' * 995})
        closed = measurement.Measurement(
            text, 1.0, {'a': frozenset({'CUSTOM_ISOLATION_A'})}, {'a': 1}
        ).closed({'a': ''})
        self.assertEqual(('', {}), (closed.document, closed.sections))
        self.assertEqual({traits.GUARDED}, closed.traits)
