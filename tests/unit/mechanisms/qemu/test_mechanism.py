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

"""Tests of nova_isolation.mechanisms.qemu.mechanism."""

import dataclasses
import json
from unittest import mock

from nova_isolation.mechanisms import base as mechanisms
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import mechanism
from nova_isolation.model import requirements
from nova_isolation.probes import program
from nova_isolation.testing import fakes as testing_fakes
from tests.unit import base
from tests.unit import fakes
from tests.unit.mechanisms import contract

HARDENING = 'isolation:qemu_hardening'
SANDBOX = 'isolation:qemu_sandbox'
ABSENT = 'isolation:qemu_absent'
NOT_HARDENED, NO_SANDBOX = 'qemu.not_hardened', 'qemu.no_sandbox'
PRESENT, UNKNOWN = 'qemu.component_present', 'qemu.unknown'
BINARY = 'qemu.other_binary'
MODULES = 'qemu.other_modules'
COMPONENTS = tuple(catalogue.CATALOGUE)
FOLDERS = fakes.emulator().modules


def command_line(*options):
    """A command line of QEMU with these values of -sandbox."""
    result = [a for a in testing_fakes.ARGUMENTS[:-2]]
    for value in options:
        result += ['-sandbox', value]
    return (*result, '-msg', 'timestamp=on', '')


def host(arguments=testing_fakes.ARGUMENTS, **emulator):
    """A host with an emulator, which libvirt starts with these arguments."""
    return fakes.Host(arguments=arguments, emulator=fakes.emulator(**emulator))


ON = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
#: What is not libvirt's filter, or not for sure.
NOT_ON = (
    command_line(),
    command_line('off'),
    command_line('on'),
    command_line('yes'),
    command_line(''),
    command_line(ON, 'off'),
    command_line('off', ON),
    command_line('on', ON),
    command_line(ON.replace('obsolete=deny', 'obsolete=allow')),
    command_line(ON.replace('spawn=deny', 'spawn=allow')),
    command_line(ON.replace('spawn=deny,', '')),
    command_line(ON.replace('resourcecontrol=deny', 'resourcecontrol=allow')),
    command_line(
        ON.replace('elevateprivileges=deny', 'elevateprivileges=allow')
    ),
    command_line(
        ON.replace('elevateprivileges=deny', 'elevateprivileges=children')
    ),
    command_line(ON + ',spawn=allow'),
    command_line(ON + ',enable=off'),
    command_line(ON.replace('on,', 'off,')),
    command_line(ON.replace(',', ', ')),
    # the name of a guest, the command line of its kernel
    ('qemu', '-name', f'-sandbox {ON}'),
    ('qemu', '-name', f'guest=a -sandbox {ON} b'),
    ('qemu', '-name', f'guest=-sandbox,{ON}'),
    ('qemu', '-append', '-sandbox', '-dtb', ON),
    ('qemu', '-append', '-sandbox'),
    ('qemu', f'-sandbox={ON}'),
    ('qemu', '---sandbox', ON),
    ('qemu', 'sandbox', ON),
    ('qemu', ON),
    (),
    ('',),
)
BEST = host()
OTHER_PROGRAM = fakes.Guest(executable=fakes.emulator(inode=8).identity)
NO_MODULES = tuple(
    (MODULES, fakes.Guest(modules=modules))
    for modules in (
        (),
        # QEMU's root has the folder that was missing.
        (*FOLDERS[:1], ('/var/run/qemu', program.Identity(1, 8, 3, 4, 5))),
        (('/usr/lib/qemu', program.Identity(2, 9, 3, 4, 5)),),
        (('/usr/lib/qemu', program.Identity(1, 8, 3, 4, 5)),),
    )
)
WELL_FORMED = {
    'hardening': ['nx'],
    'sandbox': True,
    'known': 2,
    'present': '1',
}


