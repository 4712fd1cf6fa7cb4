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

"""Tests of nova_isolation.mechanisms.svirt.mechanism."""

from lxml import etree

from nova_isolation.mechanisms import base as mechanisms_base
from nova_isolation.mechanisms.svirt import mechanism
from nova_isolation.model import requirements
from nova_isolation.probes import apparmor
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

MODEL, TYPE = 'isolation:svirt', 'isolation:svirt_type'
NO_MODEL, OFF = 'svirt.no_model', 'svirt.not_enforcing'
NOT_ALLOWED, LABEL = 'svirt.type_not_allowed', 'svirt.wrong_label'
CLASH, UNKNOWN = 'svirt.category_clash', 'svirt.unknown'
DEFAULT_TYPE = 'svirt.default_type'
UNMOUNTED_CODE = 'svirt.selinux_unseen'

BOTH = {**fakes.SELINUX_MCS, **fakes.APPARMOR_ON}
SELINUX = fakes.Host(fakes.SELINUX_MCS, ('selinux', 'dac'))
SELINUX_MLS = fakes.Host(fakes.SELINUX_MLS, ('selinux', 'dac'))
PERMISSIVE = fakes.Host(fakes.SELINUX_PERMISSIVE, ('selinux', 'dac'))
# The kernel enforces, but libvirt has no driver for it.
NO_DRIVER = fakes.Host(BOTH, ('dac',))
# libvirt has a driver, but the kernel no module.
NO_MODULE = fakes.Host({}, ('selinux', 'apparmor', 'dac'))
UNREADABLE = fakes.Host(
    {
        fakes.ENFORCE: PermissionError('no'),
        fakes.APPARMOR: PermissionError('no'),
    },
    ('selinux', 'apparmor'),
)
NO_APPARMOR = fakes.Host({}, ('apparmor', 'dac'))
UNREADABLE_APPARMOR = fakes.Host(UNREADABLE.files, ('apparmor', 'dac'))
APPARMOR = fakes.Host(fakes.APPARMOR_ON, ('apparmor', 'dac'))
COMPLAIN = fakes.Host(
    {**fakes.APPARMOR_ON, fakes.APPARMOR_MODE: 'complain\n'}, ('apparmor',)
)
PLAIN = fakes.Host()
# libvirt reports the labels of its first driver alone.
SELINUX_FIRST = fakes.Host(BOTH, ('selinux', 'apparmor', 'dac'))
APPARMOR_FIRST = fakes.Host(
    {**fakes.SELINUX_PERMISSIVE, **fakes.APPARMOR_ON},
    ('apparmor', 'selinux', 'dac'),
)
HALF = fakes.Host(
    {**fakes.SELINUX_PERMISSIVE, **fakes.APPARMOR_ON}, ('selinux', 'apparmor')
)
NONE_FIRST = fakes.Host(BOTH, ('none', 'selinux', 'apparmor'))
OWN_TYPE = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), svirt_types=('own_t', 'svirt_t')
)
# Guests of this host have the type svirt_tcg_t.
TCG = fakes.Host(fakes.SELINUX_MCS, ('selinux',), domain='qemu')
# The kernel enforces, but not the type that libvirt gives to guests.
ALL_PERMISSIVE = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), permissive=('svirt_t', 'svirt_tcg_t')
)
KVM_PERMISSIVE = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), permissive=('svirt_t',)
)
TCG_PERMISSIVE = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), domain='qemu', permissive=('svirt_tcg_t',)
)
NO_TYPES = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), unknown=('svirt_t', 'svirt_tcg_t')
)
# The policy has no levels, so it has no such contexts.
NO_LEVELS = fakes.Host(
    {**fakes.SELINUX_MCS, fakes.MLS: '0'},
    ('selinux',),
    unknown=('svirt_t', 'svirt_tcg_t'),
)
NOT_ALLOWED_DEFAULT = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), types={'kvm': 'other_t'}
)
OWN_TYPE_ALONE = fakes.Host(
    fakes.SELINUX_MCS, ('selinux',), svirt_types=('own_t',)
)
NO_DEFAULT = fakes.Host(fakes.SELINUX_MCS, ('selinux',), types={})
NO_DOMAINS = fakes.Host(fakes.SELINUX_MCS, ('selinux',), domain=None)
UNMOUNTED = fakes.Host(
    {
        '/proc/filesystems': 'nodev\tsysfs\nnodev\tselinuxfs\n\text4\n',
        '/proc/self/attr/current': 'system_u:system_r:container_t:s0:c1,c2\0',
    },
    ('selinux',),
)
TEMPLATE_COMPLAINS = fakes.Host(
    {
        **fakes.APPARMOR_ON,
        apparmor.TEMPLATE: (
            'profile LIBVIRT_TEMPLATE flags=(attach_disconnected, complain) {'
        ),
    },
    ('apparmor',),
)

