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


"""The key of the Xen machine, and the options with which QEMU boots it."""

from pathlib import Path
import subprocess
import tempfile
import unittest
from unittest import mock

from lab.machine import recipe as base
from lab.xen import image
from lab.xen import recipe


class KeyTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write('machine/recipe.py')
        self.write('xen/recipe.py')
        for module, name, value in (
            (base, '__file__', str(self.root / 'machine/recipe.py')),
            (recipe, '__file__', str(self.root / 'xen/recipe.py')),
            (base, 'POLICY', self.root / 'policy'),
            (recipe, 'FLASK', self.root / 'flask'),
        ):
            patched = mock.patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def write(self, name: str, text: str = 'text\n') -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, 'utf-8')

    def key(self) -> str:
        supervisor = mock.Mock()
        supervisor.output.return_value = subprocess.CompletedProcess(
            [], 0, 'QEMU emulator version 10.0', ''
        )
        return recipe.key(supervisor)

    def test_what_is_built_from(self) -> None:
        for name in (
            'machine/recipe.py',
            'xen/recipe.py',
            'xen/peer.c',
            'policy/xen_dom0.cil',
            'flask/drvdom.te',
        ):
            for text in ('new\n', 'changed\n'):
                with self.subTest(name, text=text):
                    before = self.key()
                    self.write(name, text)
                    self.assertNotEqual(before, self.key())

    def test_what_is_not_built_from(self) -> None:
        before = self.key()
        for name in (
            'xen/__init__.py',
            'policy/nova_isolation.cil',
            'flask/README',
        ):
            self.write(name)
        self.assertEqual(before, self.key())


class InputsTest(unittest.TestCase):
    def test_the_inputs_are_there(self) -> None:
        self.assertTrue(recipe.policy_modules())
        names = [path.stem for path in recipe.flask_modules()]
        # The second names a type of the first, so the order matters.
        self.assertEqual(['drvdom', 'nova_guests'], names)

    def test_the_types_are_declared(self) -> None:
        text = ''.join(
            path.read_text('utf-8') for path in recipe.flask_modules()
        )
        for type_ in (recipe.DRIVER_DOMAIN_TYPE, recipe.GUEST_TYPE):
            self.assertIn(f'declare_domain({type_})', text)


class OptionsTest(unittest.TestCase):
    def test_both_enforce_and_dom0_can_calculate(self) -> None:
        options = image.Image(Path('/nonexistent')).options(recipe.BOOT)
        command_line = options[options.index('-append') + 1]
        self.assertIn('flask=enforcing', command_line)
        self.assertIn('spec-ctrl=eager-fpu hap=0', command_line)
        modules = str(options[options.index('-initrd') + 1])
        self.assertIn('enforcing=1', modules)
        self.assertIn('oops=panic panic=-1', modules)

    def test_a_comma_in_a_path_ends_no_module(self) -> None:
        options = image.Image(Path('/a,b')).options(recipe.BOOT)
        modules = str(options[options.index('-initrd') + 1])
        self.assertTrue(modules.startswith('/a,,b/vmlinuz placeholder '))
        self.assertTrue(modules.endswith(',/a,,b/initramfs'))
