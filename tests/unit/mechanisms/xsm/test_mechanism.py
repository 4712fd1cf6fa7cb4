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

"""Tests of nova_isolation.mechanisms.xsm.mechanism."""

import dataclasses

from lxml import etree

from nova_isolation.decision import guest_image
from nova_isolation.mechanisms.xsm import mechanism
from nova_isolation.probes.xen import answers
from nova_isolation.testing import fakes as public_fakes
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

LABEL, ISOLATED = 'isolation:xsm_label', 'isolation:xsm_isolated'
MODEL, BACKEND = 'isolation:xsm_device_model', 'isolation:xsm_backend'
DOM0 = 'isolation:xsm_dom0'
FLASK = public_fakes.FLASK


def uuid(number):
    """The UUID of a domain."""
    return f'11111111-2222-4333-8444-{number:012}'


def domain(number, type_='isolated_domU_t', **more):
    """A domain of a guest."""
    label = type_ if ':' in type_ else FLASK + type_
    found = answers.Domain(number, uuid(number), label, True, False, False)
    return dataclasses.replace(found, **more)


def disk(driver='vbd', backend=0, kind='vbd'):
    """A disk or a port."""
    return answers.Device(kind, '51712', backend, driver, 2)


def guest(number, **more):
    """The guest of a domain."""
    given = {'uuid': uuid(number), 'id': number, **more}
    return fakes.Guest(type='xen', **given)


def hypervisor(**changes):
    """A hypervisor that differs from that of a FakeXen."""
    return dataclasses.replace(public_fakes.FakeXen().hypervisor, **changes)


def process(name, type_, number=None, pid=9):
    """A process of dom0."""
    return answers.Process(name, f'{FLASK}{type_}:s0', number, pid)


def with_types(nova_compute='nova_compute_t', helper='nova_helper_t'):
    """The processes of dom0, with other types of nova-compute's."""
    return [
        *public_fakes.XEN_PROCESSES[:4],
        process('nova-compute', nova_compute),
        process('helper of nova-compute', helper),
    ]


#: By their numbers, the domains of each Xen host here.
DOMAINS = {
    2: domain(2),
    3: domain(3, 'domU_t'),
    4: domain(4, 'system_u:object_r:isolated_domU_t'),
    5: domain(5, 'user_1:vm_r:isolated_domU_t'),
    6: domain(6, 'drvdom_t'),
    7: domain(7),
    8: domain(8),
    9: domain(9),
    10: domain(10),
    11: domain(11),
    12: domain(12, dying=True),
    13: domain(13),
}
DEVICES = {
    2: public_fakes.XEN_DEVICES,
    # Its disk is served by a QEMU.
    7: [disk('qdisk')],
    # xenstore has nothing of it.
    8: [],
    # The driver domain serves it.
    9: [disk(backend=6), disk('vif', 6, 'vif')],
    # A guest would serve it, and nobody.
    10: [disk(backend=2)],
    11: [disk(backend=99)],
    # Served by both.
    13: [disk(backend=6), disk()],
}


def xen(**changes):
    """A Xen host's hypervisor."""
    result = public_fakes.FakeXen()
    result.domains = [result.domains[0], *DOMAINS.values()]
    result.devices = DEVICES
    vars(result).update(changes)
    return result


def host(xen, permissive=(), files=fakes.SELINUX_MCS, **options):
    """A Xen host."""
    options = {'backends': ['drvdom_t'], **options}
    return fakes.Host(
        files, domain='xen', permissive=permissive, xen=xen, xsm=options
    )


GOOD = host(xen())
KVM = fakes.Host()
ABSENT = host(xen(hypervisor=hypervisor(flask=answers.ABSENT, seqno=0)))
PERMISSIVE = host(xen(hypervisor=hypervisor(flask=answers.PERMISSIVE)))
NOT_CREATABLE = host(xen(creatable=['domU_t', 'drvdom_t'],
                         others=['dom0_t', 'isolated_domU_t']))  # fmt: skip
