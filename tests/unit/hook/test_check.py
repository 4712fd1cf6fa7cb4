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

import io
import itertools
import pathlib
import re
import shutil
import subprocess
import sys

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.hook import check
from nova_isolation.hook import objections
from nova_isolation.hook import script
from nova_isolation.hook import trial
from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from tests.unit import base
from tests.unit.host import test_domain_metadata

SVIRT = {'isolation:svirt': 'selinux', 'isolation:svirt_type': 'own_t'}
FITTING = (
    '<seclabel type="dynamic" model="selinux" relabel="yes">'
    '{label}<baselabel>system_u:system_r:own_t:s0</baselabel></seclabel>'
)
LABEL = '<label>system_u:system_r:own_t:s0:c1,c2</label>'


def domain(specs, more=''):
    """The XML of a guest of Nova."""
    text = test_domain_metadata.domain(specs)
    return text.replace('</domain>', more + '</domain>')


def xen(specs, reboot, **more):
    """The XML of a guest of Xen, which ends in these ways."""
    ways = {'on_reboot': reboot, **more}
    text = domain(
        specs,
        ''.join(
            f'<{name}>{way}</{name}>' for name, way in ways.items() if way
        ),
    )
    return re.sub('<domain[^>]*>', "<domain type='xen'>", text, count=1)


SANDBOX = {'isolation:qemu_sandbox': 'true'}

#: Guests that may start.
GOOD = {
    'of Xen, stopped when it reboots itself': xen(SANDBOX, 'destroy'),
    'of Xen, kept when it reboots itself': xen(SANDBOX, 'preserve'),
    'of Xen, untagged': xen({}, 'restart', on_crash='restart'),
    # As libvirt writes what Nova has left out.
    'of Xen, by default': xen(
        SANDBOX, 'preserve', on_poweroff='destroy', on_crash='destroy'
    ),
    'of Xen, kept however it ends': xen(
        SANDBOX, 'preserve', on_poweroff='preserve', on_crash='preserve'
    ),
    'of Xen, dumped when it crashes': xen(
        SANDBOX, 'preserve', on_crash='coredump-destroy'
    ),
    # The process of QEMU stays, with what confines it.
    'of QEMU, restarted when it crashes': domain(
        SANDBOX, '<on_crash>restart</on_crash>'
    ),
    'untagged': domain({'hw:cpu_policy': 'shared'}),
    'not of Nova': '<domain/>',
    'tagged otherwise': domain(SANDBOX),
    'before it has a label': domain(SVIRT, FITTING.format(label='')),
    'with its label': domain(SVIRT, FITTING.format(label=LABEL)),
    'a name that looks like a tag': domain({}).replace(
        'm1', 'isolation:svirt'
    ),
    'a project that looks like a tag': domain({'hw:x': 'y'}).replace(
        '</metadata>', '<extra>isolation:svirt</extra></metadata>'
    ),
}
#: Guests that may not, and what they are told.
BAD = {
    'of Xen, restarts': (
        xen(SANDBOX, 'restart'),
        'isolation.verify.self_reboot',
    ),
    'of Xen, restarts by default': (
        xen(SANDBOX, None),
        'isolation.verify.self_reboot',
    ),
    'of Xen, restarts under another name': (
        xen(SANDBOX, 'rename-restart'),
        'isolation.verify.self_reboot',
    ),
    'of Xen, restarts when it is off': (
        xen(SANDBOX, 'preserve', on_poweroff='restart'),
        '<on_poweroff>restart',
    ),
    'of Xen, restarts when it is off, under another name': (
        xen(SANDBOX, 'preserve', on_poweroff='rename-restart'),
        '<on_poweroff>rename-restart',
    ),
    'of Xen, restarts when it crashes': (
        xen(SANDBOX, 'preserve', on_crash='restart'),
        '<on_crash>restart',
    ),
    'of Xen, dumped and restarted when it crashes': (
        xen(SANDBOX, 'preserve', on_crash='coredump-restart'),
        '<on_crash>coredump-restart',
    ),
    'of Xen, restarts when it crashes and when it reboots itself': (
        xen(SANDBOX, None, on_crash='restart'),
        'no on_reboot',
    ),
    'no label': (domain(SVIRT), 'isolation.svirt.wrong_definition'),
    'another label': (
        domain(SVIRT, FITTING.format(label=LABEL.replace('own', 'virtd'))),
        'isolation.svirt.wrong_definition',
    ),
    'unknown': (domain({'isolation:x': 'y'}), 'isolation.spec.unknown'),
    'capitals': (domain({' ISOLATION:x': 'y'}), 'isolation.spec.unknown'),
    'reserved': (
        domain({'isolation:memory': 'y'}),
        'isolation.spec.reserved',
    ),
    'invalid': (
        domain({'isolation:svirt': 'maybe'}),
        'isolation.spec.invalid_value',
    ),
    'contradictory': (
        domain({'isolation:svirt_type': 'own_t'}),
        'isolation.spec.conflict',
    ),
    'malformed': (domain(SVIRT)[:-3], 'cannot be read'),
    'two documents': (2 * domain(SVIRT), 'cannot be read'),
}


