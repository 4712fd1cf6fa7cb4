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

"""Tests of nova_isolation.model.requirements."""

import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit import strategies
from tests.unit.mechanisms import test_extra_specs
from tests.unit.model import test_vocabulary

KNOWN = registry.get().vocabulary
SVIRT, TYPE = 'isolation:svirt', 'isolation:svirt_type'
HYPERVISOR = 'isolation:hypervisor'


def parse(specs):
    """Parse with the vocabulary of this distribution."""
    return requirements.parse(specs, KNOWN)


class ParseTest(base.TestCase):
    """From extra specs to requirements; never an exception."""

    def problem(self, specs, code, key=None):
        """The only problem."""
        wanted = parse(specs)
        self.assertCodes([code], wanted.problems)
        self.assertTrue(wanted)
        if key is not None:
            self.assertEqual({key}, {p.key for p in wanted.problems})
        return wanted.problems[0]

    def test_untagged(self):
        for specs in (
            None, {}, {'hw:cpu_policy': 'dedicated'}, {'isolation': 'x'},
            {'trait:CUSTOM_ISOLATION_SVIRT_ANY': 'required'},
        ):  # fmt: skip
            self.assertFalse(requirements.is_tagged(specs))
            self.assertEqual(requirements.NOTHING, parse(specs))
            self.assertFalse(parse(specs))

    def test_blanks_before_the_colon(self):
        for key in (
            'isolation :svirt', 'isolation\t:svirt', 'isolation\u00a0:svirt',
            'isolation\uff1asvirt', 'ISOLATION :svirt', 'isolation :',
        ):  # fmt: skip
            self.assertTrue(requirements.is_tagged({key: 'selinux'}))
            self.problem({key: 'selinux'}, 'spec.unknown', key)

    def test_near_misses(self):
        for key in ('isolation.svirt_type', 'isolation_svirt_type'):
            untagged = {key: 'own_t', 'hw:cpu_policy': 'dedicated'}
            self.assertFalse(requirements.is_tagged(untagged))
            self.assertEqual(requirements.NOTHING, parse(untagged))
            # A flavor that has others of ours promises more than is kept.
            problem = self.problem(
                {key: 'own_t', 'isolation:svirt': 'selinux'},
                'spec.unknown',
                key,
            )
            self.assertEqual('isolation:svirt_type', problem.wanted)
        for key in ('isolation_zone', 'isolation_foo:bar', 'isolation'):
            wanted = parse({key: 'x', 'isolation:svirt': 'selinux'})
            self.assertEqual((), wanted.problems)

    def test_booleans_in_capitals(self):
        plain = parse({'isolation:attested': 'true'})
        for text in ('True', 'TRUE'):
            specs = {
                'isolation:attested': text,
                'isolation:attested_pcrs': '17',
                'isolation:qemu_sandbox': text,
            }
            wanted = parse(specs)
            self.assertEqual((), wanted.problems)
            self.assertEqual('true', wanted.extra_specs['isolation:attested'])
            self.assertEqual(plain, parse({'isolation:attested': text}))
        self.problem({'isolation:attested': 'False'}, 'spec.invalid_value')

    def test_what_is_beside(self):
        wanted = parse(
            {
                'isolation:svirt': 'selinux',
                'isolation:svirt_type': 'own_t',
                'isolation:hypervisor': 'kvm',
            }
        )
        beside = {item.key: item.beside for item in wanted.items}
        self.assertEqual(
            {
                'isolation:svirt': (('isolation:svirt_type', 'own_t'),),
                'isolation:svirt_type': (('isolation:svirt', 'selinux'),),
                'isolation:hypervisor': (),
            },
            beside,
        )

    def test_all(self):
        specs = {
            'hw:cpu_policy': 'dedicated',
            'isolation:svirt_type': 'own_t',
            'isolation:svirt': 'selinux',
            'isolation:qemu_sandbox': 'true',
            'isolation:qemu_absent': 'sga,floppy,sga',
            'isolation:qemu_hardening': 'relro,nx',
            'isolation:certification': 'LSPP',
            'isolation:hypervisor': 'qemu,kvm',
        }
        wanted = parse(specs)
        self.assertTrue(requirements.is_tagged(specs))
        self.assertEqual((), wanted.problems)
        self.assertEqual(
            {
                'isolation:certification': 'LSPP',
                'isolation:hypervisor': 'kvm,qemu',
                'isolation:qemu_absent': 'floppy,sga',
                'isolation:qemu_hardening': 'nx,relro',
                'isolation:qemu_sandbox': 'true',
                'isolation:svirt': 'selinux',
                'isolation:svirt_type': 'own_t',
            },
            wanted.extra_specs,
        )
        self.assertEqual([SVIRT, TYPE], [r.key for r in wanted.of('svirt')])
        self.assertEqual((), wanted.of('other'))
        self.assertEqual(('own_t',), wanted.get(TYPE).values)
        self.assertIsNone(wanted.get('isolation:other'))

    def test_every_value_of_the_table(self):
        for key, (taken, refused) in test_extra_specs.VALUES.items():
            beside = dict(KNOWN.rows[key].requires)
            for text in taken:
                wanted = parse({**beside, key: text})
                self.assertEqual((), wanted.problems, (key, text))
                self.assertEqual(
                    KNOWN.rows[key].parse(text), wanted.get(key).values
                )
            for text in (*refused, None, 7, True):
                problem = self.problem(
                    {**beside, key: text}, 'spec.invalid_value', key
                )
                self.assertEqual(KNOWN.rows[key].allowed, problem.wanted)
                self.assertEqual(repr(text), problem.found)

    def test_companions_do_not_stand_alone(self):
        for key, spec in KNOWN.rows.items():
            for other, value in spec.requires:
                problem = self.problem(
                    {key: spec.example}, 'spec.conflict', key
                )
                self.assertIn(f'{other}={value}', problem.wanted)

    def test_unknown(self):
        for key in (
            'isolation:', 'isolation:nonsense', 'isolation:svirts',
            'isolation:svirt:selinux', 'isolation:isolation:svirt',
            'isolation:Svirt', 'isolation: svirt',
        ):  # fmt: skip
            self.problem({key: 'selinux'}, 'spec.unknown', key)

    def test_unknown_names_the_nearest(self):
        problem = self.problem({'isolation:svrit': 'any'}, 'spec.unknown')
        self.assertEqual(SVIRT, problem.wanted)
        problem = self.problem(
            {f'isolation:{"#" * 40}': 'any'}, 'spec.unknown'
        )
        self.assertIn(HYPERVISOR, problem.wanted)

    def test_near_misses_of_the_namespace(self):
        for key in (
            'Isolation:svirt', 'ISOLATION:SVIRT', ' isolation:svirt',
            'isolation:svirt ', 'isolation:svirt\n', '\tisolation:svirt',
        ):  # fmt: skip
            problem = self.problem({key: 'selinux'}, 'spec.unknown', key)
            if 'SVIRT' not in key:
                self.assertEqual(SVIRT, problem.wanted)

    def test_reserved(self):
        for key in (
            'isolation:memory-label', 'isolation:memory_boot',
            'isolation:memory', 'isolation:memory_label',
        ):  # fmt: skip
            for value in ('', 'true', None):
                self.problem({key: value}, 'spec.reserved', key)

    def test_type_without_its_model(self):
        problem = self.problem({TYPE: 'own_t'}, 'spec.conflict', TYPE)
        self.assertEqual('no isolation:svirt', problem.found)
        for model in ('apparmor', 'any'):
            problem = self.problem(
                {TYPE: 'own_t', SVIRT: model}, 'spec.conflict', TYPE
            )
            self.assertEqual(f'isolation:svirt={model}', problem.found)

    def test_a_neighbour_that_is_not_valid_is_one_problem(self):
        self.problem(
            {TYPE: 'own_t', SVIRT: 'SELINUX'}, 'spec.invalid_value', SVIRT
        )

    def test_hypervisor_that_does_not_have_it(self):
        for key, value in (
            (SVIRT, 'any'),
            ('isolation:qemu_sandbox', 'true'),
        ):
            self.problem({HYPERVISOR: 'xen', key: value}, 'spec.conflict', key)
            for hypervisor in ('kvm', 'qemu', 'xen,kvm', 'qemu,xen'):
                wanted = parse({HYPERVISOR: hypervisor, key: value})
                self.assertEqual((), wanted.problems)

    def test_device_models_of_xen(self):
        for key, value in (
            ('isolation:qemu_hardening', 'pie'),
            ('isolation:qemu_absent', 'floppy'),
        ):
            wanted = parse({HYPERVISOR: 'xen', key: value})
            self.assertEqual((), wanted.problems)

    def test_type_on_xen(self):
        wanted = parse({HYPERVISOR: 'xen', SVIRT: 'selinux', TYPE: 'a_t'})
        self.assertCodes(['spec.conflict'], wanted.problems)
        self.assertEqual({SVIRT, TYPE}, {p.key for p in wanted.problems})

    def test_xen_and_certification_go_together(self):
        wanted = parse({HYPERVISOR: 'xen', 'isolation:certification': 'A'})
        self.assertEqual((), wanted.problems)

    def test_one_problem_does_not_hide_another(self):
        wanted = parse(
            {
                'isolation:nonsense': '1',
                'isolation:memory': '1',
                'isolation:qemu_sandbox': 'yes',
                TYPE: 'own_t',
                'isolation:certification': 'LSPP',
            }
        )
        self.assertCodes(
            [
                'spec.unknown',
                'spec.reserved',
                'spec.invalid_value',
                'spec.conflict',
            ],
            wanted.problems,
        )
        self.assertIsNotNone(wanted.get('isolation:certification'))

    def test_order_of_the_extra_specs_does_not_matter(self):
        specs = {SVIRT: 'any', 'isolation:a': '', HYPERVISOR: 'xen,kvm'}
        self.assertEqual(
            parse(specs), parse(dict(reversed(list(specs.items()))))
        )
        self.assertEqual(
            hash(parse(specs)),
            hash(parse(dict(reversed(list(specs.items()))))),
        )

    def test_a_row_of_another_package(self):
        own = test_vocabulary.row(
            requires=((SVIRT, 'any'),), compatible=((HYPERVISOR, ('kvm',)),)
        )
        known = vocabulary.Vocabulary(
            {
                'own': [own],
                'svirt': KNOWN.of('svirt'),
                'hypervisor': KNOWN.of('hypervisor'),
            }
        )
        good = {'isolation:own': 'a', SVIRT: 'any'}
        self.assertFalse(requirements.parse(good, known).problems)
        for specs in (
            {'isolation:own': 'a'},
            {**good, SVIRT: 'selinux'},
            {**good, HYPERVISOR: 'qemu'},
        ):
            wanted = requirements.parse(specs, known)
            self.assertCodes(['spec.conflict'], wanted.problems)

    @hypothesis.given(strategies.extra_specs)
    def test_round_trip(self, specs):
        wanted = parse(specs)
        self.assertEqual((), wanted.problems)
        self.assertEqual(set(specs), set(wanted.extra_specs))
        self.assertEqual(wanted, parse(wanted.extra_specs))

    @hypothesis.given(
        st.dictionaries(
            st.text()
            | st.text().map('isolation:{}'.format)
            | st.sampled_from(sorted(KNOWN.rows)),
            st.text()
            | st.none()
            | st.sampled_from(('kvm', 'selinux', 'true', 'pie,nx', 'LSPP')),
        )
    )
    def test_any_text_gives_a_clean_result(self, specs):
        wanted = parse(specs)
        ours = {key for key in specs if vocabulary.is_ours(key)}
        told = {p.key for p in wanted.problems} | set(wanted.extra_specs)
        self.assertEqual(ours, told)
        self.assertEqual(bool(ours), bool(wanted))
        self.assertEqual(bool(ours), requirements.is_tagged(specs))
        self.assertHelpful(wanted.problems)

    @hypothesis.given(st.text(), st.text())
    def test_nothing_of_ours_is_passed_over(self, key, value):
        wanted = parse({f'isolation:{key}': value})
        self.assertTrue(wanted.items or wanted.problems)
        if f'isolation:{key}' not in KNOWN.rows:
            self.assertTrue(wanted.problems)
