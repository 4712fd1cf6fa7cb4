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

"""Tests of nova_isolation.hook.trial."""

import pathlib
import sys

import fixtures

from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from nova_isolation.hook import trial
from tests.unit import base
from tests.unit import fakes

_PROFILES = '/sys/kernel/security/apparmor/profiles'
#: As aa-exec: "-p PROFILE -- COMMAND". It tells of itself in a file.
_AA_EXEC = """#!/bin/sh
[ "$1 $3" = "-p --" ] || exit 99
echo "$2" >>{used}
{more}
shift 3
exec "$@"
"""


class TrialTest(base.TestCase):
    """Whether the file judges."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.used = self.folder / 'used'
        self.script = self.installed(sys.executable)

    def installed(self, python):
        made = script.Script(
            self.folder / 'hooks',
            python,
            selinux_label.Labels(fakes.Host().read),
        )
        made.install()
        return made

    def fault(self, profiles=None):
        files = {}
        if profiles is not None:
            files = {fakes.APPARMOR: 'Y\n', fakes.APPARMOR_MODE: 'enforce\n'}
            files[_PROFILES] = profiles
        return self.run_trial(files).fault

    def run_trial(self, files):
        return trial.run(self.script.path, fakes.Host(files).read)

    def aa_exec(self, more=''):
        """Put our own in the place of aa-exec."""
        program = self.folder / 'aa-exec'
        program.write_text(_AA_EXEC.format(used=self.used, more=more))
        program.chmod(0o755)
        self.useFixture(
            fixtures.EnvironmentVariable(
                'PATH', f'{self.folder}:/usr/bin:/bin'
            )
        )

    def test_judges(self):
        self.assertEqual('', self.fault())

    def test_does_not(self):
        for text, words in (
            ('exit 0', 'exit status 0 in place of 1'),
            ('exit 1', 'exit status 1 in place of 0'),
            ('echo; exit 0', 'exit status 0 in place of 0'),
        ):
            self.script.path.write_text(f'#!/bin/sh\n{text}\n')
            self.assertIn(words, self.fault())

    def test_as_apparmor_confines_it(self):
        for profiles, used in (
            ('libvirtd (enforce)\nlibvirtd//qemu_bridge_helper (enforce)\n',
             ['libvirtd'] * 2),
            ('virtqemud (enforce)\nlibvirtd (complain)\n',
             ['libvirtd'] * 2 + ['virtqemud'] * 2),
            ('libvirtd//qemu_bridge_helper (enforce)\nman_groff (enforce)\n',
             []),
            ('', []),
        ):  # fmt: skip
            self.aa_exec()
            self.used.write_text('')
            self.assertEqual('', self.fault(profiles))
            self.assertEqual(used, self.used.read_text().split())

    def test_apparmor_is_in_the_way(self):
        # Of the second profile only.
        self.aa_exec('[ "$2" = libvirtd ] || exit 126')
        self.assertEqual('', self.fault('libvirtd (enforce)\n'))
        fault = self.fault('libvirtd (enforce)\nvirtqemud (enforce)\n')
        self.assertIn('aa-exec -p virtqemud', fault)
        self.assertIn('exit status 126 in place of 0', fault)

    def assertUntried(self, words, profiles):
        """It judges, and nobody knows whether it does when confined."""
        files = {
            fakes.APPARMOR: 'Y\n',
            fakes.APPARMOR_MODE: 'enforce\n',
            _PROFILES: profiles,
        }
        result = self.run_trial(files)
        self.assertEqual('', result.fault)
        self.assertIn(words, result.untried)
        # What is wrong anyway is found anyway.
        self.script.path.write_text('#!/bin/sh\nexit 0\n')
        self.assertIn('exit status 0', self.run_trial(files).fault)

    def test_no_aa_exec(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label.find_program',
                lambda name: None,
            )
        )
        self.assertUntried('aa-exec is not installed', 'libvirtd (enforce)\n')

    def test_profiles_cannot_be_read(self):
        self.assertUntried('cannot be read: no', PermissionError('no'))

    def test_not_confined(self):
        self.assertEqual(('', ''), self.run_trial({}))
