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

"""Tests of the recipes for a QEMU, as far as no QEMU is built.

That a QEMU which is built by a recipe lacks the components is tested where one
is built (tests/e2e/test_qemu_build.py).
"""

import pathlib
import subprocess

import fixtures

from nova_isolation.mechanisms.qemu import build_script
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import recipe
from tests.unit import base

EVERY = tuple(catalogue.CATALOGUE)

#: File of QEMU's sources -> lines that are there.
LINES = {
    'hw/i386/Kconfig': '    imply QXL\n    select FDC_ISA\n    select A\n',
    'hw/i386/pc.c': '#include CONFIG_DEVICES\n\n'
    '        fdc = isa_new(TYPE_ISA_FDC);\n',
    'hw/isa/Kconfig': 'config PIIX\n    select USB_UHCI\n\n'
    'config VT82C686\n    select USB_UHCI\n',
}


class RecipeTest(base.TestCase):
    """The recipe."""

    def test_each_component_can_be_left_out(self):
        for name, row in catalogue.CATALOGUE.items():
            for release, own in recipe.RELEASES.items():
                made = recipe.make([name], release)
                self.assertEqual(
                    [
                        f'CONFIG_{symbol}=n'
                        for symbol in (*own.boards, *row.kconfig)
                        if symbol not in own.unknown
                    ],
                    [line for line in made.devices if line.endswith('=n')],
                )
                off = f'--disable-{row.feature}'
                self.assertEqual(
                    bool(row.feature), off in made.configure, name
                )
            self.assertTrue(row.feature or row.kconfig, name)

    def test_no_symbol_is_of_two_components(self):
        symbols = [s for r in catalogue.CATALOGUE.values() for s in r.kconfig]
        self.assertEqual(len(symbols), len(set(symbols)))
        for own in recipe.RELEASES.values():
            self.assertLessEqual(own.unknown, set(symbols))

    def test_nothing_is_both_wanted_and_left_out(self):
        for release in recipe.RELEASES:
            made = recipe.make(EVERY, release, needed_only=True)
            names = [line.partition('=')[0] for line in made.devices]
            self.assertEqual(len(names), len(set(names)))

    def test_changes_are_only_for_what_needs_them(self):
        self.assertEqual((), recipe.make(['usb-uhci'], '7.2').changes)
        self.assertEqual((), recipe.make(['floppy'], '10.0').changes)
        self.assertEqual(3, len(recipe.make(EVERY, '7.2').changes))
        self.assertEqual(1, len(recipe.make(['usb-uhci'], '10.0').changes))

    def test_what_has_code_of_other_components(self):
        igb = 'CONFIG_IGB_PCI_EXPRESS=n'
        for names in (['e1000'], ['e1000e'], ['usb-uhci']):
            self.assertNotIn(igb, recipe.make(names, '10.0').devices)
        both = ['e1000e', 'e1000', 'sb16']
        self.assertIn(igb, recipe.make(both, '10.0').devices)
        self.assertNotIn(igb, recipe.make(both, '7.2').devices)

    def test_what_guests_need_alone(self):
        made = recipe.make(['sb16'], '7.2', needed_only=True)
        self.assertIn('--without-default-devices', made.configure)
        self.assertIn('CONFIG_VIRTIO_BLK=y', made.devices)
        made = recipe.make(['sb16'], '7.2')
        self.assertNotIn('--without-default-devices', made.configure)
        self.assertNotIn('CONFIG_VIRTIO_BLK=y', made.devices)

    def test_flags_of_hardening(self):
        (flags,) = (
            option
            for option in recipe.make([], '10.0').configure
            if option.startswith('--extra-cflags=')
        )
        # QEMU has -D_FORTIFY_SOURCE=2 before them.
        self.assertLess(
            flags.index('-U_FORTIFY_SOURCE'),
            flags.index('-D_FORTIFY_SOURCE=3'),
        )


class ChangeTest(base.TestCase):
    """The changes of QEMU's sources, on lines as they are there."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def build(self, release, version, lines=None):
        """Run a script with a compiler that fails, as there is no QEMU."""
        for name, text in build_script.files(
            recipe.make(EVERY, release)
        ).items():
            (self.folder / name).write_text(text)
        source = self.folder / 'source'
        for name, text in (LINES if lines is None else lines).items():
            file = source / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (source / 'VERSION').write_text(f'{version}\n')
        script = self.folder / build_script.SCRIPT
        done = subprocess.run(
            ['bash', script, source, self.folder / 'out'],
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertNotEqual(0, done.returncode)
        return source, done.stderr

    def test_floppy(self):
        source, _ = self.build('7.2', '7.2.22')
        kconfig = (source / 'hw/i386/Kconfig').read_text()
        self.assertIn('    imply FDC_ISA\n    select A\n', kconfig)
        lines = (source / 'hw/i386/pc.c').read_text().splitlines()
        self.assertEqual('#include CONFIG_DEVICES', lines[0])
        self.assertEqual('#ifndef CONFIG_FDC_ISA', lines[1])
        self.assertEqual('#endif', lines[5])
        self.assertIn('fdc = isa_try_new(TYPE_ISA_FDC);', lines[-1])
        changed = {n: (source / n).read_text() for n in LINES}
        source, _ = self.build('7.2', '7.2.22', changed)
        for name, text in changed.items():
            self.assertEqual(text, (source / name).read_text())

    def test_usb_of_the_south_bridge_alone(self):
        source, _ = self.build('10.0', '10.0.13')
        self.assertEqual(
            'config PIIX\n    imply USB_UHCI\n\n'
            'config VT82C686\n    select USB_UHCI\n',
            (source / 'hw/isa/Kconfig').read_text(),
        )

    def test_another_release(self):
        _, errors = self.build('7.2', '8.2.1')
        self.assertIn('is QEMU 8.2.1; wanted 7.2', errors)
        _, errors = self.build('7.2', '7.20')
        self.assertIn('wanted 7.2', errors)

    def test_sources_without_what_is_changed(self):
        lines = {**LINES, 'hw/i386/pc.c': 'isa_new("isa-fdc")\n'}
        _, errors = self.build('7.2', '7.2.22', lines)
        self.assertIn('pc.c does not have what the recipe changes', errors)


class ShortestTest(base.TestCase):
    """Few words for many components."""

    def test_they_stand_for_the_same(self):
        for names in (EVERY, EVERY[:20], EVERY[7:], ('sga',), ()):
            words = groups.shortest(names)
            self.assertEqual(names, groups.components(words))
            self.assertNotIn(groups.ALL, words)
        self.assertEqual(tuple(groups.GROUPS), groups.shortest(EVERY))
