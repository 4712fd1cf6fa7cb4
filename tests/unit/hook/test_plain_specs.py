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

"""What the hook's shell lets start by itself, beside the full check."""

from importlib import metadata
import pathlib
import shutil
import subprocess
from unittest import mock

import fixtures
import hypothesis
from hypothesis import strategies as st

from nova_isolation.hook import plain_specs
from nova_isolation.hook import script
from nova_isolation.mechanisms import registry
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit.hook import test_check
from tests.unit.hook import test_shortcut

QEMU = {'isolation:hypervisor': 'qemu'}
#: Flavors of which the shell knows enough.
PLAIN = (
    QEMU,
    {'isolation:hypervisor': 'kvm,qemu'},
    {**QEMU, 'isolation:qemu_hardening': 'pie'},
    {**QEMU, 'isolation:qemu_hardening': 'pie,nx,pie'},
    {**QEMU, 'isolation:qemu_sandbox': 'true'},
    {'isolation:qemu_absent': 'usb,floppy', 'isolation:attested': 'true'},
    {**QEMU, 'hw:cpu_policy': 'shared'},
)
#: Flavors that Python looks at, whatever it finds.
OTHERS = (
    {'isolation:svirt': 'any'},
    {**QEMU, 'isolation:svirt': 'any'},
    {'isolation:hypervisor': 'xen'},
    {'isolation:hypervisor': 'qemu,xen'},
    {'isolation:hypervisor': ''},
    {'isolation:hypervisor': 'qemu,'},
    {'isolation:hypervisor': ',qemu'},
    {'isolation:hypervisor': 'qemu,,kvm'},
    {'isolation:hypervisor': 'QEMU'},
    {'isolation:hypervisor': 'q*'},
    {'isolation:hypervisor': 'qem'},
    {'isolation:hypervisor': 'kvm qemu'},
    {'isolation:hypervisor': ' qemu'},
    {'isolation:hypervisor': 'qemu\n'},
    {'isolation:hypervisor ': 'qemu'},
    {'isolation:Hypervisor': 'qemu'},
    {'isolation.hypervisor': 'qemu'},
    {'isolation:hypervisor=qemu': 'qemu'},
    {'isolation:attested': 'true,true'},
    {'isolation:attested': 'TRUE'},
    {'isolation:attested': 'false'},
    {'isolation:attested': 'true', 'isolation:attested_pcrs': '17'},
    {'isolation:attested': 'true', 'isolation:attested_boot': 'true'},
    {'isolation:qemu_hardening': ','.join(['pie'] * 65)},
    {**QEMU, 'isolation:x': 'y'},
    {'isolation:x': 'y', **QEMU},
)