UNKNOWN_LABEL = host(xen(creatable=['domU_t'], others=['dom0_t']))
ONLY_PLAIN = host(xen(), labels=['domU_t'])
#: The policy of a careless administrator.
TALKING = {
    *public_fakes.FakeXen().talking,
    ('isolated_domU_t', 'isolated_domU_t'),
}
TO_PLAIN = {*public_fakes.FakeXen().talking, ('domU_t', 'isolated_domU_t')}
BAD_XSM = [
    ('xsm.no_xen', KVM),
    ('xsm.absent', ABSENT),
    ('xsm.not_enforcing', PERMISSIVE),
]
SELINUX_OFF = host(xen(), files={**fakes.SELINUX_MCS, fakes.ENFORCE: '0'})
DOM0_BAD = [
    *BAD_XSM,
    ('xsm.dom0', SELINUX_OFF),
    ('xsm.dom0', host(xen(), permissive=('virtd_t',))),
    ('xsm.dom0', host(xen(), permissive=('xendm_t',))),
    (
        'xsm.dom0',
        host(
            xen(
                dom0=[
                    *public_fakes.XEN_PROCESSES[1:],
                    process('libvirt', 'initrc_t'),
                ]
            )
        ),
    ),
    ('xsm.dom0', host(xen(dom0=public_fakes.XEN_PROCESSES[1:]))),
    (
        'xsm.dom0',
        host(
            xen(
                dom0=[
                    *public_fakes.XEN_PROCESSES,
                    process('device model', 'virtd_t', 7),
                ]
            )
        ),
    ),
    ('xsm.dom0', host(xen(), device_model_type='other_t')),
    ('xsm.dom0', host(xen(), nova_compute_type='other_t')),
    ('xsm.dom0', host(xen(), nova_helper_type='other_t')),
    ('xsm.dom0', host(xen(), permissive=('nova_compute_t',))),
    ('xsm.dom0', host(xen(), permissive=('nova_helper_t',))),
    # As Debian's policy runs a service without rules of its own.
    ('xsm.dom0', host(xen(dom0=with_types(nova_compute='initrc_t')))),
    ('xsm.dom0', host(xen(dom0=with_types(helper='initrc_t')))),
    (
        'xsm.dom0',
        host(
            xen(
                dom0=[
                    *public_fakes.XEN_PROCESSES,
                    # One of several.
                    process('helper of nova-compute', 'initrc_t'),
                ]
            )
        ),
    ),
]


