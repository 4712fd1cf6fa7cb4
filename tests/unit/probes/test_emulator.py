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

"""Tests of nova_isolation.probes.emulator."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.probes import elf
from nova_isolation.probes import emulator
from nova_isolation.probes import program
from nova_isolation.probes import qmp
from tests.unit import base
from tests.unit import strategies
from tests.unit.probes import programs

QEMU = '/usr/bin/qemu-system-x86_64'

TYPES = {'return': [{'name': 'none-machine'}, {'name': 'sga'}], 'id': 'types'}
OPTIONS = {'return': [{'option': 'sandbox'}, {'option': 'a'}], 'id': 'options'}
GREETING = {'QMP': {'version': {}, 'capabilities': []}}


def lines(*messages):
    """The answers of an emulator."""
    return ''.join(json.dumps(m) + '\n' for m in messages)


class RealTest(base.TestCase):
    """Debian's QEMU."""

    def test_examine(self):
        start = time.monotonic()
        found = emulator.examine(QEMU, 60)
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual(QEMU, found.path)
        self.assertEqual(program.identity(QEMU), found.identity)
        self.assertEqual(elf.hardening(QEMU), found.hardening)
        self.assertTrue(found.sandbox)
        self.assertLessEqual(
            {'none-machine', 'isa-fdc', 'qemu-xhci', 'nvme', 'e1000'},
            found.types,
        )
        self.assertEqual(found, emulator.examine(QEMU, 60))

    def test_the_folder_of_its_modules(self):
        # Debian packages some of them apart; this one is always there.
        found = emulator.examine(QEMU, 60).folders
        self.assertIn('/usr/lib/x86_64-linux-gnu/qemu', found)
        # What neither the binary nor the loader names is not looked at.
        self.assertEqual([], [f for f in found if 'qemu' not in f])

    def test_its_configuration_is_no_folder_of_modules(self):
        """/etc/qemu may be closed to Nova's user, which costs no facts."""
        closed = ('/etc/', '/usr/local/etc/')

        def stat(path, *arguments, **options):
            if str(path).startswith(closed):
                raise PermissionError(path)
            return real(path, *arguments, **options)

        real = os.stat
        found = emulator.examine(QEMU, 60).folders
        with mock.patch.object(os, 'stat', stat):
            self.assertIn(QEMU, dict(emulator.fingerprint(QEMU, found)))

    def test_the_folder_where_no_module_was_loaded(self):
        with mock.patch.object(qmp, '_loaded', return_value=frozenset()):
            found = emulator.examine(QEMU, 60).folders
        self.assertIn('/usr/lib/x86_64-linux-gnu/qemu', found)

    def test_the_folder_of_a_binary_that_was_moved(self):
        # QEMU looks for its modules relative to its binary, unless it was
        # configured with --disable-relocatable as Debian 13's is
        # (get_relocated_path in util/cutils.c). Its folders of firmware show
        # which of them it is.
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'bin', 'qemu')
        modules = os.path.join(folder, 'lib/x86_64-linux-gnu/qemu')
        os.makedirs(os.path.dirname(path))
        shutil.copy(QEMU, path)
        shutil.copytree('/usr/lib/x86_64-linux-gnu/qemu', modules)
        firmware = subprocess.run(
            [path, '-L', 'help'], capture_output=True, text=True, timeout=60
        ).stdout
        self.assertIn('qemu', firmware)
        self.assertIn(
            modules
            if folder in firmware
            else '/usr/lib/x86_64-linux-gnu/qemu',
            emulator.examine(path, 60).folders,
        )

    def test_the_catalogue_names_types_of_the_real_one(self):
        # A name that is not QEMU's would make a component look absent. What
        # Debian's package does not have is named here.
        found = catalogue.present(emulator.examine(QEMU, 60).types)
        missing = set(catalogue.CATALOGUE) - found
        version = subprocess.run(
            [QEMU, '--version'], capture_output=True, text=True, timeout=60
        ).stdout
        major = int(re.search(r'version (\d+)', version)[1])
        dropped = {'sga'} if major >= 8 else set()
        self.assertLessEqual(dropped, missing)
        self.assertLessEqual(missing, NOT_IN_DEBIAN | dropped)

    def test_abstract_types_are_listed(self):
        self.assertLessEqual(
            {'pci-xhci', 'e1000-base', 'device'},
            emulator.examine(QEMU, 60).types,
        )