class ShellTest(base.TestCase):
    """The installed script, where there is no Python that could check."""

    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.version = folder / 'nova_isolation-1.0.0.dist-info'
        self.version.mkdir()
        made = script.Script(
            folder / 'hooks',
            str(folder / 'no python'),
            installation=str(self.version),
        )
        made.install()
        self.hook = made.path

    def lets_start(self, xml, shell=()):
        """Whether the shell needs no Python to let a guest start."""
        found = subprocess.run(
            [*shell, self.hook, 'instance-1', 'start', 'begin', '-'],
            input=xml.encode(),
            capture_output=True,
            timeout=60,
        )
        said = found.stderr.decode()
        self.assertEqual('Python' in said, found.returncode == 1, said)
        return found.returncode == 0

    def test_plain(self):
        for specs in PLAIN:
            xml = test_check.domain(specs)
            self.assertTrue(test_shortcut.full(xml), specs)
            self.assertTrue(self.lets_start(xml), specs)

    def test_others(self):
        for specs in OTHERS:
            self.assertFalse(self.lets_start(test_check.domain(specs)), specs)

    def test_other_shells(self):
        for name in ('bash', 'busybox'):
            found = shutil.which(name)
            if found is None:
                continue
            shell = [found, 'sh'] if name == 'busybox' else [found, '--posix']
            for flavors, expected in ((PLAIN, True), (OTHERS, False)):
                for specs in flavors:
                    xml = test_check.domain(specs)
                    self.assertEqual(
                        expected, self.lets_start(xml, shell), (name, specs)
                    )

    def test_a_value_that_the_shell_does_not_see_whole(self):
        plain = test_check.domain(QEMU)
        self.assertTrue(self.lets_start(plain))
        for old, new in (
            ('>qemu<', '>qemu<!-- -->,x<'),
            ('>qemu<', '>qemu<![CDATA[,x]]><'),
            ('>qemu<', '>qemu<a/>,x<'),
            ('>qemu<', '>qemu&#44;x<'),
            ('>qemu<', '>qemu<'[:-1]),
            ('name="isolation', 'a="b" name="isolation'),
            ('name="isolation', 'name="x" name="isolation'),
            ('">qemu', '" a="">qemu'),
            ('">qemu', '" >qemu'),
        ):
            self.assertIn(old, plain)
            self.assertFalse(self.lets_start(plain.replace(old, new)), new)

    def test_the_version_that_wrote_the_words_is_gone(self):
        self.assertTrue(self.lets_start(test_check.domain(QEMU)))
        self.version.rmdir()
        self.assertFalse(self.lets_start(test_check.domain(QEMU)))
        self.assertTrue(self.lets_start(test_check.domain({})))

    def test_a_reference_that_the_shell_does_not_know(self):
        # libvirt leaves out the document type and keeps the reference.
        for specs in ({}, QEMU):
            xml = test_check.domain({**specs, 'hw:x': 'any'})
            self.assertTrue(self.lets_start(xml))
            self.assertFalse(self.lets_start(xml.replace('hw:x', '&e;:svirt')))
            self.assertTrue(self.lets_start(xml.replace('any', '&lt;any')))

    def test_a_guest_of_xen(self):
        for xml in (
            test_check.xen(QEMU, 'preserve'),
            test_check.xen(QEMU, 'preserve').replace(
                "type='xen'", 'type="xen"'
            ),
        ):
            self.assertIn('xen', xml)
            self.assertFalse(self.lets_start(xml))

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        st.lists(test_shortcut.PAIRS, max_size=4),
        st.lists(test_shortcut.LABELS, max_size=1),
    )
    def test_generated_domains(self, pairs, labels):
        specs = dict(pairs)
        if any('\x00' in text for text in specs.values()):
            return
        xml = test_check.domain(specs, ''.join(labels))
        if self.lets_start(xml):
            self.assertTrue(test_shortcut.full(xml), xml)


class WordsTest(base.TestCase):
    """Which words the shell knows."""

    def test_for_how_long(self):
        path = self.useFixture(fixtures.TempDir()).path
        for version, name in (
            ('1.2.3.dev4', 'nova_isolation-1.2.3.dev4.dist-info'),
            ('1.2.3', 'nova_isolation-1.2.3.egg-info'),
        ):
            folder = pathlib.Path(path, version)
            made = folder / name
            made.mkdir(parents=True)
            (made / 'METADATA').write_text(
                f'Name: nova-isolation\nVersion: {version}\n'
            )
            found = list(metadata.distributions(path=[str(folder)]))
            self.assertEqual(1, len(found))
            with mock.patch.object(
                metadata, 'distributions', return_value=found
            ):
                self.assertEqual(str(made), plain_specs.installation())
                made.rename(folder / 'other')
                self.assertEqual('', plain_specs.installation())
        with mock.patch.object(metadata, 'distributions', return_value=[]):
            self.assertEqual('', plain_specs.installation())

    def test_each_word_of_the_shell_is_let_start(self):
        known = plain_specs.words()
        self.assertIn('isolation:hypervisor', known)
        for key, words in known.items():
            for word in words:
                xml = test_check.domain({key: word})
                self.assertTrue(test_shortcut.full(xml), (key, word))

    def test_any_two_beside_each_other(self):
        known = plain_specs.words()
        for one in known:
            for other in known:
                specs = {one: known[one][-1], other: known[other][0]}
                xml = test_check.domain(specs)
                self.assertTrue(test_shortcut.full(xml), specs)

    def test_what_is_left_to_python(self):
        rows = registry.get().vocabulary.rows
        known = plain_specs.words()
        for key in ('svirt', 'svirt_type', 'attested_pcrs', 'attested_boot'):
            self.assertIn(vocabulary.NAMESPACE + key, rows)
            self.assertNotIn(vocabulary.NAMESPACE + key, known)
        # QEMU's seccomp filter and Xen contradict each other.
        self.assertEqual(('kvm', 'qemu'), known['isolation:hypervisor'])
