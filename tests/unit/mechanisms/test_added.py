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

"""A mechanism is added without a change of any other file.

Once out of the tree, by another package: the example of the documentation,
laid out as pip would. Once in the tree: a copy of this package with one more
folder and one more entry point.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import fixtures

import nova_isolation
from nova_isolation.mechanisms import registry
from tests.unit import base

PACKAGE = pathlib.Path(nova_isolation.__file__).parent
EXAMPLE = pathlib.Path(__file__).parents[3] / 'doc' / 'examples' / 'smt.py'

#: What a controller and a compute host do with a mechanism, in one process.
SCRIPT = """
import json, sys
from oslo_config import cfg
from nova_isolation import opts
from nova_isolation.api import validators
from nova_isolation.decision import host_facts
from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import registry
from nova_isolation.model import facts
from nova_isolation.model import requirements
from nova_isolation.testing import fakes
name, value, file = sys.argv[1:]
mechanisms = registry.get()
conf = cfg.ConfigOpts()
opts.register(conf)
def codes(text):
    measured = measurement.measure(
        fakes.FakeHost({file: text}),
        mechanisms,
        bounded_calls.BoundedCalls(30),
    )
    answer = host_facts.decide(
        requirements.parse(
            {f'isolation:{name}': value}, mechanisms.vocabulary),
        measured.document, age=0, freshness=facts.Freshness(),
        mechanisms=mechanisms,
    )
    return list(answer.codes), sorted(
        trait for trait in measured.traits if name.upper() in trait)
print(json.dumps({
    'failed': dict(mechanisms.failed),
    'built in': name in registry.BUILT_IN,
    'validators': [v.name for v in validators.register() if name in v.name],
    'remedies': sorted(c for c in mechanisms.reasons if name in c),
    'options': [
        [group.name, [option.name for option in options]]
        for group, options in opts.list_opts() if name in group.name
    ],
    'possible traits': sorted(
        t for t in mechanisms.possible_traits() if name.upper() in t),
    'good': codes('0'), 'bad': codes('1'), 'unknown': codes('nonsense'),
    'hook': bool(
        registry.owning([f'isolation:{name}']).vocabulary.of(name)),
}))
"""

#: The contract suite where the packages that only tests need are missing.
CONTRACT = """
import sys, unittest
for name in ('testtools', 'hypothesis', 'fixtures', 'oslotest', 'ddt'):
    sys.modules[name] = None
import smt
from nova_isolation.testing import fakes
from nova_isolation.testing import mechanism_contract
ACTIVE = '/sys/devices/system/cpu/smt/active'
class SmtContractTest(
    mechanism_contract.MechanismContract, unittest.TestCase
):
    mechanism_class = smt.SmtMechanism
    malformed = ({'off': None}, {'off': 'true'}, {'off': 1})
    cases = (
        mechanism_contract.Case(
            specs={'isolation:smt': 'off'},
            good=[fakes.FakeHost({ACTIVE: '0'})],
            bad=[('smt.active', fakes.FakeHost({ACTIVE: SMT}))],
            guests=[fakes.FakeGuest()],
            wrong=[],
        ),
    )
unittest.main()
"""


class AddedTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.site = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def distribution(self, name, entry_point):
        """Lay the metadata of a distribution into a folder of sys.path."""
        info = self.site / f'{name}-1.0.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n'
        )
        (info / 'entry_points.txt').write_text(
            f'[{registry.ENTRY_POINTS}]\n{entry_point}\n'
        )

    def run_python(self, script, *arguments):
        return subprocess.run(
            [sys.executable, '-c', script, *arguments],
            cwd=self.site,
            env={
                **os.environ,
                # The package that is tested, or the copy in the folder.
                'PYTHONPATH': f'{self.site}{os.pathsep}{PACKAGE.parent}',
                'XDG_CACHE_HOME': str(self.site / 'cache'),
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    def found(self, name, value, file):
        """What the processes of a cloud find of a mechanism."""
        run = self.run_python(SCRIPT, name, value, file)
        self.assertEqual(0, run.returncode, run.stderr)
        return json.loads(run.stdout)

    def test_out_of_the_tree(self):
        shutil.copy(EXAMPLE, self.site)
        self.distribution('nova-isolation-smt', 'smt = smt:SmtMechanism')
        self.assertEqual(
            {
                'failed': {},
                'built in': False,
                'validators': ['isolation:smt'],
                'remedies': ['isolation.smt.active', 'isolation.smt.unknown'],
                'options': [['isolation_smt', ['state']]],
                'possible traits': ['CUSTOM_ISOLATION_SMT_OFF'],
                'good': [[], ['CUSTOM_ISOLATION_SMT_OFF']],
                'bad': [['isolation.smt.active'], []],
                'unknown': [['isolation.smt.unknown'], []],
                'hook': True,
            },
            self.found('smt', 'off', '/sys/devices/system/cpu/smt/active'),
        )

    def test_contract_suite_without_test_packages(self):
        shutil.copy(EXAMPLE, self.site)
        run = self.run_python(CONTRACT.replace('SMT', "'1'"))
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertRegex(run.stderr, r'Ran (2[0-9]|[3-9][0-9]) tests')
        # A suite that cannot fail proves nothing.
        run = self.run_python(CONTRACT.replace('SMT', "'0'"))
        self.assertEqual(1, run.returncode, run.stderr)
        self.assertIn('test_contract_passing_and_refusing', run.stderr)

    def test_in_the_tree(self):
        shutil.copytree(
            PACKAGE,
            self.site / 'nova_isolation',
            ignore=shutil.ignore_patterns('__pycache__'),
        )
        room = self.site / 'nova_isolation' / 'mechanisms' / 'empty'
        room.mkdir()
        (room / '__init__.py').touch()
        text = EXAMPLE.read_text()
        (room / 'mechanism.py').write_text(
            textwrap.dedent(text[text.index('from collections') :])
            .replace('isolation.smt.', 'isolation.empty.')
            .replace("'smt'", "'empty'")
            .replace("'SMT'", "'EMPTY'")
            .replace('isolation:smt', 'isolation:empty')
        )
        self.distribution(
            'one-more-entry-point',
            'empty = nova_isolation.mechanisms.empty.mechanism:SmtMechanism',
        )
        found = self.found(
            'empty', 'off', '/sys/devices/system/cpu/smt/active'
        )
        self.assertTrue(found['built in'])
        self.assertTrue(found['hook'])
        self.assertEqual({}, found['failed'])
        self.assertEqual([[], ['CUSTOM_ISOLATION_EMPTY_OFF']], found['good'])
        self.assertEqual([['isolation.empty.active'], []], found['bad'])
