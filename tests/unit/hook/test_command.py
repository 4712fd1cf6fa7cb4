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

import pathlib

import fixtures

from nova_isolation.cmd import hook
from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from nova_isolation.hook import trial
from tests.unit import base
from tests.unit import fakes

_NO_SELINUX = selinux_label.Labels(fakes.Host().read)


class CommandTest(base.TestCase):
    """nova-isolation-hook install, remove, status."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'hooks'
        )
        self.script = script.Script(self.folder, labels=_NO_SELINUX)
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.script.Script', lambda: self.script
            )
        )

        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.probes.apparmor.profiles', lambda read: set()
            )
        )

    def run_command(self, *words):
        """Its exit status and what it printed."""
        printed = self.useFixture(fixtures.StringStream('out')).stream
        with fixtures.MonkeyPatch('sys.stdout', printed):
            status = hook.main(list(words))
        printed.seek(0)
        return status, printed.read()

    def expect(self, status, *words):
        """A command as given in words[0] ends so and says the others."""
        found, text = self.run_command(words[0])
        self.assertEqual(status, found, text)
        for word in words[1:]:
            self.assertIn(word, text)
        return text

    def test_life(self):
        path = str(self.script.path)
        self.expect(1, 'status', path, 'not installed')
        self.expect(0, 'install', path, 'installed', 'Reload', 'refuses a')
        self.expect(0, 'status', path, 'installed', 'refuses a tagged one')
        text = self.expect(0, 'install', 'already installed')
        self.assertNotIn('Reload', text)
        self.expect(0, 'remove', path, 'removed')
        self.expect(0, 'remove', 'not installed')
        self.expect(1, 'status')

    def test_not_tried_as_confined(self):
        def not_mounted(read):
            raise FileNotFoundError('not mounted')

        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.probes.apparmor.profiles', not_mounted
            )
        )
        for command in ('install', 'status'):
            self.expect(0, command, 'refuses a', 'AppArmor', 'not mounted')

    def test_another_hook_is_there(self):
        other = self.folder / 'qemu'
        self.folder.mkdir()
        other.write_text('#!/bin/sh\n')
        other.chmod(0o755)
        self.expect(0, 'install', f'already runs {other}', 'Reload')

    def test_of_another_installation(self):
        script_ = self.script
        self.script = type(script_)(
            self.folder, '/no/such/python', _NO_SELINUX
        )
        self.expect(2, 'install', 'does not work', '/no/such/python')
        self.script = script_
        self.expect(2, 'status', 'is not as this installation writes it')
        text = self.expect(0, 'install', 'installed')
        self.assertNotIn('Reload', text)

    def test_of_an_older_release(self):
        # Its script runs a module that is gone: no tagged guest starts.
        self.expect(0, 'install')
        path = self.script.path
        old = path.read_text().replace(
            'from nova_isolation.hook import check; sys.exit(check.main(out))',
            'from nova_isolation.hook import moved; sys.exit(moved.main())',
        )
        self.assertIn('moved.main()', old)
        path.write_text(old)
        self.expect(2, 'status', 'is not as this installation writes it')
        self.assertIn('moved', trial.run(path).fault)
        text = self.expect(0, 'install', 'installed', 'refuses a tagged one')
        self.assertNotIn('already', text)
        self.assertNotIn('moved', path.read_text())
        self.expect(0, 'status')

    def test_selinux(self):
        self.expect(0, 'install')
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label.Labels.check', self._may_not
            )
        )
        for command in ('install', 'status'):
            text = self.expect(2, command, 'may not', str(self.script.path))
            self.assertNotIn('trial', text)
        self.expect(0, 'remove')

    @staticmethod
    def _may_not(self, path, python):
        raise selinux_label.LabelError(f'may not: {path}')

    def test_foreign(self):
        self.script.path.parent.mkdir(parents=True)
        self.script.path.write_text('mine')
        for command in ('install', 'remove', 'status'):
            self.expect(
                2, command, str(self.script.path), 'move the file away'
            )
        self.assertEqual('mine', self.script.path.read_text())

    def test_no_command(self):
        for words in ((), ('mend',)):
            error = self.assertRaises(SystemExit, hook.main, list(words))
            self.assertEqual(2, error.code)