class QemuContractTest(contract.Contract, base.TestCase):
    """The contract."""

    mechanism_class = mechanism.QemuMechanism
    malformed = (
        {**WELL_FORMED, 'present': ''},
        {**WELL_FORMED, 'present': '0x1'},
        {**WELL_FORMED, 'present': '-1'},
        {**WELL_FORMED, 'present': '1\n'},
        {**WELL_FORMED, 'present': ' 1'},
        {**WELL_FORMED, 'present': '1_0'},
        {**WELL_FORMED, 'present': 'FF'},
        {**WELL_FORMED, 'present': '\u0661'},
        {**WELL_FORMED, 'present': 1},
        {**WELL_FORMED, 'present': None},
        {**WELL_FORMED, 'known': -1},
        {**WELL_FORMED, 'known': True},
        {**WELL_FORMED, 'known': None},
        {**WELL_FORMED, 'sandbox': 'true'},
        {**WELL_FORMED, 'sandbox': 1},
        {**WELL_FORMED, 'hardening': None},
        {**WELL_FORMED, 'hardening': 'nx'},
        {**WELL_FORMED, 'more': None},
    )
    cases = (
        contract.Case(
            {HARDENING: ','.join(sorted(fakes.HARDENING))},
            [BEST],
            [
                (NOT_HARDENED, host(hardening=fakes.HARDENING - {word}))
                for word in sorted(fakes.HARDENING)
            ],
            [fakes.Guest()],
            [(BINARY, OTHER_PROGRAM)],
        ),
        contract.Case(
            {HARDENING: 'nx'},
            [BEST, host(hardening={'nx'})],
            [(NOT_HARDENED, host(hardening=()))],
            [fakes.Guest(seccomp=0)],
            [(BINARY, OTHER_PROGRAM)],
        ),
        contract.Case(
            {SANDBOX: 'true'},
            [
                BEST,
                host(command_line(ON)),
                host(('qemu', '--sandbox', ON)),
                host(('qemu', '-sandbox', 'enable=' + ON)),
                host(('qemu', '-sandbox', ON + ',new=deny')),
            ],
            [
                (NO_SANDBOX, host(sandbox=False)),
                (UNKNOWN, host(None)),
                *((NO_SANDBOX, host(arguments)) for arguments in NOT_ON),
            ],
            [
                fakes.Guest(),
                fakes.Guest(arguments=command_line(ON)),
                fakes.Guest(arguments=command_line(ON, ON)),
                OTHER_PROGRAM,
            ],
            [
                (NO_SANDBOX, fakes.Guest(seccomp=0)),
                (NO_SANDBOX, fakes.Guest(seccomp=1)),
                (NO_SANDBOX, fakes.Guest(seccomp=3)),
                # below a filter of somebody else
                *(
                    (NO_SANDBOX, fakes.Guest(seccomp=2, arguments=arguments))
                    for arguments in NOT_ON
                ),
            ],
        ),
        contract.Case(
            {ABSENT: 'floppy,cirrus'},
            [BEST, host(types=fakes.ALL_TYPES - {
                *catalogue.CATALOGUE['floppy'].types,
                *catalogue.CATALOGUE['cirrus'].types,
            })],
            [
                (PRESENT, host(types={name}))
                for component in ('floppy', 'cirrus')
                for name in catalogue.CATALOGUE[component].types
            ],
            [fakes.Guest()],
            [(BINARY, OTHER_PROGRAM), *NO_MODULES],
        ),
        contract.Case(
            {ABSENT: ','.join(COMPONENTS[:26])},
            [BEST],
            [(PRESENT, host(types=fakes.ALL_TYPES))],
            [fakes.Guest()],
            [(BINARY, OTHER_PROGRAM), *NO_MODULES],
        ),
        contract.Case(
            {ABSENT: ','.join(COMPONENTS[26:])},
            [BEST],
            [(PRESENT, host(types=fakes.ALL_TYPES))],
            [fakes.Guest()],
            [(BINARY, OTHER_PROGRAM), *NO_MODULES],
        ),
        *(
            contract.Case(
                {ABSENT: word},
                [BEST],
                [
                    (PRESENT, host(types={row.types[0]}))
                    for row in map(
                        catalogue.CATALOGUE.__getitem__,
                        groups.components((word,)),
                    )
                ],
                [fakes.Guest()],
                [(BINARY, OTHER_PROGRAM), *NO_MODULES],
            )
            for word in (*groups.GROUPS, groups.ALL)
        ),
        contract.Case(
            {HARDENING: 'pie', SANDBOX: 'true', ABSENT: 'sga'},
            [BEST],
            [(PRESENT, host(types={'sga'}))],
            [fakes.Guest()],
            [(NO_SANDBOX, fakes.Guest(seccomp=0)), (BINARY, OTHER_PROGRAM),
             *NO_MODULES],
        ),
    )  # fmt: skip

    def test_each_component_by_each_of_its_types(self):
        for component, row in catalogue.CATALOGUE.items():
            case = contract.Case({ABSENT: component}, [], [], [], [])
            for name in row.types:
                answer = self.decide(case, self.section(host(types={name})))
                self.assertCodes([PRESENT], answer.unmet)
            others = fakes.ALL_TYPES - set(row.types)
            answer = self.decide(case, self.section(host(types=others)))
            self.assertTrue(answer.accepted, answer)

    def test_measured(self):
        measured = self.section(
            host(hardening={'pie', 'nx'}, types={'floppy', 'usb-redir'})
        )
        self.assertEqual(
            {
                'hardening': ['nx', 'pie'],
                'sandbox': True,
                'known': len(COMPONENTS),
                'present': '5',
            },
            measured,
        )

    def test_an_older_host_does_not_know_newer_components(self):
        good = self.section(BEST)
        for known in range(len(COMPONENTS) + 1):
            for index in (0, 1, 25, len(COMPONENTS) - 1):
                case = contract.Case(
                    {ABSENT: COMPONENTS[index]}, [], [], [], []
                )
                answer = self.decide(case, {**good, 'known': known})
                self.assertEqual(index < known, answer.accepted)
                self.assertCodes(
                    [] if index < known else [UNKNOWN], answer.unmet
                )

    def test_an_older_host_does_not_know_every_member(self):
        good = self.section(BEST)
        for word in (*groups.GROUPS, groups.ALL):
            case = contract.Case({ABSENT: word}, [], [], [], [])
            last = COMPONENTS.index(groups.components((word,))[-1])
            for known in range(len(COMPONENTS) + 1):
                answer = self.decide(case, {**good, 'known': known})
                self.assertEqual(last < known, answer.accepted, (word, known))
                self.assertCodes(
                    [] if last < known else [UNKNOWN], answer.unmet
                )

    def test_all_is_what_the_reader_knows(self):
        # A later release: its controller refuses the host of this one, and
        # its host counts the new component too.
        later = dict(catalogue.CATALOGUE, novel=catalogue.Component('novel'))
        patch = mock.patch.object
        with (
            patch(catalogue, 'CATALOGUE', later),
            patch(mechanism, '_COMPONENTS', tuple(later)),
        ):
            case = contract.Case({ABSENT: groups.ALL}, [], [], [], [])
            section = {**self.section(BEST), 'known': len(COMPONENTS)}
            answer = self.decide(case, section)
            self.assertCodes([UNKNOWN], answer.unmet)
            self.assertIn('novel', answer.unmet[0].found)
            section = self.section(host(types={'novel'}))
            self.assertEqual(f'{1 << len(COMPONENTS):x}', section['present'])
            answer = self.decide(case, section)
            self.assertCodes([PRESENT], answer.unmet)
            absent = 'CUSTOM_ISOLATION_QEMU_ABSENT'
            there = self.mechanism.traits(self.mechanism.read(section))
            self.assertIn(f'{absent}_USB', there)
            self.assertNotIn(f'{absent}_ALL', there)

    def test_a_group_and_its_members_are_the_same(self):
        for word in (*groups.GROUPS, groups.ALL):
            names = groups.components((word,))
            for name in COMPONENTS:
                section = self.section(
                    host(types={catalogue.CATALOGUE[name].types[0]})
                )
                answer = self.decide(
                    contract.Case({ABSENT: word}, [], [], [], []), section
                )
                self.assertEqual(name not in names, answer.accepted)

    def test_traits_of_groups(self):
        absent = 'CUSTOM_ISOLATION_QEMU_ABSENT_'
        facts = self.mechanism.read(self.section(BEST))
        there = self.mechanism.traits(facts)
        for word in groups.GROUPS:
            wanted = self.mechanism.required_traits(
                requirements.Requirement(ABSENT, 'qemu', (word,))
            )
            self.assertLess(
                {absent + 'USB', absent + 'USB_UHCI'}
                if word == 'usb'
                else {absent + word.upper().replace('-', '_')},
                wanted,
            )
            self.assertLessEqual(wanted, there)
        # A host of a release without groups has the traits of components.
        old = {t for t in there if not t.endswith(('_ABSENT_USB',))}
        self.assertFalse(
            self.mechanism.required_traits(
                requirements.Requirement(ABSENT, 'qemu', ('usb',))
            )
            <= old
        )

    def test_xen(self):
        xen = fakes.Host(
            emulator=fakes.emulator(), xen=testing_fakes.FakeXen()
        )
        measured = self.section(xen)
        # libvirt is not asked how it would start a guest.
        self.assertIs(False, measured['sandbox'])
        self.assertEqual(sorted(fakes.HARDENING), measured['hardening'])
        nothing = fakes.Guest(has_process=False)
        for specs in ({HARDENING: 'pie'}, {ABSENT: 'usb'}):
            case = contract.Case(specs, [xen], [], [], [])
            (proof,) = self.verify(case, nothing)
            self.assertIn('no device model', proof.found)
            self.assertCodes([BINARY], self.verify(case, OTHER_PROGRAM))
            self.assertProven(self.verify(case, fakes.Guest()))
            # Elsewhere a guest without a process is none.
            case = contract.Case(specs, [BEST], [], [], [])
            self.assertCodes(['verify.no_process'], self.verify(case, nothing))
        case = contract.Case({SANDBOX: 'true'}, [xen], [], [], [])
        self.assertCodes(['verify.no_process'], self.verify(case, nothing))

    def test_a_newer_host_knows_more(self):
        section = {**self.section(BEST), 'known': len(COMPONENTS) + 9}
        self.assertTrue(self.decide(self.cases[3], section).accepted)

    def test_present_and_unknown_are_both_told(self):
        section = {**self.section(BEST), 'known': 1, 'present': '1'}
        answer = self.decide(self.cases[3], section)
        self.assertCodes([PRESENT, UNKNOWN], answer.unmet)

    def test_what_is_lacking_is_named(self):
        case = self.cases[0]
        answer = self.decide(
            case, self.section(host(hardening={'nx', 'pie', 'relro'}))
        )
        self.assertEqual('bindnow,canary,cet,fortify', answer.unmet[0].wanted)
        self.assertEqual('only nx,pie,relro', answer.unmet[0].found)
        answer = self.decide(case, self.section(host(hardening=set())))
        self.assertEqual('none of them', answer.unmet[0].found)

    def test_what_is_found_instead_of_the_filter(self):
        case = self.cases[2]
        for guest, found in (
            (fakes.Guest(seccomp=0), f'Seccomp: 0, -sandbox {ON}'),
            (
                fakes.Guest(arguments=command_line()),
                'Seccomp: 2, no -sandbox',
            ),
            (
                fakes.Guest(arguments=command_line(ON, 'o\nff')),
                "Seccomp: 2, -sandbox 'o\\nff'",
            ),
        ):
            (unmet,) = self.verify(case, guest)
            self.assertEqual(found, unmet.found)
            self.assertEqual(f'Seccomp: 2, -sandbox {ON}', unmet.wanted)

    def test_libvirt_that_gives_no_answer_leaves_the_rest(self):
        measured = self.section(host(None))
        self.assertIsNone(measured['sandbox'])
        self.assertEqual(sorted(fakes.HARDENING), measured['hardening'])
        measured = self.section(host(None, sandbox=False))
        self.assertIs(False, measured['sandbox'])

    def test_every_part_of_the_identity_counts(self):
        identity = fakes.emulator().identity
        for field in ('device', 'inode', 'size', 'mtime_ns', 'ctime_ns'):
            other = program.Identity(
                **{
                    name: getattr(identity, name) + (name == field)
                    for name in program.Identity.__annotations__
                }
            )
            found = self.verify(self.cases[0], fakes.Guest(executable=other))
            self.assertCodes([BINARY], found)

    def test_other_contents_of_the_same_folder(self):
        # They are those of the measured folder, too.
        ((path, identity), missing) = FOLDERS
        changed = dataclasses.replace(identity, mtime_ns=6, ctime_ns=7)
        guest = fakes.Guest(modules=((path, changed), missing))
        for case in self.cases:
            self.assertProven(self.verify(case, guest))

    def test_the_folder_is_named(self):
        guest = fakes.Guest(modules=FOLDERS[1:])
        (unmet,) = self.verify(self.cases[4], guest)
        self.assertEqual('/usr/lib/qemu: nothing', unmet.found)
        self.assertEqual('/usr/lib/qemu: inode 9 of device 1', unmet.wanted)

    def test_hardening_is_that_of_the_program(self):
        guest = fakes.Guest(modules=())
        self.assertProven(self.verify(self.cases[0], guest))

    def assertProven(self, results):
        for result in results:
            self.assertIsInstance(result, mechanisms.Proof)

    def test_traits(self):
        measured = self.section(
            host(hardening={'nx'}, types=fakes.ALL_TYPES - {'sga'})
        )
        self.assertEqual(
            {
                'CUSTOM_ISOLATION_QEMU_NX',
                'CUSTOM_ISOLATION_QEMU_SANDBOX',
                'CUSTOM_ISOLATION_QEMU_ABSENT_SGA',
            },
            self.mechanism.traits(self.mechanism.read(measured)),
        )

    def test_no_traits_for_what_is_unknown(self):
        self.assertEqual(
            frozenset(),
            self.mechanism.traits(
                self.mechanism.read(
                    {
                        'hardening': [],
                        'sandbox': None,
                        'known': 0,
                        'present': '0',
                    }
                )
            ),
        )

    def test_the_catalogue_takes_little_room(self):
        section = self.section(host(types=fakes.ALL_TYPES))
        self.assertLess(len(json.dumps(section)), 200)