PROFILE = f'libvirt-{fakes.UUID}'


def confined(profile=PROFILE, process_label=None, **more):
    """A guest that AppArmor confines."""
    if process_label is None:
        process_label = f'{profile} (enforce)'
    return fakes.Guest(label=profile, process_label=process_label, **more)


def labelled(type_='svirt_t', level='s0:c1,c2', **more):
    """A guest that SELinux confines."""
    return fakes.Guest(label=f'system_u:system_r:{type_}:{level}', **more)


WRONG_SELINUX = [
    (OFF, labelled(enforced=False)),
    (LABEL, labelled(process_label='system_u:system_r:svirt_t:s0:c1,c3')),
    (LABEL, labelled(process_label='unconfined')),
    (LABEL, labelled(process_label='')),
    (LABEL, labelled('unconfined_t')),
    (LABEL, labelled('virtd_t', 's0-s0:c0.c1023')),
    (LABEL, labelled(level='s0')),
    (LABEL, fakes.Guest(label='')),
    (LABEL, confined()),
    (CLASH, labelled(others={'a': labelled().label})),
    (CLASH, labelled(others={'a': 'unconfined'})),
]

WRONG_APPARMOR = [
    (OFF, confined(enforced=False)),
    (LABEL, confined(process_label=f'{PROFILE} (complain)')),
    (LABEL, confined(process_label=f'{PROFILE} (kill)')),
    (LABEL, confined(process_label=f'{PROFILE} (unconfined)')),
    (LABEL, confined(process_label=PROFILE)),
    (LABEL, confined(process_label='unconfined')),
    (LABEL, confined(process_label='')),
    (LABEL, confined(process_label=f'{PROFILE}//child (enforce)')),
    (LABEL, confined(process_label=f'{PROFILE} (enforce) ')),
    (LABEL, confined(profile='libvirt-other')),
    (LABEL, confined(profile='libvirtd')),
    (LABEL, confined(profile='')),
    (LABEL, confined(profile=PROFILE.upper())),
    (
        LABEL,
        fakes.Guest(label='unconfined', process_label=f'{PROFILE} (enforce)'),
    ),
    (LABEL, labelled()),
]


#: Hosts whose guests would get a label that nobody could prove.
DEFAULTS = [
    (DEFAULT_TYPE, ALL_PERMISSIVE),
    (DEFAULT_TYPE, KVM_PERMISSIVE),
    (DEFAULT_TYPE, TCG_PERMISSIVE),
    (DEFAULT_TYPE, NO_TYPES),
    (DEFAULT_TYPE, NO_LEVELS),
    (DEFAULT_TYPE, NOT_ALLOWED_DEFAULT),
    (DEFAULT_TYPE, OWN_TYPE_ALONE),
    (UNKNOWN, NO_DEFAULT),
    (UNKNOWN, NO_DOMAINS),
]