class ObjectionsTest(base.TestCase):
    """The verdict."""

    def test_document_type(self):
        # libvirt would not put the label there.
        text = (
            '<!DOCTYPE domain [<!ENTITY e "'
            + FITTING.format(label='').replace('"', "'")
            + '">]>'
            + domain(SVIRT, '&e;')
        )
        error = self.assertRaises(ValueError, objections.of, text)
        self.assertIn('document type', str(error))

    def test_good(self):
        for name, xml in GOOD.items():
            self.assertEqual([], objections.of(xml), name)

    def test_bad(self):
        for name, (xml, words) in BAD.items():
            if words == 'cannot be read':
                self.assertRaises(ValueError, objections.of, xml)
            else:
                self.assertIn(words, '\n'.join(objections.of(xml)), name)

    def test_the_way_out_of_each(self):
        lines = objections.of(
            domain({**SVIRT, 'isolation:x': 'y'}, FITTING.replace('own', 'a'))
        )
        self.assertEqual(
            ['- ', '  ', '- ', '  '], [line[:2] for line in lines]
        )
        for line in lines[1::2]:
            self.assertIn(
                line.strip(),
                {r.remedy for r in registry.get().reasons.values()},
            )


class MainTest(base.TestCase):
    """What the script is told."""

    def main(self, xml, guest='instance-1'):
        """Its exit status, its verdict and standard error."""
        out, err = io.StringIO(), io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(xml.encode()))
        with (
            fixtures.MonkeyPatch('sys.argv', ['hook', guest, 'start']),
            fixtures.MonkeyPatch('sys.stdin', stdin),
            fixtures.MonkeyPatch('sys.stderr', err),
        ):
            return check.main(out), out.getvalue(), err.getvalue()

    def test_verdicts(self):
        self.assertEqual((0, 'start\n', ''), self.main(GOOD['with its label']))
        status, text, error = self.main(BAD['no label'][0], 'a\x1b[2J\nb')
        self.assertEqual((1, ''), (status, error))
        self.assertTrue(text.startswith(check.REFUSAL), text)
        self.assertIn(r'a\x1b[2J\nb', text.splitlines()[0])

    def test_whatever_ends_it(self):
        for error in (SystemExit(0), KeyError('no'), KeyboardInterrupt()):

            def fail(_, error=error):
                raise error

            with fixtures.MonkeyPatch(
                'nova_isolation.mechanisms.registry.owning', fail
            ):
                status, text, details = self.main(BAD['no label'][0])
            self.assertEqual((1, ''), (status, text))
            self.assertIn(type(error).__name__, details)


