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

"""Tests of nova_isolation.mechanisms.certification.mechanism."""

from nova_isolation.mechanisms.certification import mechanism
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

KEY = 'isolation:certification'
UNDECLARED = 'certification.undeclared'
PRECONDITION = 'certification.precondition'


def _host(*names, files=()):
    return fakes.Host(files, certifications=names)


FIPS = {fakes.FIPS: '1\n'}
CHANGED = fakes.Guest(uuid='host changed')


class CertificationContractTest(contract.Contract, base.TestCase):
    """The contract."""

    mechanism_class = mechanism.CertificationMechanism
    malformed = (
        {'LSPP': None},
        {'LSPP': 'selinux_mls'},
        {'LSPP': [1]},
        {'LSPP': [None]},
        {'LSPP': {}},
        {'CAPP': [], 'LSPP': True},
    )
    cases = (
        contract.Case(
            {KEY: 'EAL4'},
            [_host('EAL4'), _host('LSPP', 'EAL4')],
            [(UNDECLARED, _host()), (UNDECLARED, _host('EAL4_PLUS'))],
            [fakes.Guest()],
            [(UNDECLARED, CHANGED)],
        ),
        contract.Case(
            {KEY: 'LSPP,CAPP'},
            [_host('LSPP', 'CAPP', files=fakes.SELINUX_MLS)],
            [
                (UNDECLARED, _host('LSPP', files=fakes.SELINUX_MLS)),
                (
                    PRECONDITION,
                    _host('LSPP', 'CAPP', files=fakes.SELINUX_MCS),
                ),
                (PRECONDITION, _host('LSPP', 'CAPP')),
            ],
            [fakes.Guest()],
            [(UNDECLARED, CHANGED)],
        ),
        contract.Case(
            {KEY: 'RBACPP'},
            [_host('RBACPP', files=fakes.SELINUX_MCS)],
            [
                (
                    PRECONDITION,
                    _host('RBACPP', files=fakes.SELINUX_PERMISSIVE),
                ),
                (PRECONDITION, _host('RBACPP', files=fakes.APPARMOR_ON)),
            ],
            [fakes.Guest()],
            [(UNDECLARED, CHANGED)],
        ),
        contract.Case(
            {KEY: 'FIPS_140_2,FIPS_140_3'},
            [_host('FIPS_140_2', 'FIPS_140_3', files=FIPS)],
            [
                (PRECONDITION, _host('FIPS_140_2', 'FIPS_140_3')),
                (
                    PRECONDITION,
                    _host('FIPS_140_2', 'FIPS_140_3', files={fakes.FIPS: '0'}),
                ),
            ],
            [fakes.Guest()],
            [(UNDECLARED, CHANGED)],
        ),
    )

    def broken_options(self):
        """One whose preconditions cannot be measured."""
        return {'certification': {'declared': ['LSPP']}}

    def verify(self, case, guest):
        """Nothing is of the guest; the facts are measured anew."""
        if guest is not CHANGED:
            return super().verify(case, guest)
        return list(
            self.mechanism.verify(
                guest, self.wanted(case), self.read_back(_host()), _host()
            )
        )

    def test_section(self):
        host = _host('LSPP', 'CAPP', files=fakes.SELINUX_MCS)
        self.assertEqual(
            {'LSPP': ['selinux_enforcing'], 'CAPP': []},
            self.section(host),
        )

    def test_forgotten_preconditions_do_not_hold(self):
        case = self.cases[1]
        good = self.section(case.good[0])
        for lacking in ('selinux_mls', 'selinux_enforcing'):
            holding = [w for w in good['LSPP'] if w != lacking]
            answer = self.decide(case, {**good, 'LSPP': holding})
            self.assertCodes([PRECONDITION], answer.unmet)
            self.assertEqual(f'LSPP without {lacking}', answer.unmet[0].found)

    def test_names_that_no_flavor_could_ask_for(self):
        for name in ('', 'lspp', 'EAL4+', 'A B', 'A' * 256):
            self.assertRaises(ValueError, self.mechanism.measure, _host(name))

    def test_unreadable_state_is_not_taken_for_good(self):
        for path in (fakes.ENFORCE, fakes.MLS, fakes.KERNEL):
            for broken in (PermissionError('no'), 'nonsense', ''):
                files = {**fakes.SELINUX_MLS, path: broken}
                self.assertRaises(
                    (OSError, ValueError),
                    self.mechanism.measure,
                    _host('LSPP', files=files),
                )

    def test_unreadable_state_that_nobody_needs(self):
        files = {fakes.ENFORCE: PermissionError('no')}
        self.assertEqual(
            {'CAPP': []}, self.section(_host('CAPP', files=files))
        )

    def test_traits(self):
        read = self.mechanism.read(
            {'LSPP': ['selinux_enforcing'], 'CAPP': [], 'EAL4': []}
        )
        self.assertEqual(
            {
                'CUSTOM_ISOLATION_CERTIFICATION_CAPP',
                'CUSTOM_ISOLATION_CERTIFICATION_EAL4',
            },
            self.mechanism.traits(read),
        )

    def test_the_tables_fit(self):
        (spec,) = self.mechanism.extra_specs
        for name, conditions in mechanism.CERTIFICATIONS.items():
            self.assertEqual((name,), spec.parse(name))
            self.assertLessEqual(set(conditions), set(mechanism.PRECONDITIONS))
