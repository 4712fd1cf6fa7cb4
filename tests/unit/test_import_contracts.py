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

"""The import contracts of pyproject.toml find what they are there for.

Each test breaks a contract in a copy of the sources. The pep8 stage checks the
sources themselves.
"""

from pathlib import Path
import shutil
import subprocess
import sys

import fixtures

from tests.unit import base

_ROOT = Path(__file__).parents[2]
_LINT = Path(sys.executable).parent / 'lint-imports'


class ImportContractsTest(base.TestCase):
    """lint-imports on a copy of the sources."""

    def setUp(self):
        super().setUp()
        self.copy = Path(self.useFixture(fixtures.TempDir()).path)
        for name in ('nova_isolation', 'lab'):
            shutil.copytree(
                _ROOT / name,
                self.copy / name,
                ignore=shutil.ignore_patterns('__pycache__'),
            )
        shutil.copy(_ROOT / 'pyproject.toml', self.copy)

    def lint(self):
        """The exit status and what was printed."""
        result = subprocess.run(
            [_LINT, '--no-logo', '--no-cache'],
            cwd=self.copy,
            capture_output=True,
            text=True,
            timeout=120,
            # Wide, so that no line is wrapped.
            env={'PATH': '/usr/bin:/bin', 'COLUMNS': '1000'},
        )
        return result.returncode, result.stdout + result.stderr

    def inject(self, path, statement):
        """Put a statement at the end of a module, which may be new."""
        file = self.copy / 'nova_isolation' / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent.name != 'nova_isolation':
            (file.parent / '__init__.py').touch()
        with file.open('a') as stream:
            stream.write(f'\n{statement}\n')

    def assertBroken(self, contract, *words):
        """Exactly one contract is broken, and the words say by what."""
        status, text = self.lint()
        self.assertEqual(1, status, text)
        self.assertIn(f'{contract} BROKEN', text)
        self.assertEqual(1, text.count(' BROKEN'), text)
        for word in words:
            self.assertIn(word, text)

    def test_unchanged(self):
        status, text = self.lint()
        self.assertEqual(0, status, text)
        self.assertIn(' kept, 0 broken', text)

    def test_eventlet(self):
        self.inject('scheduler/worker.py', 'import eventlet')
        self.assertBroken(
            'Nothing imports eventlet',
            'nova_isolation.scheduler.worker -> eventlet',
        )

    def test_nova_in_a_room_without_it(self):
        self.inject('model/facts.py', 'from nova import context')
        self.assertBroken(
            'Only api, cloud, scheduler, virt and some commands import Nova',
            'nova_isolation.model.facts -> nova',
        )

    def test_nova_in_the_hook(self):
        self.inject('hook/trial.py', 'def f():\n    import nova.conf')
        self.assertBroken(
            'Only api, cloud, scheduler, virt and some commands import Nova',
            'nova_isolation.hook.trial -> nova',
        )

    def test_clock_in_a_pure_room(self):
        self.inject('decision/cache.py', 'import time')
        self.assertBroken(
            'The rooms that decide do no I/O and have no clock',
            'nova_isolation.decision.cache -> time',
        )

    def test_file_without_a_floor(self):
        self.inject('stray.py', '')
        self.assertBroken('Floors of the package', 'stray')

    def test_file_without_a_floor_in_the_driver(self):
        self.inject('virt/stray.py', '')
        self.assertBroken('Floors of the compute driver', 'stray')

    def test_upwards(self):
        self.inject(
            'model/facts.py', 'from nova_isolation.decision import decision'
        )
        status, text = self.lint()
        self.assertEqual(1, status, text)
        self.assertIn('Floors of the package BROKEN', text)
        self.assertIn(
            'nova_isolation.model is not allowed to import '
            'nova_isolation.decision',
            text,
        )

    def test_doors(self):
        self.inject(
            'scheduler/filter.py', 'from nova_isolation.api import validators'
        )
        self.assertBroken(
            'Floors of the package',
            'nova_isolation.scheduler.filter -> nova_isolation.api.validators',
        )

    def test_technology_that_imports_another(self):
        (module,) = self.copy.glob('nova_isolation/mechanisms/hypervisor*')
        if module.is_dir():
            module /= 'mechanism.py'
        self.inject(
            module.relative_to(self.copy / 'nova_isolation'),
            'from nova_isolation.mechanisms import qemu',
        )
        self.assertBroken(
            'Technologies do not import each other',
            '-> nova_isolation.mechanisms.qemu',
        )

    def test_new_technology(self):
        # It needs no line in the contracts, and is held to them.
        self.inject(
            'mechanisms/xsm/mechanism.py',
            'from nova_isolation.mechanisms import base',
        )
        status, text = self.lint()
        self.assertEqual(0, status, text)
        self.inject(
            'mechanisms/xsm/mechanism.py',
            'from nova_isolation.mechanisms import svirt',
        )
        self.assertBroken(
            'Technologies do not import each other',
            'nova_isolation.mechanisms.xsm.mechanism -> '
            'nova_isolation.mechanisms.svirt',
        )

    def test_circle_of_folders(self):
        self.inject(
            'attestation/provider.py',
            'from nova_isolation.attestation.keylime import keylime_provider',
        )
        self.assertBroken(
            'No circles of files or folders', 'nova_isolation.attestation'
        )

    def test_slow_import_in_the_hook(self):
        self.inject('hook/check.py', 'from lxml import etree')
        self.assertBroken(
            'The hook imports nothing slow',
            'nova_isolation.hook.check -> lxml',
        )

    def test_the_lab(self):
        self.inject('opts.py', 'import lab')
        self.assertBroken('The package does not import its lab', 'lab')