class ProgramTest(base.TestCase):
    """The installed file, run as libvirt runs it."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'hooks'
        )
        self.bin = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.hook = self.install()

    def install(self, python=sys.executable):
        file = script.Script(self.folder, python)
        file.install()
        return file.path

    def run_hook(self, xml, operation='start', more=(), shell=()):
        """Its exit status and standard error; it never prints."""
        arguments = [] if operation is None else [operation, 'begin', '-']
        data = xml.encode() if isinstance(xml, str) else xml
        result = subprocess.run(
            [*shell, self.hook, 'instance-1', *arguments, *more],
            input=data,
            capture_output=True,
            env={'LC_ALL': 'C', 'PATH': f'{self.bin}:/usr/bin:/bin'},
            timeout=60,
        )
        # libvirt would take it for the XML of the guest.
        self.assertEqual(b'', result.stdout)
        return result.returncode, result.stderr.decode()

    def passed(self, xml, operation='start'):
        self.assertEqual((0, ''), self.run_hook(xml, operation))

    def vetoed(self, words, xml, operation='start'):
        status, error = self.run_hook(xml, operation)
        self.assertEqual(1, status, error)
        self.assertIn(words, error)
        self.assertIn('instance-1', error)

    def test_good(self):
        for name, operation in zip(
            GOOD,
            itertools.cycle(('start', 'migrate', 'restore')),
            strict=False,
        ):
            self.passed(GOOD[name], operation)

    def test_bad(self):
        for (xml, words), operation in zip(
            BAD.values(),
            itertools.cycle(('start', 'migrate', 'restore')),
            strict=False,
        ):
            self.vetoed(words, xml, operation)

    def test_never_where_it_would_kill_or_is_over(self):
        self.assertIn('reconnect', script.PASSED_OVER)
        # Each guest that libvirt prepares is checked at its start.
        self.assertIn('prepare', script.PASSED_OVER)
        self.assertNotIn('start', script.PASSED_OVER)
        for operation in script.PASSED_OVER:
            self.passed(BAD['no label'][0], operation)
            self.passed('', operation)

    def test_unknown_operations_are_checked(self):
        xml, words = BAD['no label']
        for operation in ('import', '', 'reconnected', None):
            self.vetoed(words, xml, operation)
            self.passed(GOOD['with its label'], operation)

    def test_nothing_at_all(self):
        self.vetoed('gave no XML', '')
        self.vetoed('gave no XML', '\n\n')

    def test_no_text(self):
        self.vetoed('cannot be read', b'\xff' + BAD['unknown'][0].encode())
        self.passed(b'\xff' + GOOD['untagged'].encode())

    def test_a_name_that_the_locale_cannot_print(self):
        xml = domain({'isolation:\u00e9t\u00e9': 'oui'})
        self.vetoed('isolation.spec.unknown', xml)

    def test_nova_is_gone_and_untagged_guests_start(self):
        self.hook = self.install('/no/such/python')
        self.passed(GOOD['untagged'])
        self.passed(GOOD['a name that looks like a tag'])
        self.vetoed('is gone', GOOD['with its label'])

    def test_names_that_tenants_choose(self):
        named = test_domain_metadata.named
        self.hook = self.install('/no/such/python')
        for name in test_domain_metadata.HOSTILE:
            for specs in ({}, {'hw:x': 'extraSpec'}):
                self.passed(named(specs, name))
            # Whatever the name is, the flavor's tag is seen.
            self.vetoed('is gone', named(SVIRT, name))

    def test_spellings_that_the_shell_must_see(self):
        self.hook = self.install('/no/such/python')
        for key in (
            'isolation:svirt', ' isolation:x', 'ISOLATION :svirt',
            'isolation\t:x', 'isolation\n:x', 'isolation\u00a0:x',
            'isolation\u200b:x', 'isolation\uff1ax', 'i\u017folation:x',
            '\uff49\uff53\uff4f\uff4c\uff41\uff54\uff49\uff4f\uff4e:x',
        ):  # fmt: skip
            self.assertTrue(requirements.is_tagged({key: 'x'}), key)
            for specs in ({key: 'x'}, {'hw:x': 'y', key: 'x', 'hw:z': 'y'}):
                for xml in (
                    domain(specs),
                    test_domain_metadata.named(specs, 'name'),
                ):
                    self.vetoed('is gone', xml)
                    other = xml.replace('nova:', 'n-1.x:').replace(
                        'xmlns:nova', 'xmlns:n-1.x'
                    )
                    self.vetoed('is gone', other)

    def test_namespaces_of_others_start(self):
        self.hook = self.install()
        for key in ('isolation_foo:bar', 'isolation', 'isolation.svirt'):
            self.passed(domain({key: 'x'}))

    def broken(self, program):
        """Let the check fail before its verdict.

        :returns: a function that returns what the system log was told
        """
        log = self.bin / 'log'
        logger = self.bin / 'logger'
        logger.write_text(f'#!/bin/sh\necho "$@" >>{log}\ncat >>{log}\n')
        logger.chmod(0o755)
        text = self.hook.read_text()
        self.hook.write_text(
            text.replace('from nova_isolation.hook import', program)
        )
        self.assertNotEqual(text, self.hook.read_text())
        return lambda: log.read_text() if log.exists() else ''

    def test_the_owner_reads_one_line_and_the_admin_the_rest(self):
        for program, told in (
            ('import no_such_module;', 'no_such_module'),
            ('import sys; print("start"); sys.exit(0);', 'start'),
            ('import os; os.write(1, b"x"); os._exit(0);', ''),
            ('import os; os.kill(os.getpid(), 9);', ''),
            ('raise ValueError("/a/b\\x1b[2J\\ninstance-2: x") #', '?[2J'),
        ):
            self.hook = self.install()
            log = self.broken(program)
            self.passed(GOOD['untagged'])
            self.assertEqual('', log())
            status, error = self.run_hook(GOOD['with its label'])
            self.assertEqual((1, 1), (status, error.count('\n')), program)
            for words in ('instance-1', 'nova-isolation-hook', 'journalctl'):
                self.assertIn(words, error)
            for words in ('Traceback', '/', 'no_such', 'Error'):
                self.assertNotIn(words, error)
            self.assertIn(told, log())
            if told:
                self.assertIn('-t nova-isolation-hook\ninstance-1: ', log())
            # By hand.
            status, error = self.run_hook(
                GOOD['with its label'], more=('verbose',)
            )
            self.assertEqual(1, status)
            self.assertIn(told, error)
            (self.bin / 'log').unlink(missing_ok=True)

    def test_what_modules_print_is_no_verdict(self):
        log = self.broken(
            'print("start"); import warnings; warnings.warn("/a/b"); '
            'from nova_isolation.hook import'
        )
        status, error = self.run_hook(BAD['no label'][0])
        self.assertEqual(1, status)
        self.assertIn('isolation.svirt.wrong_definition', error)
        self.assertNotIn('/a/b', error)
        self.assertIn('/a/b', log())
        self.passed(GOOD['with its label'])

    def test_a_script_of_an_older_release(self):
        # Its last line; the exit status of Python is that of the script.
        text = self.hook.read_text()
        begin = text.index('verdict=$(')
        python = text[text.index('printf', begin) : text.index('} 2>&1')]
        old = python.replace('check.main(out)', 'check.main()')
        self.hook.write_text(f'{text[:begin]}{old.strip()} >&2\n')
        status, _ = self.run_hook(GOOD['with its label'])
        self.assertEqual(0, status)
        self.vetoed('isolation.svirt.wrong_definition', BAD['no label'][0])

    def test_no_logger(self):
        self.broken('import no_such_module;')
        (self.bin / 'logger').write_text('#!/no/such/shell\n')
        self.vetoed('could not be checked', GOOD['with its label'])

    def test_every_shell(self):
        good, bad = GOOD['with its label'], BAD['no label'][0]
        for shell in (['dash'], ['bash', '--posix'], ['busybox', 'sh']):
            if shutil.which(shell[0]) is None:
                # Only dash is sure to be installed.
                self.assertNotEqual('dash', shell[0])
                continue
            for xml in (good, GOOD['untagged']):
                self.assertEqual((0, ''), self.run_hook(xml, shell=shell))
            status, error = self.run_hook(bad, shell=shell)
            self.assertEqual(1, status)
            self.assertIn('isolation.svirt.wrong_definition', error)
            for blank in ('\r', '\r\n', '\n', '\t'):
                text = bad.replace('extraSpec name', f'extraSpec{blank}name')
                self.assertNotEqual(bad, text)
                status, error = self.run_hook(text, shell=shell)
                self.assertEqual(1, status, (shell, blank))

    def test_what_it_needs_is_gone_and_untagged_guests_start(self):
        self.hook.write_text(
            self.hook.read_text().replace('-packages', '-packages-gone')
        )
        self.passed(GOOD['untagged'])
        self.vetoed('could not be checked', GOOD['with its label'])

    def imported(self, call):
        """What a new Python process has imported after a call of the hook.

        :returns: the names of modules and packages
        """
        code = (
            'import sys; sys.path += '
            f'{[p for p in sys.path if p]!r}; {call}; print(*sys.modules)'
        )
        result = subprocess.run(
            [sys.executable, '-I', '-S', '-c', code],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual('', result.stderr)
        names = set(result.stdout.split())
        self.assertIn('nova_isolation', names)
        return names

    def test_no_nova_is_imported(self):
        self.assertFalse(
            {
                'elftools',
                'libvirt',
                'lxml',
                'nova',
                'oslo_config',
                'oslo_log',
                'requests',
                'stevedore',
            }
            & self.imported(
                'from nova_isolation.hook import objections; '
                f'assert objections.of({BAD["no label"][0]!r})'
            )
        )

    def test_nothing_slow_is_imported_for_a_guest_that_fits(self):
        call = (
            'from nova_isolation.hook import check; '
            'assert check._objections({!r}) == []'
        )
        slow = {
            'dataclasses',
            'inspect',
            'logging',
            'lxml',
            'nova_isolation.hook.objections',
            'nova_isolation.mechanisms.registry',
            'nova_isolation.model.requirements',
            'os',
            'typing',
            'unicodedata',
            'xml.etree',
        }
        everything = {
            **SVIRT,
            'isolation:hypervisor': 'kvm,qemu',
            'isolation:qemu_absent': 'floppy',
            'isolation:qemu_hardening': 'pie,nx',
            'isolation:qemu_sandbox': 'True',
            'isolation:certification': 'LSPP',
            'isolation:attested': 'true',
            'isolation:attested_pcrs': '17,18',
        }
        # Of the values only these are compared with a regular expression,
        # whose module needs others.
        patterns = {'isolation:certification', 'isolation:attested_pcrs'}
        needed = {'re', 'enum', 'functools'}
        for label in ('', LABEL):
            xml = domain(everything, FITTING.format(label=label))
            found = self.imported(call.format(xml))
            self.assertIn('re', found)
            self.assertFalse((slow - needed) & found)
            most = {k: v for k, v in everything.items() if k not in patterns}
            xml = domain(most, FITTING.format(label=label))
            self.assertFalse((slow | needed) & self.imported(call.format(xml)))

    def test_a_part_that_does_not_load(self):
        # Whatever it is: the full check decides, and where that cannot, the
        # guest does not start.
        log = self.broken('import sys; from nova_isolation.hook import')
        text = self.hook.read_text()
        for broken, status in (
            *(
                (f'sys.modules["{gone}"] = None', 1)
                for gone in (
                    'nova_isolation.hook.domain_tree',
                    'nova_isolation.mechanisms.svirt.definition',
                    'nova_isolation.mechanisms.svirt.extra_specs',
                )
            ),
            # The full check does not need it.
            (
                'from nova_isolation.hook import shortcut; '
                'shortcut.fits = None',
                0,
            ),
        ):
            self.hook.write_text(
                text.replace(
                    'from nova_isolation.hook import',
                    f'{broken}; from nova_isolation.hook import',
                )
            )
            specs = {**SVIRT, 'isolation:qemu_sandbox': 'true'}
            xml = domain(specs, FITTING.format(label=LABEL))
            found, error = self.run_hook(xml)
            self.assertEqual(status, found, f'{broken}: {error}')
            self.passed(GOOD['untagged'])
            self.assertEqual(1, self.run_hook(BAD['no label'][0])[0], broken)
        self.assertIn('domain_tree', log())

    @hypothesis.settings(max_examples=40)
    @hypothesis.given(
        st.text(st.characters(min_codepoint=33, max_codepoint=0x17F)),
        st.sampled_from(('', ' ', '\u00a0', 'x')),
        st.sampled_from(('isolation:', 'Isolation:', 'iSOLATION', '\u0130s')),
    )
    def test_whatever_is_tagged_is_checked(self, key, before, namespace):
        hypothesis.assume(not any(0x7F <= ord(c) < 0xA0 for c in key))
        specs = {f'{before}{namespace}{key}': 'x'}
        xml = domain({'hw:x': 'y', **specs})
        status, _ = self.run_hook(xml)
        # No such extra spec is known: checked and refused are the same.
        self.assertEqual(int(requirements.is_tagged(specs)), status)

    def test_trial(self):
        self.assertEqual('', trial.run(self.hook).fault)
        self.hook = self.install('/no/such/python')
        self.assertIn('/no/such/python', trial.run(self.hook).fault)
        for body in ('exit 0', 'exit 1', 'cat; exit 1', 'echo; exit 0'):
            self.hook.write_text(f'#!/bin/sh\n{body}\n')
            self.assertIn('exit status', trial.run(self.hook).fault)
        self.hook.chmod(0o644)
        self.assertIn('Permission denied', trial.run(self.hook).fault)
        self.hook.unlink()
        self.assertIn('No such file', trial.run(self.hook).fault)