class XsmContractTest(contract.Contract, base.TestCase):
    """The contract."""

    mechanism_class = mechanism.XsmMechanism
    cases = (
        contract.Case(
            {LABEL: 'isolated_domU_t'},
            [GOOD, host(xen(), labels=['isolated_domU_t'])],
            [
                *BAD_XSM,
                ('xsm.no_label', ONLY_PLAIN),
                ('xsm.no_label', NOT_CREATABLE),
                ('xsm.no_label', UNKNOWN_LABEL),
            ],
            [guest(2)],
            [
                ('xsm.wrong_label', guest(3)),
                ('xsm.wrong_label', guest(4)),
                ('xsm.wrong_label', guest(5)),
            ],
        ),
        contract.Case(
            {LABEL: 'user_1:vm_r:isolated_domU_t'},
            [host(xen(), labels=['user_1:vm_r:isolated_domU_t'])],
            [('xsm.no_label', GOOD)],
            [guest(5)],
            [('xsm.wrong_label', guest(2))],
        ),
        contract.Case(
            {LABEL: 'isolated_domU_t', ISOLATED: 'True'},
            [GOOD],
            [('xsm.not_isolated', host(xen(talking=TALKING)))],
            [guest(2)],
            [],
        ),
        contract.Case(
            {LABEL: 'isolated_domU_t', ISOLATED: 'true'},
            [GOOD],
            [
                *BAD_XSM,
                ('xsm.not_isolated', host(xen(talking=TALKING))),
                ('xsm.not_isolated', host(xen(talking=TO_PLAIN))),
            ],
            [guest(2)],
            [],
        ),
        contract.Case(
            {MODEL: 'none'},
            [GOOD],
            BAD_XSM,
            [guest(2)],
            [
                ('xsm.device_model', guest(7)),
                ('xsm.device_model', guest(8)),
            ],
        ),
        contract.Case(
            {BACKEND: 'dom0'},
            [GOOD],
            DOM0_BAD,
            [guest(2)],
            [
                ('xsm.backend', guest(8)),
                ('xsm.backend', guest(9)),
                ('xsm.backend', guest(10)),
                ('xsm.backend', guest(11)),
                ('xsm.backend', guest(13)),
            ],
        ),
        contract.Case(
            {DOM0: 'selinux'},
            [
                GOOD,
                # The helper does not run all the time.
                host(xen(dom0=public_fakes.XEN_PROCESSES[:5])),
                host(
                    xen(dom0=with_types('own_t', 'other_t')),
                    nova_compute_type='own_t',
                    nova_helper_type='other_t',
                ),
            ],
            DOM0_BAD,
            [guest(2), guest(7)],
            [],
        ),
    )

    def codes(self, specs, guest, xen):
        """The codes of what is unmet by now."""
        facts = self.measure(GOOD)
        wanted = self.wanted(contract.Case(specs, [], [], [], []))
        return sorted(
            {
                getattr(found, 'code', 'proven').removeprefix('isolation.')
                for found in self.mechanism.verify(
                    guest, wanted, facts, host(xen)
                )
            }
        )

    def test_what_changed_after_the_measurement(self):
        everything = {
            LABEL: 'isolated_domU_t',
            ISOLATED: 'true',
            MODEL: 'none',
            BACKEND: 'dom0',
            DOM0: 'selinux',
        }
        self.assertEqual(['proven'], self.codes(everything, guest(2), xen()))
        for code, changes in (
            ('xsm.policy_changed', {'seqno': 2}),
            ('xsm.policy_changed', {'build_id': 'ff'}),
            ('xsm.not_enforcing', {'flask': answers.PERMISSIVE}),
            ('xsm.not_enforcing', {'flask': answers.ABSENT, 'seqno': 0}),
        ):
            now = xen(hypervisor=hypervisor(**changes))
            self.assertEqual([code], self.codes(everything, guest(2), now))

    def test_domain_that_is_not_there_or_another_one(self):
        specs = {LABEL: 'isolated_domU_t'}
        for started in (
            guest(99),
            # It is being destroyed.
            guest(12),
            # libvirt means another number.
            guest(2, uuid=uuid(3)),
        ):
            self.assertRaises(ValueError, self.codes, specs, started, xen())
        twice = xen(domains=[*xen().domains, domain(77, uuid=uuid(2))])
        self.assertRaises(ValueError, self.codes, specs, guest(2), twice)

    def test_running_guest_of_another_type_that_it_reaches(self):
        # Neither the flavors nor the configuration name that type.
        specs = {LABEL: 'isolated_domU_t', ISOLATED: 'true'}
        found = xen(creatable=[*xen().creatable, 'own_t'],
                    talking={*xen().talking, ('own_t', 'isolated_domU_t')},
                    domains=[*xen().domains, domain(50, 'own_t')])  # fmt: skip
        self.assertEqual(
            ['proven', 'xsm.not_isolated'], self.codes(specs, guest(2), found)
        )

    def test_running_guest_of_a_type_that_the_policy_has_not(self):
        specs = {LABEL: 'isolated_domU_t', ISOLATED: 'true'}
        found = xen(domains=[*xen().domains, domain(50, 'gone_t')])
        self.assertEqual(
            ['proven', 'xsm.not_isolated'], self.codes(specs, guest(2), found)
        )

    def test_guest_without_a_label_of_its_own_is_not_isolated(self):
        case = contract.Case({ISOLATED: 'true'}, [], [], [], [])
        self.assertCodes(
            ['xsm.not_isolated'], self.judge(case, self.measure(GOOD))
        )

    def test_device_models(self):
        specs = {MODEL: 'none'}
        working = xen(
            dom0=[
                *public_fakes.XEN_PROCESSES,
                process('device model', 'xendm_t', 2),
            ]
        )
        self.assertEqual(
            ['xsm.device_model'], self.codes(specs, guest(2), working)
        )
        noted = xen(models={2})
        self.assertEqual(
            ['xsm.device_model'], self.codes(specs, guest(2), noted)
        )
        case = contract.Case({MODEL: 'dm_dom_t'}, [], [], [], [])
        self.assertCodes(
            ['xsm.no_stub_domain'], self.judge(case, self.measure(GOOD))
        )

    def judge_image(self, specs, **properties):
        """What is unmet of an image."""
        wanted = self.wanted(contract.Case(specs, [], [], [], []))
        return guest_image.decide(wanted, properties, self.mechanisms).unmet

    def test_image_of_hvm_guests(self):
        everything = {
            LABEL: 'isolated_domU_t',
            ISOLATED: 'true',
            BACKEND: 'dom0',
            DOM0: 'selinux',
        }
        for properties in (
            {'hw_machine_type': 'xenfv'},
            {'hw_machine_type': 'xenfv', 'hw_vm_mode': 'xen'},
            {'hw_vm_mode': 'hvm'},
            {'hw_vm_mode': 'hvm', 'hw_machine_type': 'pc'},
        ):
            unmet = self.judge_image({MODEL: 'none'}, **properties)
            self.assertCodes(['xsm.device_model'], unmet)
            self.assertIn(next(iter(properties)), str(unmet[0]))
            # Whether there are stub domains is the host's to say.
            for specs in (everything, {MODEL: 'dm_dom_t'}):
                self.assertEqual((), self.judge_image(specs, **properties))

    def test_image_of_others(self):
        for properties in (
            {},
            {'hw_machine_type': 'pc'},
            {'hw_machine_type': 'xenpv'},
            {'hw_machine_type': 'xenpvh', 'hw_vm_mode': 'hvm'},
            {'hw_vm_mode': 'xen'},
        ):
            unmet = self.judge_image({MODEL: 'none'}, **properties)
            self.assertEqual((), unmet, properties)

    def test_processes_that_cannot_be_seen(self):
        hidden = xen()

        def processes():
            raise OSError('hidepid')

        hidden.processes = processes
        facts = self.measure(host(hidden))
        self.assertIsNone(facts.dom0)
        for specs, codes in (
            ({MODEL: 'none'}, ['xsm.unknown']),
            ({BACKEND: 'dom0'}, ['xsm.unknown']),
            ({DOM0: 'selinux'}, ['xsm.unknown']),
            ({LABEL: 'domU_t'}, []),
        ):
            case = contract.Case(specs, [], [], [], [])
            self.assertCodes(codes, self.judge(case, facts))
        for specs in ({MODEL: 'none'}, {BACKEND: 'dom0'}, {DOM0: 'selinux'}):
            self.assertRaises(OSError, self.codes, specs, guest(2), hidden)

    def test_nova_compute_that_is_not_confined_any_more(self):
        for dom0 in (with_types('initrc_t'), with_types(helper='initrc_t')):
            now = xen(dom0=dom0)
            for specs, code in (
                ({DOM0: 'selinux'}, 'xsm.dom0'),
                ({BACKEND: 'dom0'}, 'xsm.dom0'),
            ):
                self.assertEqual([code], self.codes(specs, guest(2), now))

    def test_disk_that_xenstore_does_not_have(self):
        xml = (
            "<domain type='xen'><devices><disk/><disk/><interface/>"
            '</devices></domain>'
        )
        started = guest(2)
        started.domain_xml = lambda: xml
        self.assertEqual(
            ['xsm.backend'], self.codes({BACKEND: 'dom0'}, started, xen())
        )

    def test_backend_that_the_policy_does_not_let(self):
        # FLASK lets dom0 do nothing for it by now.
        silent = xen(talking=set())
        self.assertEqual(
            ['xsm.backend'], self.codes({BACKEND: 'dom0'}, guest(2), silent)
        )
        specs = {LABEL: 'isolated_domU_t', BACKEND: 'drvdom_t'}
        self.assertEqual(
            ['proven', 'xsm.backend'], self.codes(specs, guest(9), silent)
        )

    def test_driver_domain_is_never_offered(self):
        # One runs, and the policy lets it serve the guest.
        facts = self.measure(GOOD)
        specs = {BACKEND: 'drvdom_t', LABEL: 'isolated_domU_t'}
        case = contract.Case(specs, [], [], [], [])
        self.assertCodes(['xsm.no_backend'], self.judge(case, facts))

    def test_driver_domain_is_verified(self):
        """Of a domain that Nova has not made."""
        specs = {BACKEND: 'drvdom_t'}
        self.assertEqual(['proven'], self.codes(specs, guest(9), xen()))
        for number in (2, 8, 10, 11, 13):
            self.assertEqual(
                ['xsm.backend'], self.codes(specs, guest(number), xen())
            )

    def test_labels_for_no_guest(self):
        for label in (
            'dom0_t',
            'dm_dom_t',
            'xen_t',
            'domU_t_self',
            'domU_t_channel',
            'system_u:object_r:domU_t',
        ):
            found = xen(creatable=[*xen().creatable, label.split(':')[-1]])
            facts = self.measure(host(found, labels=[label, 'domU_t']))
            self.assertEqual(('domU_t',), facts.labels)
            case = contract.Case({LABEL: label}, [], [], [], [])
            self.assertCodes(['xsm.forbidden_label'], self.judge(case, facts))
            case = contract.Case({BACKEND: label}, [], [], [], [])
            self.assertCodes(['xsm.forbidden_label'], self.judge(case, facts))

    def test_label_that_the_policy_writes_differently(self):
        found = xen()
        real = found._label

        def label(text):
            answer = real(text)
            return dataclasses.replace(answer, canonical=f'{text}_alias')

        found._label = label
        self.assertEqual((), self.measure(host(found)).labels)

    def test_command_line_that_is_long(self):
        long = 'flask=enforcing ' * 60
        found = xen(hypervisor=hypervisor(command_line=long))
        facts = self.measure(host(found))
        self.assertLess(len(facts.command_line), 130)
        other = xen(hypervisor=hypervisor(command_line=f'{long}x'))
        self.assertNotEqual(
            facts.command_line, self.measure(host(other)).command_line
        )

    def test_facts_that_make_no_sense(self):
        good = self.section(GOOD)
        for changes in ({'flask': 'on'}, {'seqno': 0}, {'build_id': ''}):
            self.facts_error(self.mechanism.read, {**good, **changes})

    def definition(self, *seclabels):
        """What the hook says to these elements."""
        case = contract.Case({LABEL: 'isolated_domU_t'}, [], [], [], [])
        return self.judge_definition(
            case, etree.fromstring(f'<domain>{"".join(seclabels)}</domain>')
        )

    def test_definition(self):
        right = (
            "<seclabel type='static' model='flask' relabel='no'><label>"
            'system_u:system_r:isolated_domU_t</label></seclabel>'
        )
        other = "<seclabel type='none' model='dac'/>"
        self.assertEqual((), self.definition(right))
        self.assertEqual((), self.definition(right, other))
        for wrong in (
            (),
            (other, right),
            (right, right),
            (right, right.replace('isolated_', '')),
            (right.replace('static', 'dynamic'),),
            (right.replace("relabel='no'", "relabel='yes'"),),
            (right.replace("'flask'", "'selinux'"),),
            (right.replace('isolated_', ''),),
            (right.replace('system_r', 'object_r'),),
            (right.replace('</label>', '</label><imagelabel/>'),),
        ):
            self.assertCodes(['xsm.wrong_definition'], self.definition(*wrong))
