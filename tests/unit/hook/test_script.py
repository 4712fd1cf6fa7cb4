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
import site
import stat
import sys

import fixtures

from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from tests.unit import base
from tests.unit import fakes

_NO_SELINUX = selinux_label.Labels(fakes.Host().read)


class ScriptTest(base.TestCase):
    """The file that libvirt runs, in its place."""

    def setUp(self):
        super().setUp()
        self.etc = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.folder = self.etc / 'hooks'
        self.script = self.of_folder(self.folder)
        self.path = self.script.path

    @staticmethod
    def of_folder(folder, python=sys.executable, labels=_NO_SELINUX):
        return script.Script(folder, python, labels)

    def write(self, path, text, mode=0o755):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def refuses_a_foreign_file(self):
        """Nothing is done to it, and its path is named."""
        before = self.path.read_text()
        for method in (
            self.script.found,
            self.script.is_current,
            self.script.install,
            self.script.remove,
        ):
            self.assertRaisesText(
                script.HookError, f'{self.path} was not written by', method
            )
        self.assertEqual(before, self.path.read_text())

    def test_where_libvirt_looks(self):
        self.assertEqual(
            '/etc/libvirt/hooks/qemu.d/50-nova-isolation',
            str(script.Script().path),
        )

    def test_where_libvirt_looks_in_dom0_of_xen(self):
        told = self.etc / 'capabilities'
        for text, folder in (
            ('control_d\n', 'libxl.d'),
            # A guest of Xen, with the file system of Xen mounted.
            ('', 'qemu.d'),
        ):
            told.write_text(text)
            made = script.Script(self.folder, labels=_NO_SELINUX, xen=told)
            self.assertEqual(
                self.folder / folder / '50-nova-isolation', made.path
            )

    def test_install(self):
        self.assertIsNone(self.script.found())
        self.assertFalse(self.script.is_current())
        self.assertTrue(self.script.install())
        self.assertTrue(self.script.is_current())
        self.assertEqual(self.script.text, self.script.found())
        self.assertEqual(0o755, stat.S_IMODE(self.path.stat().st_mode))
        # libvirt would run whatever else lay there.
        self.assertEqual([self.path], list(self.path.parent.iterdir()))
        self.assertEqual([self.path.parent], list(self.folder.iterdir()))

    def test_install_again(self):
        self.script.install()
        before = self.path.stat()
        self.assertFalse(self.script.install())
        self.assertEqual(before, self.path.stat())

    def test_install_mends(self):
        self.script.install()
        for change in (
            lambda: self.path.chmod(0o644),
            lambda: self.path.write_text(self.script.text + 'exit 0\n'),
            lambda: self.of_folder(self.folder, '/other/python').install(),
        ):
            change()
            self.assertFalse(self.script.is_current())
            self.assertTrue(self.script.install())
            self.assertTrue(self.script.is_current())

    def test_no_libvirt(self):
        away = self.of_folder(self.etc / 'no' / 'hooks')
        self.assertRaisesText(
            script.HookError, 'install libvirt first', away.install
        )
        self.assertEqual([], list(self.etc.iterdir()))

    def test_cannot_be_written(self):
        self.write(self.folder, 'a file in the place of the folder')
        self.assertRaisesText(
            script.HookError, 'cannot be written', self.script.install
        )

    def test_what_was_begun_is_taken_back(self):
        self.path.parent.mkdir(parents=True)
        self.useFixture(fixtures.MonkeyPatch('os.replace', self._disk_is_full))
        self.assertRaisesText(
            script.HookError, 'No space', self.script.install
        )
        self.assertEqual([self.path.parent], list(self.folder.iterdir()))
        self.assertFalse(self.path.exists())

    @staticmethod
    def _disk_is_full(*_):
        raise OSError(28, 'No space left on device')

    def test_foreign_file(self):
        for text in ('', '#!/bin/sh\n', 'x' + self.script.text[10:40]):
            self.write(self.path, text)
            self.refuses_a_foreign_file()

    def test_link(self):
        other = self.write(self.etc / 'other', self.script.text)
        self.path.parent.mkdir(parents=True)
        self.path.symlink_to(other)
        self.refuses_a_foreign_file()
        other.unlink()
        self.assertRaises(script.HookError, self.script.install)

    def test_remove(self):
        self.assertFalse(self.script.remove())
        self.script.install()
        self.assertTrue(self.script.remove())
        self.assertFalse(self.path.exists())
        self.assertFalse(self.script.remove())

    def test_remove_one_of_another_installation(self):
        self.of_folder(self.folder, '/other/python').install()
        self.assertTrue(self.script.remove())

    def test_others(self):
        self.assertEqual([], self.script.others())
        first = self.write(self.folder / 'qemu', '')
        second = self.write(self.path.parent / '10-mine', '')
        self.write(self.path.parent / 'README', '', 0o644)
        (self.path.parent / 'folder').mkdir()
        self.script.install()
        self.assertEqual([first, second], self.script.others())

    def test_interpreter(self):
        self.assertIn(f'python={sys.executable}\n', self.script.text)
        for folder in site.getsitepackages():
            self.assertEqual(
                pathlib.Path(folder).is_dir(), folder in self.script.text
            )
        odd = script.Script(self.folder, "/opt/my venv's/python")
        self.assertIn("""python='/opt/my venv'"'"'s/python'\n""", odd.text)


