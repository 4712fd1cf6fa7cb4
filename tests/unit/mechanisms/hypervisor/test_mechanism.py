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

"""Tests of nova_isolation.mechanisms.hypervisor.mechanism."""

from nova_isolation.mechanisms.hypervisor import mechanism
from nova_isolation.testing import fakes as public_fakes
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

KEY = 'isolation:hypervisor'
KVM = fakes.Host(domain='kvm')
QEMU = fakes.Host(domain='qemu')
XEN = fakes.Host(domain='xen', xen=public_fakes.FakeXen())
LXC = fakes.Host(domain='lxc')
OTHER = 'hypervisor.other'


class HypervisorContractTest(contract.Contract, base.TestCase):
    """The contract."""

    mechanism_class = mechanism.HypervisorMechanism
    malformed = ({'type': None}, {'type': 1}, {'type': ['kvm']}, {'Type': 'x'})
    cases = (
        contract.Case(
            {KEY: 'kvm'},
            [KVM],
            [(OTHER, QEMU), (OTHER, XEN), (OTHER, LXC)],
            [fakes.Guest()],
            [(OTHER, fakes.Guest(type='qemu')), (OTHER, fakes.Guest(type=''))],
        ),
        contract.Case(
            {KEY: 'qemu,kvm'},
            [KVM, QEMU],
            [(OTHER, XEN)],
            [fakes.Guest(), fakes.Guest(type='qemu')],
            [(OTHER, fakes.Guest(type='kvm,qemu'))],
        ),
        contract.Case(
            {KEY: 'xen'},
            [XEN],
            [(OTHER, KVM)],
            [fakes.Guest(type='xen')],
            [
                (OTHER, fakes.Guest(type='XEN')),
                (OTHER, fakes.Guest(type='xen', uuid=public_fakes.UUID[::-1])),
                (OTHER, fakes.Guest(type='xen', id=2)),
            ],
        ),
    )

    def traits(self, value):
        wanted = self.wanted(contract.Case({KEY: value}, [], [], [], []))
        return self.mechanism.required_traits(wanted.items[0])

    def test_one_is_required_of_placement_a_choice_is_not(self):
        self.assertEqual(
            {'CUSTOM_ISOLATION_HYPERVISOR_KVM'}, self.traits('kvm')
        )
        self.assertEqual(frozenset(), self.traits('kvm,qemu'))

    def test_twice_the_same_is_no_choice(self):
        self.assertEqual(self.traits('kvm'), self.traits('kvm,kvm'))

    def test_guest_whose_xml_is_broken(self):
        guest = fakes.Guest()
        for text in ('', '<domain', 'kvm'):
            guest.domain_xml = lambda text=text: text
            self.assertRaises(ValueError, self.verify, self.cases[0], guest)

    def test_guest_without_a_type(self):
        guest = fakes.Guest()
        guest.domain_xml = lambda: '<domain/>'
        (unmet,) = self.verify(self.cases[0], guest)
        self.assertCodes([OTHER], [unmet])

    def test_xml_that_says_xen_on_a_host_without_xen(self):
        case = contract.Case(
            {KEY: 'kvm,xen'}, [KVM], [], [fakes.Guest(type='xen')], []
        )
        (unmet,) = self.verify(case, case.guests[0])
        self.assertCodes([OTHER], [unmet])
