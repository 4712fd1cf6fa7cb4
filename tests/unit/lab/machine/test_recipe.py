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

"""The key of the machine changes with what is built, and only with that."""

from pathlib import Path
import subprocess
import tempfile
import unittest
from unittest import mock

from lab.machine import recipe
from lab.run import errors


class KeyTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.files = {
            name: self.write(name)
            for name in (
                'machine/recipe.py',
                'machine/image.py',
                'machine/cache.py',
                'machine/__init__.py',
                'machine/domain.cil',
                'policy/svirt.cil',
            )
        }
        self.files |= {
            'constraints.txt': self.write(
                'constraints.txt', 'lxml==1\nnova==1\noslo.log==1\nruff==1\n'
            ),
            'requirements.txt': self.write(
                'requirements.txt', 'lxml>=1 # BSD\n'
            ),
        }
        for name, value in (
            ('__file__', str(self.files['machine/recipe.py'])),
            ('POLICY', self.root / 'policy'),
            ('DOMAIN_MODULE', self.files['machine/domain.cil']),
            ('CONSTRAINTS', self.files['constraints.txt']),
            ('REQUIREMENTS', self.files['requirements.txt']),
        ):
            patched = mock.patch.object(recipe, name, value)
            patched.start()
            self.addCleanup(patched.stop)
        self.version = subprocess.CompletedProcess(
            [], 0, 'QEMU emulator version 10.0', ''
        )

    def write(self, name: str, text: str = 'text\n') -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, 'utf-8')
        return path

    def key(self) -> str:
        supervisor = mock.Mock()
        supervisor.output.return_value = self.version
        return recipe.key(supervisor)

    def test_the_same_sources(self) -> None:
        self.assertEqual(self.key(), self.key())
        self.assertRegex(self.key(), '^[0-9a-f]{16}$')

    def test_what_is_built_from(self) -> None:
        for name in (
            'machine/recipe.py',
            'machine/image.py',
            'machine/domain.cil',
            'policy/svirt.cil',
            'requirements.txt',
        ):
            with self.subTest(name):
                before = self.key()
                self.write(name, 'changed\n')
                self.assertNotEqual(before, self.key())

    def test_versions(self) -> None:
        """Those of the requirements, of Nova, and of what Nova needs."""
        file = self.files['constraints.txt']
        pinned = file.read_text('utf-8')
        for name, counts in (
            ('lxml', True),
            ('nova', True),
            ('oslo.log', True),
            # A linter is not on the machine.
            ('ruff', False),
        ):
            with self.subTest(name):
                file.write_text(pinned, 'utf-8')
                before = self.key()
                file.write_text(
                    pinned.replace(f'{name}==1', f'{name}==2'), 'utf-8'
                )
                self.assertEqual(counts, before != self.key())

    def test_what_is_not_built_from(self) -> None:
        before = self.key()
        for name in (
            'machine/cache.py',
            'machine/__init__.py',
            'README',
            # It is for dom0 of a Xen host.
            'policy/xen_dom0.cil',
        ):
            self.write(name, 'changed\n')
        self.assertEqual(before, self.key())

    def test_a_new_file(self) -> None:
        for name in ('machine/disk.py', 'policy/second.cil'):
            before = self.key()
            self.write(name)
            self.assertNotEqual(before, self.key())

    def test_a_policy_module_of_another_name(self) -> None:
        before = self.key()
        self.files['policy/svirt.cil'].rename(self.root / 'policy/other.cil')
        self.assertNotEqual(before, self.key())

    def test_another_qemu(self) -> None:
        before = self.key()
        self.version.stdout = 'QEMU emulator version 10.1'
        self.assertNotEqual(before, self.key())

    def test_no_qemu(self) -> None:
        self.version.returncode = 127
        self.version.stderr = 'not found'
        with self.assertRaisesRegex(errors.LabError, 'not found'):
            self.key()


class NotBuildingTest(unittest.TestCase):
    def test_the_exceptions_are_there(self) -> None:
        folder = Path(recipe.__file__).parent
        for name in recipe._NOT_BUILDING:
            self.assertTrue((folder / name).is_file(), name)

    def test_the_inputs_are_there(self) -> None:
        self.assertTrue(recipe.policy_modules())
        for path in (recipe.CONSTRAINTS, recipe.REQUIREMENTS):
            self.assertTrue(path.is_file(), path)