#: Modules that Debian packages apart, or leaves out.
NOT_IN_DEBIAN = frozenset(
    {
        'qxl',
        'spice',
        'usb-host',
        'usb-redir',
        'usb-smartcard',
        'virtio-gpu',
        'virtio-gpu-gl',
    }
)


class FakeTest(base.TestCase):
    """A program that is none, or behaves badly."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, 'qemu')

    def install(self, script):
        """A script in the place of the program."""
        with open(self.path, 'w') as stream:
            stream.write(textwrap.dedent(script))
        os.chmod(self.path, 0o755)

    def answer(self, text):
        """A program that answers with a text."""
        shutil.copy(programs.with_words('nx', 'pie'), self.path)
        os.chmod(self.path, 0o755)
        with open(f'{self.path}.answers', 'w') as stream:
            stream.write(text)

    def refused(self, error, pattern, timeout=30.0):
        self.assertRaisesText(
            error, pattern, emulator.examine, self.path, timeout
        )

    def test_good(self):
        self.answer(lines(GREETING, {'return': {}}, TYPES, OPTIONS))
        found = emulator.examine(self.path, 30)
        self.assertEqual({'none-machine', 'sga'}, found.types)
        self.assertEqual({'nx', 'pie'}, found.hardening)
        self.assertTrue(found.sandbox)

    def test_without_sandbox(self):
        self.answer(
            lines(TYPES, {'return': [{'option': 'x'}], 'id': 'options'})
        )
        self.assertFalse(emulator.examine(self.path, 30).sandbox)
        self.answer(lines(TYPES, {'return': [], 'id': 'options'}))
        self.assertFalse(emulator.examine(self.path, 30).sandbox)

    def test_no_file(self):
        self.refused(FileNotFoundError, '')

    def test_text_file(self):
        with open(self.path, 'w') as stream:
            stream.write('no program\n')
        os.chmod(self.path, 0o755)
        self.refused(OSError, 'Exec format error')

    def test_not_executable(self):
        self.answer('')
        os.chmod(self.path, 0o644)
        self.refused(PermissionError, '')

    def test_hangs(self):
        self.install('#!/bin/sh\nexec sleep 60\n')
        start = time.monotonic()
        self.refused(OSError, 'did not answer in 0.2 s', 0.2)
        self.assertLess(time.monotonic() - start, 10)

    def test_hangs_with_a_child_that_keeps_the_pipes(self):
        self.install('#!/bin/sh\nsleep 20 &\nwait\n')
        start = time.monotonic()
        self.refused(OSError, 'did not answer in 0.2 s', 0.2)
        self.assertLess(time.monotonic() - start, 10)

    def test_ends_and_leaves_a_child_that_keeps_the_pipes(self):
        self.install('#!/bin/sh\nsleep 20 &\nexit 0\n')
        start = time.monotonic()
        self.refused(OSError, 'did not answer in 0.5 s', 0.5)
        self.assertLess(time.monotonic() - start, 10)

    def test_does_not_end_when_it_is_told_to(self):
        self.install(
            '#!/usr/bin/python3 -S\n'
            f'print({lines(TYPES, OPTIONS)!r}, end="", flush=True)\n'
            '_ = "none-machine"\n'
            'import time; time.sleep(60)\n'
        )
        with mock.patch.object(emulator, '_look'):
            self.refused(OSError, 'did not answer in 1 s', 1.0)

    def test_writes_for_ever(self):
        # Long lines, because a busy machine takes its time for many.
        line = json.dumps({'text': 'x' * 1000})
        for stream in ('', ' >&2'):
            self.install(f"#!/bin/sh\nexec yes '{line}'{stream}\n")
            self.refused(ValueError, 'wrote more than')

    def test_ends_badly(self):
        for code in (1, 127, 255):
            self.install(f'#!/bin/sh\necho broken library >&2\nexit {code}\n')
            self.refused(OSError, f'exited with status {code}: broken library')

    def test_killed(self):
        self.install('#!/bin/sh\nkill -9 $$\n')
        self.refused(OSError, 'exited with status')

    def test_ends_badly_after_its_answers(self):
        self.install(
            '#!/usr/bin/python3 -S\n'
            f'print({lines(TYPES, OPTIONS)!r}, end="", flush=True)\n'
            'while "quit" not in input(): pass\n'
            'raise SystemExit(1)\n'
        )
        with mock.patch.object(emulator, '_look'):
            self.refused(OSError, 'exited with status 1')

    def test_ends_by_itself(self):
        for code in ('exit 0', 'exec true', 'echo "{}"'):
            self.install(f'#!/bin/sh\n{code}\n')
            self.refused(ValueError, 'it ended by itself')

    def test_garbage(self):
        for text in (
            'garbage\n', '{"id": "types"\n', '\0\n', '[' * 100000 + '\n',
            '5\n', '"id return"\n', '[]\n', 'null\n', 'true\n', 'NaN\n',
            lines(TYPES) + 'x\n' + lines(OPTIONS),
            lines(TYPES, OPTIONS) + 'x\n',
        ):  # fmt: skip
            self.answer(text)
            self.refused(ValueError, self.path)

    def test_answers_that_are_longer_than_a_pipe(self):
        types = TYPES['return'] + [
            {'name': f'type-{n}', 'parent': 'device'} for n in range(40000)
        ]
        self.answer(lines({'return': types, 'id': 'types'}, OPTIONS))
        self.assertEqual(40002, len(emulator.examine(self.path, 30).types))

    def test_not_utf_8(self):
        self.install("#!/bin/sh\nprintf '\\377\\376\\n'\n")
        self.refused(ValueError, '')

    def test_silent(self):
        self.install('#!/bin/sh\nexec cat >/dev/null\n')
        self.refused(OSError, 'did not answer in 0.5 s', 0.5)

    def test_an_empty_list_is_no_answer(self):
        # Else everything would count as absent.
        for types in ([], [{'name': 'sga'}]):
            self.answer(lines({'return': types, 'id': 'types'}, OPTIONS))
            self.refused(ValueError, 'none-machine')

    def test_answers_that_are_no_lists_of_names(self):
        for value in (
            None, True, 5, 'x', {}, {'name': 'none-machine'}, [1], [None],
            [[]], ['none-machine'], [{}], [{'name': 1}], [{'name': None}],
            [{'name': []}], [{'name': 'none-machine'}, {'other': 'x'}],
        ):  # fmt: skip
            self.answer(lines({'return': value, 'id': 'types'}, OPTIONS))
            self.refused(ValueError, self.path)
        for value in (None, 5, 'sandbox', {'option': 'sandbox'}, ['sandbox']):
            self.answer(lines(TYPES, {'return': value, 'id': 'options'}))
            self.refused(ValueError, self.path)

    def test_errors_instead_of_answers(self):
        error = {'error': {'class': 'CommandNotFound', 'desc': 'no'}}
        self.answer(lines(GREETING, {**error, 'id': 'types'}, OPTIONS))
        self.refused(ValueError, 'does not answer like QEMU')
        self.answer(lines(GREETING, TYPES, {**error, 'id': 'options'}))
        self.refused(ValueError, 'does not answer like QEMU')

    def test_ids_of_others(self):
        for other in ([], {}, None, 5, True, 'else'):
            self.answer(lines({'return': [], 'id': other}, TYPES, OPTIONS))
            emulator.examine(self.path, 30)

    def test_replaced_meanwhile(self):
        self.answer(lines(TYPES, OPTIONS))
        ask = qmp.ask

        def replace(*arguments):
            answers = ask(*arguments)
            shutil.copy(self.path, self.path + '.new')
            os.rename(self.path + '.new', self.path)
            return answers

        with mock.patch.object(qmp, 'ask', replace):
            self.refused(OSError, 'was replaced')

    @hypothesis.given(
        strategies.json_values | st.just(TYPES['return']),
        strategies.json_values | st.just(OPTIONS['return']),
    )
    def test_any_answers(self, types, options):
        path = programs.with_words('nx')
        seen = (
            emulator._Running(program.identity(path), path, path),
            mock.Mock(hardening=frozenset(), folders=frozenset()),
        )
        done = qmp.Answers(types, options, frozenset(), seen)
        good = (types, options) == (TYPES['return'], OPTIONS['return'])
        with mock.patch.object(qmp, 'ask', return_value=done):
            if good:
                emulator.examine(path, 1)
            else:
                # hypothesis may find another list with the type
                try:
                    found = emulator.examine(path, 1)
                except ValueError:
                    return
                self.assertIn('none-machine', found.types)

    @hypothesis.given(
        st.binary(max_size=40)
        | strategies.json_values.map(lambda v: json.dumps(v).encode())
    )
    def test_any_output(self, line):
        messages = qmp._Messages('qemu')
        try:
            messages.add(line + b'\n')
        except ValueError:
            return
        for text in filter(None, line.split(b'\n')):
            self.assertIsInstance(json.loads(text), dict)


class WrapperTest(base.TestCase):
    """libvirt starts what starts QEMU: what runs is measured."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.path = os.path.join(self.folder, 'wrapper')
        self.qemu = emulator.examine(QEMU, 60)

    def install(self, script):
        with open(self.path, 'w') as stream:
            stream.write(script)
        os.chmod(self.path, 0o755)

    def assert_measured(self, path):
        found = emulator.examine(path, 60)
        self.assertEqual(path, found.path)
        self.assertEqual(os.path.realpath(QEMU), found.executable)
        for name in ('identity', 'hardening', 'types', 'sandbox'):
            self.assertEqual(getattr(self.qemu, name), getattr(found, name))
        self.assertLessEqual(set(self.qemu.folders), set(found.folders))

    def refused(self, error, pattern, path=None):
        self.assertRaisesText(
            error, pattern, emulator.examine, path or self.path, 30
        )

    def test_script(self):
        self.install(f'#!/bin/sh\nexec {QEMU} "$@"\n')
        self.assert_measured(self.path)

    def test_script_of_bash_with_an_environment(self):
        self.install(
            '#!/bin/bash\nexport X=1\nset -e\n'
            f'exec env -u LD_DEBUG {QEMU} "$@"\n'
        )
        found = emulator.examine(self.path, 60)
        self.assertEqual(self.qemu.identity, found.identity)
        self.assertIn('/usr/lib/x86_64-linux-gnu/qemu', found.folders)

    def test_compiled(self):
        # Its own hardening, which is none, counts for nothing.
        path = programs.wrapper(QEMU)
        self.assertEqual(frozenset(), elf.hardening(path) & {'pie', 'relro'})
        self.assert_measured(path)

    def test_two_wrappers(self):
        self.install(f'#!/bin/sh\nexec {programs.wrapper(QEMU)} "$@"\n')
        self.assert_measured(self.path)

    def test_script_that_waits_for_a_child(self):
        self.install(f'#!/bin/sh\n{QEMU} "$@"\nexit $?\n')
        self.refused(ValueError, '<emulator> of libvirt, starts QEMU as anoth')

    def test_compiled_that_waits_for_a_child(self):
        self.refused(ValueError, 'start QEMU with exec', self.forking())

    def forking(self):
        return programs.wrapper(QEMU, programs.FORK)

    def test_script_that_leaves_a_child(self):
        self.install(f'#!/bin/sh\n{QEMU} "$@" <&0 &\nexit 0\n')
        self.refused(ValueError, 'starts QEMU as another process')

    def test_nothing_remains(self):
        mark = os.path.basename(self.folder)
        self.install(f'#!/bin/sh\n{QEMU} -name {mark} "$@"\n')
        self.refused(ValueError, 'starts QEMU as another process')
        deadline = time.monotonic() + 10
        while self.running(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual([], self.running(mark))

    def running(self, mark):
        """The QEMU processes with a mark in their command line."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/cmdline', 'rb') as stream:
                    words = stream.read().split(b'\0')
            except OSError:
                continue
            if mark.encode() in words:
                found.append(pid)
        return found

    def test_what_passes_on_the_answers_of_a_child(self):
        self.install(
            '#!/usr/bin/python3 -S\n'
            'import subprocess, sys\n'
            f'child = subprocess.Popen([{QEMU!r}, *sys.argv[1:]], text=True,\n'
            '    stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)\n'
            'for _ in range(3): child.stdin.write(sys.stdin.readline())\n'
            'for line in child.stdout: print(line, end="", flush=True)\n'
        )
        self.refused(ValueError, 'answers and is not QEMU')

    def test_a_program_of_another_kind(self):
        self.install('#!/bin/sh\nexec cat\n')
        self.refused(ValueError, '')

    def test_it_says_something_of_its_own(self):
        self.install(f'#!/bin/sh\necho starting\nexec {QEMU} "$@"\n')
        self.refused(ValueError, "answered b'starting', which is not")

    def other_emulator(self):
        copy = os.path.join(self.folder, 'copy')
        shutil.copy(programs.with_words('nx'), copy)
        with open(copy + '.answers', 'w') as stream:
            stream.write(lines(TYPES, OPTIONS))
        return copy

    def test_it_runs_a_file_that_does_not_stay(self):
        copy = self.other_emulator()
        self.install(f'#!/bin/sh\nexec {programs.wrapper(copy)} "$@"\n')
        look = emulator._look

        def unlink(path, pid):
            os.unlink(copy)
            return look(path, pid)

        with mock.patch.object(emulator, '_look', unlink):
            self.refused(OSError, 'which does not stay')

    def test_the_file_behind_it_is_replaced(self):
        copy = self.other_emulator()
        self.install(f'#!/bin/sh\nexec {copy} "$@"\n')
        found = emulator.examine(self.path, 60)
        before = emulator.fingerprint(self.path, found.others)
        os.rename(copy, copy + '.old')
        shutil.copy(copy + '.old', copy)
        self.assertNotEqual(
            before, emulator.fingerprint(self.path, found.others)
        )

    def test_a_file_that_must_not_be_seen(self):
        # The kernel hides what runs with rights of its file from others than
        # root.
        with mock.patch.object(os, 'readlink', side_effect=PermissionError):
            self.refused(PermissionError, 'no setuid bit', QEMU)


#: As nova-compute of older releases runs it.
GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, time
from nova_isolation.probes import emulator
for path in sys.argv[1:]:
    # What hangs has the shorter time.
    seconds = 2.0 if 'hang' in path else 60.0
    start = time.monotonic()
    try:
        print(len(emulator.examine(path, seconds).types) > 500)
    except (OSError, ValueError) as error:
        print(time.monotonic() - start < seconds + 10, error)
"""


class EventletTest(base.TestCase):
    """Whatever the program does, the examination ends in its time."""

    def test_programs(self):
        folder = self.useFixture(fixtures.TempDir()).path
        paths = [QEMU, '/bin/true', '/bin/false']
        for name, script in (
            ('exec', f'exec {QEMU} "$@"'),
            ('fork', f'{QEMU} "$@"'),
            ('hang', 'exec sleep 99'),
            ('hang-without-pipes', 'exec 0<&- 1>&- sleep 99'),
            ('flood', 'exec yes "{}"'),
        ):
            paths.append(os.path.join(folder, name))
            with open(paths[-1], 'w') as stream:
                stream.write(f'#!/bin/sh\n{script}\n')
            os.chmod(paths[-1], 0o755)
        result = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', GREEN, *paths],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, result.returncode, result.stderr)
        found = result.stdout.splitlines()
        self.assertEqual(len(paths), len(found), found)
        for line, words in zip(
            found,
            ('', 'ended by itself', 'status 1', '', 'as another process',
             'not answer in 2 s', 'not answer in 2 s', ''),
            strict=True,
        ):  # fmt: skip
            self.assertTrue(line.startswith('True'), line)
            self.assertIn(words, line)


class FingerprintTest(base.TestCase):
    """While it is equal the examination need not be repeated."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.modules = os.path.join(self.folder, 'modules')
        self.path = os.path.join(self.folder, 'qemu')
        self.write('one')
        self.before = self.fingerprint()

    def write(self, text, path=None):
        with open(path or self.path, 'w') as stream:
            stream.write(text)

    def fingerprint(self):
        return emulator.fingerprint(self.path, (self.modules,))

    def changed(self):
        after = self.fingerprint()
        self.assertNotEqual(self.before, after)
        self.before = after

    def test_same(self):
        self.assertEqual(self.before, self.fingerprint())
        hash(self.before)

    def test_replaced_by_its_like(self):
        os.rename(self.path, self.path + '.old')
        shutil.copy2(self.path + '.old', self.path)
        self.changed()

    def test_written_to(self):
        self.write('two')
        self.changed()

    def test_written_to_with_the_time_put_back(self):
        found = os.stat(self.path)
        time.sleep(0.02)
        self.write('two')
        os.utime(self.path, ns=(found.st_atime_ns, found.st_mtime_ns))
        self.changed()

    def test_mode(self):
        time.sleep(0.02)
        os.chmod(self.path, stat.S_IRWXU)
        self.changed()

    def test_modules_that_come_and_go(self):
        os.mkdir(self.modules)
        self.changed()
        time.sleep(0.02)
        self.write('', os.path.join(self.modules, 'hw-usb-redirect.so'))
        self.changed()
        time.sleep(0.02)
        os.unlink(os.path.join(self.modules, 'hw-usb-redirect.so'))
        self.changed()
        os.rmdir(self.modules)
        self.changed()

    def test_gone(self):
        os.unlink(self.path)
        self.assertRaises(OSError, self.fingerprint)
        self.assertRaises(OSError, program.identity, self.path)

    def test_links_are_followed(self):
        link = os.path.join(self.folder, 'link')
        os.symlink(self.path, link)
        self.assertEqual(program.identity(self.path), program.identity(link))