class SvirtContractTest(contract.Contract, base.TestCase):
    """The contract."""

    mechanism_class = mechanism.SvirtMechanism
    malformed = (
        {'models': ['selinux'], 'selinux': 'enforcing'},
        {
            'models': 'selinux', 'selinux': 'enforcing', 'policy': None,
            'apparmor': None, 'types': [],
        },
        {
            'models': ['selinux'], 'selinux': True, 'policy': None,
            'apparmor': None, 'types': [],
        },
        {
            'models': ['selinux'], 'selinux': 'enforcing', 'policy': None,
            'apparmor': None, 'types': None,
        },
        {
            'models': [], 'selinux': None, 'policy': None, 'apparmor': None,
            'types': [], 'default': None, 'more': 1,
        },
        {
            'models': [], 'selinux': None, 'policy': None, 'apparmor': None,
            'types': [],
        },
        {
            'models': ['selinux', 'apparmor'], 'selinux': 'enforcing',
            'policy': None, 'apparmor': 'enforcing', 'types': ['svirt_t'],
            'default': 'svirt_t',
        },
    )  # fmt: skip
    cases = (
        contract.Case(
            {MODEL: 'selinux'},
            [SELINUX, SELINUX_MLS, SELINUX_FIRST, OWN_TYPE, TCG],
            [
                (NO_MODEL, PLAIN),
                (NO_MODEL, APPARMOR),
                (NO_MODEL, APPARMOR_FIRST),
                (NO_MODEL, NONE_FIRST),
                (NO_MODEL, NO_DRIVER),
                *DEFAULTS,
                (UNMOUNTED_CODE, UNMOUNTED),
                (OFF, PERMISSIVE),
                (OFF, HALF),
                (OFF, NO_MODULE),
                (UNKNOWN, UNREADABLE),
            ],
            [
                labelled(),
                labelled('svirt_tcg_t'),
                labelled(others={'a': labelled(level='s0:c1,c3').label}),
            ],
            WRONG_SELINUX,
        ),
        contract.Case(
            {MODEL: 'selinux', TYPE: 'own_t'},
            [OWN_TYPE, OWN_TYPE_ALONE],
            [(NOT_ALLOWED, SELINUX), (NOT_ALLOWED, SELINUX_FIRST)],
            [labelled('own_t')],
            [(LABEL, labelled()), (LABEL, labelled('svirt_tcg_t'))],
        ),
        contract.Case(
            {MODEL: 'apparmor'},
            [APPARMOR, APPARMOR_FIRST],
            [
                (NO_MODEL, PLAIN),
                (NO_MODEL, SELINUX),
                (NO_MODEL, SELINUX_FIRST),
                (NO_MODEL, HALF),
                (NO_MODEL, NONE_FIRST),
                (NO_MODEL, NO_DRIVER),
                (OFF, COMPLAIN),
                (OFF, TEMPLATE_COMPLAINS),
                (OFF, NO_APPARMOR),
                (UNKNOWN, UNREADABLE_APPARMOR),
            ],
            [confined()],
            WRONG_APPARMOR,
        ),
        contract.Case(
            {MODEL: 'any'},
            [SELINUX, APPARMOR, SELINUX_FIRST, APPARMOR_FIRST],
            [
                (NO_MODEL, PLAIN),
                (NO_MODEL, NO_DRIVER),
                *DEFAULTS,
                (UNMOUNTED_CODE, UNMOUNTED),
                (OFF, PERMISSIVE),
                (OFF, HALF),
                (OFF, TEMPLATE_COMPLAINS),
                (OFF, COMPLAIN),
                (OFF, NO_MODULE),
                (UNKNOWN, UNREADABLE),
            ],
            [labelled()],
            WRONG_SELINUX,
        ),
        contract.Case(
            {MODEL: 'any'},
            [APPARMOR_FIRST, APPARMOR],
            [(NO_MODEL, PLAIN)],
            [confined()],
            WRONG_APPARMOR,
        ),
    )

    def seclabels(self, case, host, text=contract.DOMAIN):
        """The <seclabel> elements of a confined domain, without dac."""
        domain = etree.fromstring(text)
        self.confine(domain, case, host)
        return [
            (dict(e.attrib), e.findtext('baselabel'))
            for e in domain.findall('seclabel')
            if e.get('model') != 'dac'
        ]

    def test_measured(self):
        self.assertEqual(
            {
                'models': ['selinux'],
                'selinux': 'enforcing',
                'policy': 'mls',
                'apparmor': 'disabled',
                'types': ['svirt_t', 'svirt_tcg_t'],
                'default': 'svirt_t',
            },
            self.section(SELINUX_MLS),
        )
        self.assertEqual(
            {
                'models': ['apparmor'],
                'selinux': 'disabled',
                'policy': None,
                'apparmor': 'enforcing',
                'types': [],
                'default': None,
            },
            self.section(APPARMOR),
        )

    def test_one_unknown_state_leaves_the_others(self):
        files = {**BOTH, fakes.ENFORCE: OSError('no')}
        measured = self.section(fakes.Host(files, ('selinux', 'apparmor')))
        self.assertIsNone(measured['selinux'])
        self.assertIsNone(measured['policy'])
        self.assertEqual('enforcing', measured['apparmor'])

    def test_types_that_are_not_enforced(self):
        host = fakes.Host(
            fakes.SELINUX_MCS,
            ('selinux',),
            svirt_types=('a_t', 'b_t', 'c_t'),
            permissive=('a_t',),
            unknown=('c_t',),
        )
        facts = self.mechanism.measure(host)
        self.assertEqual(('b_t',), facts.types)

    def test_other_names_of_a_type(self):
        # Of a started guest the kernel shows the first name alone.
        for svirt_types, types, default in (
            (('svirt_t', 'qemu_t'), ('svirt_t',), 'svirt_t'),
            (('qemu_t',), (), 'svirt_t'),
        ):
            for given in ('svirt_t', 'qemu_t'):
                host = fakes.Host(
                    fakes.SELINUX_MCS,
                    ('selinux',),
                    svirt_types=svirt_types,
                    types={'kvm': given},
                    aliases={'qemu_t': 'svirt_t'},
                )
                facts = mechanism.SvirtMechanism().measure(host)
                self.assertEqual(
                    (types, default), (facts.types, facts.default)
                )
                self.assertEqual(bool(types), facts.is_default_proven)

    def test_the_type_of_the_virt_type(self):
        for domain, default in fakes.TYPES.items():
            host = fakes.Host(fakes.SELINUX_MCS, ('selinux',), domain)
            facts = mechanism.SvirtMechanism().measure(host)
            self.assertEqual(default, facts.default)

    def test_types_that_nobody_can_tell_of(self):
        for error in (PermissionError('no'), None, 'no number'):
            files = {**fakes.SELINUX_MCS, fakes.PROCESS: error}
            host = fakes.Host(files, ('selinux',))
            facts = self.mechanism.measure(host)
            self.assertIsNone(facts.types)
            case = contract.Case({MODEL: 'selinux'}, [host], [], [], [])
            self.assertCodes([UNKNOWN], self.judge(case, facts))
            self.assertCodes([UNKNOWN], self.verify(case, labelled()))

    def test_types_that_no_flavor_could_ask_for(self):
        for name in ('', 'a b', 'svirt_t:s0', 'a,b', '<x/>'):
            host = fakes.Host(
                fakes.SELINUX_MCS, ('selinux',), svirt_types=(name,)
            )
            self.assertRaises(ValueError, self.mechanism.measure, host)

    def test_traits(self):
        def traits(host):
            return {
                name.removeprefix('CUSTOM_ISOLATION_')
                for name in self.mechanism.traits(self.read_back(host))
            }

        types = {'SVIRT_TYPE_SVIRT_T', 'SVIRT_TYPE_SVIRT_TCG_T'}
        self.assertEqual(
            {'SVIRT_SELINUX', 'SVIRT_ANY', *types}, traits(SELINUX)
        )
        self.assertEqual({'SVIRT_APPARMOR', 'SVIRT_ANY'}, traits(APPARMOR))
        self.assertEqual(
            {'SVIRT_APPARMOR', 'SVIRT_ANY'}, traits(APPARMOR_FIRST)
        )
        self.assertEqual({'SVIRT_TYPE_OWN_T'}, traits(OWN_TYPE_ALONE))
        for host in (
            PERMISSIVE, COMPLAIN, PLAIN, NO_DRIVER, NO_MODULE, HALF,
            ALL_PERMISSIVE, NO_TYPES, TEMPLATE_COMPLAINS, UNMOUNTED,
        ):  # fmt: skip
            self.assertEqual(set(), traits(host))

    def test_a_type_on_a_host_that_does_not_enforce(self):
        case = contract.Case(
            {MODEL: 'selinux', TYPE: 'svirt_t'}, [], [], [], []
        )
        answer = self.decide(case, self.section(PERMISSIVE))
        self.assertCodes([OFF, NOT_ALLOWED], answer.unmet)

    def test_xml_names_the_model(self):
        wanted = {'type': 'dynamic', 'relabel': 'yes'}
        for case, host, model, label in (
            (0, SELINUX, 'selinux', None),
            (0, SELINUX_FIRST, 'selinux', None),
            (1, OWN_TYPE, 'selinux', 'system_u:system_r:own_t:s0'),
            (2, APPARMOR, 'apparmor', None),
            (2, APPARMOR_FIRST, 'apparmor', None),
            (3, SELINUX_FIRST, 'selinux', None),
            (3, APPARMOR_FIRST, 'apparmor', None),
            (3, APPARMOR, 'apparmor', None),
        ):
            self.assertEqual(
                [({**wanted, 'model': model}, label)],
                self.seclabels(self.cases[case], host),
            )

    def test_xml_that_says_otherwise_is_replaced(self):
        for other in (
            "<seclabel type='none'/>",
            "<seclabel type='none' model='selinux'/>",
            "<seclabel type='static' model='selinux' relabel='no'>"
            '<label>a:b:c:s0</label></seclabel>',
            "<seclabel type='dynamic' model='apparmor'/>",
            "<seclabel type='none' model='selinux'/><seclabel type='none'/>",
        ):
            text = contract.DOMAIN.replace('</domain>', other + '</domain>')
            ((attributes, label),) = self.seclabels(
                self.cases[0], SELINUX, text
            )
            self.assertEqual('selinux', attributes['model'])
            self.assertEqual('dynamic', attributes['type'])
            self.assertIsNone(label)

    def test_no_model_is_enforced_any_more(self):
        for case in self.cases:
            found = list(
                self.mechanism.verify(
                    labelled(),
                    self.wanted(case),
                    self.read_back(PLAIN),
                    PLAIN,
                )
            )
            self.assertCodes([OFF], found)
            self.assertEqual(set(case.specs), {u.key for u in found})

    def test_the_type_is_proven_too(self):
        found = self.verify(self.cases[1], labelled('own_t'))
        self.assertEqual({MODEL, TYPE}, {p.key for p in found})
        self.assertEqual(
            {mechanisms_base.Proof}, {type(proof) for proof in found}
        )

    def test_a_type_that_is_permissive_by_itself_proves_nothing(self):
        host = fakes.Host(
            fakes.SELINUX_MCS, ('selinux',), permissive=('svirt_t',)
        )
        facts = self.mechanism.measure(host)
        for specs in ({MODEL: 'selinux'}, {MODEL: 'any'}):
            found = self.mechanism.verify(
                labelled('svirt_t'),
                requirements.parse(specs, self.mechanisms.vocabulary),
                facts,
                host,
            )
            self.assertCodes([LABEL], list(found))
        proofs = self.mechanism.verify(
            labelled('svirt_tcg_t'),
            requirements.parse({MODEL: 'selinux'}, self.mechanisms.vocabulary),
            facts,
            host,
        )
        self.assertEqual([MODEL], [proof.key for proof in proofs])

    def test_the_types_of_the_host_when_none_is_asked(self):
        case = contract.Case({MODEL: 'selinux'}, [OWN_TYPE], [], [], [])
        (proof,) = self.verify(case, labelled('own_t'))
        self.assertIn('own_t', proof.found)
        (unmet,) = self.verify(case, labelled('svirt_tcg_t'))
        self.assertCodes([LABEL], [unmet])