class Labels:
    """As nova_isolation.hook.selinux_label.Labels, on a host with SELinux."""

    def __init__(self):
        self.given = {}
        self.refusal = ''

    def wanted(self, path):
        return f'label of {path}'

    def fits(self, path):
        return self.given.get(path) == self.wanted(path)

    def check(self, path, python):
        if self.refusal:
            raise selinux_label.LabelError(f'{self.refusal}: {path}, {python}')

    def give(self, path, wanted):
        # libvirt runs it from the moment it has its name.
        if path.parent.name == 'qemu.d' or not path.exists():
            raise AssertionError(path)
        self.given[path.parent / 'qemu.d' / '50-nova-isolation'] = wanted


class LabelledTest(base.TestCase):
    """The same on a host with SELinux."""

    def setUp(self):
        super().setUp()
        self.labels = Labels()
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label.give', self.labels.give
            )
        )
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.script = script.Script(
            folder / 'hooks', '/its/python', self.labels
        )

    def test_labelled_before_it_is_there(self):
        self.assertTrue(self.script.install())
        self.assertTrue(self.labels.fits(self.script.path))
        self.assertTrue(self.script.is_current())
        self.assertFalse(self.script.install())

    def test_relabelled(self):
        self.script.install()
        self.labels.given.clear()
        self.assertFalse(self.script.is_current())
        self.assertTrue(self.script.install())
        self.assertTrue(self.script.is_current())

    def test_libvirt_may_not_run_it(self):
        self.labels.refusal = 'may not'
        for words in ('may not', str(self.script.path), '/its/python'):
            self.assertRaisesText(
                selinux_label.LabelError, words, self.script.install
            )
            self.assertRaisesText(
                selinux_label.LabelError, words, self.script.check
            )
        self.assertIsNone(self.script.found())
        self.assertFalse(self.script.path.parent.parent.exists())

    def test_one_that_is_there_stays(self):
        self.script.install()
        self.labels.refusal = 'may not'
        self.assertRaises(selinux_label.LabelError, self.script.install)
        self.assertEqual(self.script.text, self.script.found())
        self.assertTrue(self.script.remove())

    def test_label_cannot_be_given(self):
        def refuse(path, wanted):
            raise OSError(22, 'Invalid argument')

        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.hook.selinux_label.give', refuse
            )
        )
        self.assertRaisesText(
            script.HookError, 'Invalid argument', self.script.install
        )
        self.assertIsNone(self.script.found())
        self.assertEqual(
            [self.script.path.parent],
            list(self.script.path.parent.parent.iterdir()),
        )
