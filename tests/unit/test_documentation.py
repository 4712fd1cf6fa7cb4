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

"""The checks of the documentation find what is wrong, and README is short."""

import importlib.util
import pathlib
import types

from oslotest import base

_ROOT = pathlib.Path(__file__).parents[2]


def _extension(name: str) -> types.ModuleType:
    """A module of doc/ext, which is not a package."""
    spec = importlib.util.spec_from_file_location(
        name, _ROOT / 'doc/ext' / f'{name}.py'
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class QuotedMessagesTest(base.BaseTestCase):
    SOURCE = """
LOG.info(
    'Guest %(uuid)s is verified: '
    '%(found)s',
    {'uuid': uuid, 'found': found},
)
print(f'{file.path}: the hook is {"a" + "b"}')
"""

    def setUp(self) -> None:
        super().setUp()
        self.templates = _extension('quoted_messages').Templates([self.SOURCE])

    def test_part_of_a_message(self) -> None:
        for quote in (
            'Guest ... is verified: ...',
            'is verified:',
            '...: the hook is ...',
        ):
            self.assertTrue(self.templates.contain(quote), quote)

    def test_no_part_of_a_message(self) -> None:
        for quote in ('Guest is verified', 'is verified before', 'the guest'):
            self.assertFalse(self.templates.contain(quote), quote)

    def test_printed_message(self) -> None:
        for line in ('Guest 1 is verified: a; b', '/etc/x: the hook is ab'):
            self.assertTrue(self.templates.yield_(line), line)

    def test_message_that_is_not_printed(self) -> None:
        for line in ('Guest 1 was verified: a', '/etc/x: the hook was ab'):
            self.assertFalse(self.templates.yield_(line), line)


class CheckedNamesTest(base.BaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.names = _extension('checked_names')

    def test_what_exists(self) -> None:
        for name in (
            'nova_isolation/model/reasons.py',
            'nova_isolation/decision/',
            'nova_isolation.decision.host_facts',
            'nova_isolation.virt.guard.guard.Guard',
            'nova_isolation.decision',
            'isolation.facts.stale',
            # placeholders, and what is none of the three
            'nova_isolation/cmd/NAME.py',
            'isolation:svirt',
            '/etc/nova/nova.conf',
        ):
            self.assertTrue(self.names.exists(name), name)

    def test_what_does_not_exist(self) -> None:
        for name in (
            'nova_isolation/judge.py',
            'tests/unit/test_none.py',
            'nova_isolation.decision.judge',
            'nova_isolation.virt.guard.guard.Sentry',
            'isolation.facts.rotten',
        ):
            self.assertFalse(self.names.exists(name), name)


class ReadmeTest(base.BaseTestCase):
    def test_length(self) -> None:
        lines = (_ROOT / 'README.rst').read_text().splitlines()
        self.assertLessEqual(len(lines), 80)


class DemonstrationTest(base.BaseTestCase):
    """The page that shows a run of the demonstration."""

    def test_scenes_are_those_of_the_lab(self) -> None:
        _, _, text = (
            (_ROOT / 'doc/source/user/demo.rst')
            .read_text()
            .partition('.. demo output')
        )
        shown = [
            line.strip()
            for line in text.splitlines()
            if line.startswith('    ') and not line.startswith('     ')
        ]
        self.assertGreater(len(shown), 7)
        templates = _extension('quoted_messages').Templates(
            path.read_text() for path in (_ROOT / 'lab').rglob('*.py')
        )
        for line in shown:
            self.assertTrue(
                templates.contain(line) or templates.yield_(line), line
            )
