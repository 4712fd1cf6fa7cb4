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

"""Tests of nova_isolation.cmd.qemu, on this machine's QEMU."""

import argparse
import contextlib
import io
import json
import pathlib
from unittest import mock

import fixtures
from oslo_config import cfg

from nova_isolation import opts
from nova_isolation.cloud import flavors
from nova_isolation.cmd import error
from nova_isolation.cmd import qemu
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.probes import emulator
from nova_isolation.report import asked
from nova_isolation.report import picture
from tests.unit import base

QEMU = '/usr/bin/qemu-system-x86_64'


class CommandCase(base.TestCase):
    """Runs the command."""

    def setUp(self):
        super().setUp()
        conf = cfg.ConfigOpts()
        opts.register(conf)
        conf([], project='nova')
        conf.set_override('probe_timeout', 60, 'isolation')
        self.conf = conf
        self.useFixture(fixtures.MockPatchObject(qemu, 'CONF', conf))

    def run_command(self, *words):
        parser = argparse.ArgumentParser()
        qemu.add(parser.add_subparsers())
        given = parser.parse_args(['qemu', *words])
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(0, given.run(given))
        return out.getvalue()

    def run_json(self, *words):
        return json.loads(self.run_command(*words, '--format', 'json'))

    def refused(self, pattern, *words):
        self.assertRaisesRegex(
            error.CommandError, pattern, self.run_command, *words
        )


class ExamineTest(CommandCase):
    """What a QEMU has."""

    def test_as_the_compute_host_measures_it(self):
        found = self.run_json('examine', QEMU)
        probed = emulator.examine(QEMU, 60)
        self.assertEqual(QEMU, found['path'])
        self.assertEqual(probed.executable, found['executable'])
        self.assertEqual(pathlib.Path(QEMU).stat().st_size, found['size'])
        self.assertEqual(probed.hardening, set(found['hardening']))
        self.assertFalse(set(found['hardening']) & set(found['lacking']))
        self.assertEqual(7, len(found['hardening']) + len(found['lacking']))
        present = catalogue.present(probed.types)
        self.assertEqual(present, set(found['present']))
        self.assertEqual(
            set(catalogue.CATALOGUE) - present, set(found['absent'])
        )
        self.assertTrue(found['sandbox'])
        self.assertIn(
            ['virtio-gpu'],
            [names for use, names in found['used'].items() if 'video' in use],
        )
        self.assertEqual([], found['lost'])

    def test_for_people(self):
        text = self.run_command('examine', QEMU)
        self.assertIn(f'{QEMU} is a QEMU of ', text)
        self.assertIn('Hardening: pie,nx,relro,bindnow', text)
        self.assertIn(',usb,', text)
        self.assertIn('virtio-gpu, for the video model virtio', text)
        self.assertNotIn('cannot have', text)

    def test_what_is_lost(self):
        probed = emulator.examine(QEMU, 60)
        types = frozenset(t for t in probed.types if 'virtio-vga' not in t)
        types -= {'virtio-gpu-pci', 'tpm-emulator'}
        with mock.patch.object(
            emulator,
            'examine',
            return_value=emulator.program.Emulator(
                **{**vars(probed), 'types': types}
            ),
        ):
            text = self.run_command('examine', QEMU)
            found = self.run_json('examine', QEMU)
        self.assertIn('Guests of Nova cannot have:', text)
        self.assertIn('a vTPM: flavors with hw:tpm_version', text)
        self.assertEqual(
            ['the video model virtio, the default where VNC or SPICE is on',
             'a vTPM'],
            [loss['use'] for loss in found['lost']],
        )  # fmt: skip

    def test_no_qemu(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, text, mode, words in (
            ('text', 'hello', 0o644, 'Permission denied'),
            ('silent', '#!/bin/sh\n', 0o755, 'does not answer like QEMU'),
            ('fails', '#!/bin/sh\necho no >&2; exit 3\n', 0o755, 'status 3'),
            ('other', '#!/bin/sh\necho hello\n', 0o755, 'not a JSON object'),
        ):
            file = folder / name
            file.write_text(text)
            file.chmod(mode)
            self.refused(
                f'{name} cannot be examined as a QEMU: .*{words}',
                'examine',
                str(file),
            )
        self.refused('No such file', 'examine', str(folder / 'nothing'))
        self.refused('cannot be examined', 'examine', str(folder))

    def test_a_program_that_does_not_end(self):
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'slow'
        file.write_text('#!/bin/sh\nexec sleep 100\n')
        file.chmod(0o755)
        self.conf.set_override('probe_timeout', 0.5, 'isolation')
        self.refused('cannot be examined as a QEMU', 'examine', str(file))


class RecipeTest(CommandCase):
    """How to build a QEMU."""

    def flavor(self, **specs):
        found = picture.Flavor(
            '1', 'alice', {f'isolation:{k}': v for k, v in specs.items()}
        )
        self.useFixture(
            fixtures.MockPatchObject(flavors, 'find', return_value=found)
        )

    def test_absent(self):
        found = self.run_json('recipe', '--absent', 'sharing,edu')
        self.assertEqual('10.0', found['release'])
        self.assertEqual(['virtio-9p', 'ivshmem', 'edu'], found['absent'])
        self.assertIn('CONFIG_EDU=n', found['devices'])
        self.assertIn('CONFIG_IVSHMEM_FLAT_DEVICE=n', found['devices'])
        self.assertIn('--disable-virtfs', found['configure'])
        self.assertEqual([], found['changes'])

    def test_flavor(self):
        self.flavor(qemu_absent='usb,floppy', svirt='selinux')
        text = self.run_command(
            'recipe', '--flavor', 'alice', '--release', '7.2'
        )
        self.assertIn('  CONFIG_USB_UHCI=n\n', text)
        self.assertIn('  --disable-usb-redir\n', text)
        self.assertIn("sed -i 's/select FDC_ISA$/imply FDC_ISA/'", text)

    def test_flavor_that_wants_nothing_absent(self):
        self.flavor(svirt='selinux')
        self.refused('any QEMU will do', 'recipe', '--flavor', 'alice')

    def test_unknown_flavor(self):
        missing = mock.Mock(side_effect=asked.NoSuchFlavor('There is none'))
        self.useFixture(fixtures.MockPatchObject(flavors, 'find', missing))
        self.refused('There is none', 'recipe', '--flavor', 'nobody')

    def test_unknown_component(self):
        self.refused('invalid_value', 'recipe', '--absent', 'usb,nix')
        self.flavor(qemu_absent='nix')
        self.refused('invalid_value', 'recipe', '--flavor', 'alice')

    def test_files(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'a'
        text = self.run_command(
            'recipe', '--absent', 'all', '--needed-only', '--output',
            str(folder),
        )  # fmt: skip
        self.assertIn(f'bash {folder}/build.sh SOURCE FOLDER', text)
        self.assertEqual(
            ['build.sh', 'devices.mak', 'start.S'],
            sorted(file.name for file in folder.iterdir()),
        )
        self.assertIn('endbr64', (folder / 'start.S').read_text())
        script = (folder / 'build.sh').read_text()
        self.assertNotIn('@', script.replace('"$@"', ''))
        self.assertIn('--without-default-features', script)

    def test_files_that_cannot_be_written(self):
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'a'
        file.touch()
        self.refused(
            'cannot be written', 'recipe', '--absent', 'all', '--output',
            str(file),
        )  # fmt: skip
