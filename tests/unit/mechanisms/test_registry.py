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

"""Tests of nova_isolation.mechanisms.registry."""

import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap

import fixtures
from stevedore import extension

from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit.mechanisms import examples
from tests.unit.model import test_vocabulary

ROOT = pathlib.Path(registry.__file__).parents[2]
LOCKDOWN = examples.LockdownMechanism


def variant(**members):
    """A class as LockdownMechanism, but for some members."""
    return type('Variant', (LOCKDOWN,), members)


def fails(*_):
    """A method that raises."""
    raise RuntimeError('no')


class BuildTest(base.TestCase):
    """Which classes are taken."""

    def build(self, cls, name='lockdown', **others):
        return registry.build(
            {**examples.built_in_classes(), name: cls, **others}
        )

    def refused(self, cls, pattern, name='lockdown', **others):
        """It is not loaded; all others are, and nothing of it is known."""
        mechanisms = self.build(cls, name, **others)
        self.assertNotIn(name, mechanisms.loaded)
        self.assertIn(pattern, mechanisms.failed[name])
        self.assertLessEqual(
            registry.BUILT_IN - {name}, set(mechanisms.loaded)
        )
        self.assertNotIn('isolation:lockdown', mechanisms.vocabulary.rows)
        self.assertNotIn('isolation.lockdown.weak', mechanisms.reasons)
        return mechanisms

    def test_built_in(self):
        mechanisms = registry.get()
        self.assertEqual(
            {'attested', 'hypervisor', 'certification', 'svirt', 'qemu'},
            set(mechanisms.loaded),
        )
        self.assertEqual({}, dict(mechanisms.failed))
        self.assertEqual(registry.BUILT_IN, set(mechanisms.loaded))
        self.assertEqual(reasons.REASONS, mechanisms.reasons)
        self.assertEqual(
            {s.key for s in vocabulary.EXTRA_SPECS},
            set(mechanisms.vocabulary.rows),
        )

    def test_loaded_once(self):
        self.assertIs(registry.get(), registry.get())

    def test_another_one(self):
        mechanisms = self.build(LOCKDOWN)
        self.assertEqual({}, dict(mechanisms.failed))
        self.assertIn('lockdown', mechanisms.loaded)
        self.assertIn('isolation:lockdown', mechanisms.vocabulary.rows)
        self.assertIs(
            LOCKDOWN.WEAK, mechanisms.reasons['isolation.lockdown.weak']
        )

    def test_owning_has_the_classes_of_the_entry_points(self):
        mechanisms = registry.owning(s.key for s in vocabulary.EXTRA_SPECS)
        self.assertEqual(
            examples.built_in_classes(),
            {name: type(m) for name, m in mechanisms.loaded.items()},
        )
        self.assertEqual({}, dict(mechanisms.failed))

    def test_owning_one_that_does_not_import(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.mechanisms.registry._own_class', fails
            )
        )
        mechanisms = registry.owning(['isolation:svirt'])
        self.assertEqual({}, dict(mechanisms.loaded))
        self.assertEqual('RuntimeError: no', mechanisms.failed['svirt'])

    def test_nothing_at_all(self):
        mechanisms = registry.build({})
        self.assertEqual({}, dict(mechanisms.loaded))
        self.assertEqual(registry.BUILT_IN, set(mechanisms.failed))
        for why in mechanisms.failed.values():
            self.assertIn('no entry point', why)

    def test_why_a_built_in_one_failed_is_kept(self):
        mechanisms = registry.build({}, {'svirt': 'ImportError: no'})
        self.assertEqual('ImportError: no', mechanisms.failed['svirt'])

    def test_no_mechanism(self):
        for thing in (None, 1, 'x', object, object(), LOCKDOWN(), fails, dict):
            self.refused(thing, 'is no Mechanism')

    def test_abstract(self):
        self.refused(variant(judge=registry.base.Mechanism.judge), 'TypeError')

    def test_raises_when_made(self):
        self.refused(variant(__init__=fails), 'RuntimeError')

    def test_other_name(self):
        self.refused(variant(name='other'), "calls itself 'other'")
        self.refused(variant(name=None), 'calls itself None')

    def test_names_that_are_none(self):
        for name in ('v', '', 'Lock', '1a', 'a-b', 'a b', 'a\n', '\u00e9'):
            spec = test_vocabulary.row('isolation:lockdown', mechanism=name)
            self.refused(
                variant(name=name, extra_specs=(spec,)), 'is no name', name
            )

    def test_source_that_is_none(self):
        # A host's word must not count because of a slip of the pen.
        for source in ('third party', 'THIRD_PARTY', None, 1):
            self.refused(variant(source=source), 'is no Source')

    def test_rows_of_another(self):
        spec = test_vocabulary.row('isolation:lockdown', mechanism='svirt')
        self.refused(variant(extra_specs=(spec,)), "belongs to 'svirt'")

    def test_rows_that_are_none(self):
        for specs in (None, 1, ('isolation:lockdown',), (None,)):
            self.refused(variant(extra_specs=specs), 'Error')

    def test_rows_that_the_vocabulary_refuses(self):
        for key, why in (
            ('isolation:xsm_boot', 'is reserved'),
            ('isolation:xsm', 'is reserved'),
            ('isolation:svirt', 'has an owner'),
            ('lockdown', 'is not in'),
        ):
            spec = test_vocabulary.row(key, mechanism='lockdown')
            mechanisms = self.refused(variant(extra_specs=(spec,)), why)
            row = mechanisms.vocabulary.rows.get(key)
            self.assertIn(getattr(row, 'mechanism', None), (None, 'svirt'))

    def test_one_good_row_does_not_save_a_bad_one(self):
        bad = test_vocabulary.row('isolation:xsm', mechanism='lockdown')
        self.refused(
            variant(extra_specs=(*LOCKDOWN.extra_specs, bad)), 'is reserved'
        )

    def test_pattern_that_is_none(self):
        spec = test_vocabulary.row(
            'isolation:lockdown', mechanism='lockdown', pattern='[a'
        )
        # re.error, which Python 3.13 calls PatternError.
        self.refused(
            variant(extra_specs=(spec,)), 'unterminated character set'
        )

    def test_reasons_that_are_none(self):
        for own in (None, 1, ('isolation.lockdown.weak',), (None,)):
            self.refused(variant(own_reasons=own), 'Error')

    def test_reasons_of_this_distribution_are_not_replaced(self):
        other = reasons.Reason(reasons.SVIRT_LABEL.code, 'All is well.', 'No.')
        mechanisms = self.build(variant(own_reasons=(other,)))
        self.assertIs(
            reasons.SVIRT_LABEL, mechanisms.reasons[reasons.SVIRT_LABEL.code]
        )

    def test_name_of_a_built_in_one(self):
        specs = vocabulary.owned_by('svirt')
        mechanisms = self.refused(
            variant(name='svirt', extra_specs=specs[:1]),
            'another package uses the name',
            'svirt',
        )
        # Its extra specs are still known, so that they are refused for what
        # they are.
        self.assertIn('isolation:svirt', mechanisms.vocabulary.rows)

    def test_two_others_that_want_the_same_row(self):
        spec = test_vocabulary.row('isolation:same', mechanism='a')
        one = variant(name='a', extra_specs=(spec,))
        two = variant(
            name='b',
            extra_specs=(
                test_vocabulary.row('isolation:same', mechanism='b'),
            ),
        )
        mechanisms = registry.build({'b': two, 'a': one})
        self.assertIn('a', mechanisms.loaded)
        self.assertIn('has an owner', mechanisms.failed['b'])
        self.assertEqual(
            'a', mechanisms.vocabulary.rows['isolation:same'].mechanism
        )


SCRIPT = """
import json, logging, sys
logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
from nova_isolation.decision import host_facts
from nova_isolation.model import facts
from nova_isolation.model import requirements
from nova_isolation.mechanisms import registry
mechanisms = registry.get()
def decide(key, value, document):
    return host_facts.decide(
        requirements.parse({key: value}, mechanisms.vocabulary), document,
        age=0, freshness=facts.Freshness(), mechanisms=mechanisms,
    ).codes
print(json.dumps({
    'loaded': sorted(mechanisms.loaded),
    'failed': dict(mechanisms.failed),
    'codes': [
        decide(*case) for case in json.loads(sys.argv[1])
    ],
}))
"""

OWNING = """
import json, sys
from nova_isolation.mechanisms import registry
print(json.dumps([
    [sorted(registry.owning(keys).loaded), 'stevedore' in sys.modules]
    for keys in json.loads(sys.argv[1])
]))
"""

MODULE = """
from tests.unit.mechanisms import examples
class Mechanism(examples.LockdownMechanism):
    pass
"""


class EntryPointsTest(base.TestCase):
    """Packages of others, laid out as pip would, in a process of its own."""

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.cases = []

    def package(self, name, module, *entry_points, folder='site'):
        """Lay a distribution into a folder of sys.path."""
        site = pathlib.Path(self.folder, folder)
        info = site / f'{name}-1.0.dist-info'
        info.mkdir(parents=True)
        (site / f'{name}.py').write_text(textwrap.dedent(module))
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n'
        )
        lines = [f'[{registry.ENTRY_POINTS}]', *entry_points]
        (info / 'entry_points.txt').write_text('\n'.join(lines) + '\n')
        (info / 'RECORD').write_text(f'{name}.py,,\n')

    def run_registry(self, *cases):
        """What the registry of a new process has, and its log."""
        return self.run_script(SCRIPT, cases)

    def run_script(self, script, argument):
        """What a new process prints, as JSON, and its log."""
        run = subprocess.run(
            [sys.executable, '-c', script, json.dumps(argument)],
            cwd=ROOT,
            env={
                **os.environ,
                'PYTHONPATH': os.pathsep.join(
                    str(p) for p in pathlib.Path(self.folder).iterdir()
                ),
                'XDG_CACHE_HOME': tempfile.mkdtemp(dir=self.folder),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(0, run.returncode, run.stderr)
        return json.loads(run.stdout), run.stderr

    def cases_of(self, *modes):
        return [
            (
                'isolation:lockdown',
                'integrity',
                json.dumps({'v': 1, 'lockdown': {'mode': mode}}),
            )
            for mode in modes
        ]

    def built_in_only(self, found):
        self.assertEqual(sorted(registry.BUILT_IN), found['loaded'])

    def test_added(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        found, log = self.run_registry(
            *self.cases_of('confidentiality', 'none')
        )
        self.assertEqual(
            sorted({*registry.BUILT_IN, 'lockdown'}), found['loaded']
        )
        self.assertEqual({}, found['failed'])
        self.assertEqual([[], ['isolation.lockdown.weak']], found['codes'])
        self.assertNotIn('ERROR', log)

    def test_not_there(self):
        pathlib.Path(self.folder, 'site').mkdir()
        found, _ = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertEqual([['isolation.spec.unknown']], found['codes'])

    def test_fails_to_import(self):
        for number, module in enumerate(
            ('import no_such_module', 'this is no Python', 'raise OSError')
        ):
            self.package(
                f'acme{number}', module, f'bad{number} = acme{number}:M'
            )
        self.package('empty', '', 'empty = empty:M')
        found, log = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertEqual(
            {'bad0', 'bad1', 'bad2', 'empty'}, set(found['failed'])
        )
        self.assertIn('ModuleNotFoundError', found['failed']['bad0'])
        self.assertEqual([['isolation.spec.unknown']], found['codes'])
        for name in found['failed']:
            self.assertIn(
                f'The isolation mechanism {name} failed to load', log
            )

    def test_two_packages_of_one_name(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        self.package('evil', MODULE, 'lockdown = evil:Mechanism', folder='b')
        found, log = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertIn('two packages', found['failed']['lockdown'])
        self.assertEqual([['isolation.spec.unknown']], found['codes'])
        self.assertIn('lockdown failed to load', log)

    def test_two_packages_of_which_one_does_not_load(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        self.package('evil', 'raise OSError', 'lockdown = evil:M', folder='b')
        found, _ = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertEqual(['lockdown'], list(found['failed']))

    def test_name_of_a_built_in_one(self):
        module = """
            from nova_isolation.mechanisms import svirt
            class Mechanism(svirt.SvirtMechanism):
                def judge(self, requirement, facts):
                    return iter(())
            """
        self.package('evil', module, 'svirt = evil:Mechanism')
        found, log = self.run_registry(('isolation:svirt', 'any', '{"v":1}'))
        self.assertEqual(
            sorted(registry.BUILT_IN - {'svirt'}), found['loaded']
        )
        self.assertEqual([['isolation.mechanism.unavailable']], found['codes'])
        self.assertIn('svirt failed to load', log)

    def test_owning(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        built_in = vocabulary.EXTRA_SPECS
        others = ('isolation:lockdown', 'isolation:nobodys', 'ISOLATION:x')
        found, _ = self.run_script(
            OWNING,
            [['hw:x'], *([spec.key, 'hw:x'] for spec in built_in)]
            + [['isolation:svirt', key] for key in others],
        )
        self.assertEqual([[], False], found.pop(0))
        for spec in built_in:
            self.assertEqual([[spec.mechanism], False], found.pop(0))
        for _ in others:
            everything = sorted({*registry.BUILT_IN, 'lockdown'})
            self.assertEqual([everything, True], found.pop(0))

    def test_claims_a_reserved_key(self):
        module = """
            import dataclasses
            from tests.unit.mechanisms import examples
            class Mechanism(examples.LockdownMechanism):
                extra_specs = tuple(
                    dataclasses.replace(s, key='isolation:xsm_boot')
                    for s in examples.LockdownMechanism.extra_specs
                )
            """
        self.package('acme', module, 'lockdown = acme:Mechanism')
        found, _ = self.run_registry(
            ('isolation:xsm_boot', 'integrity', '{"v":1}')
        )
        self.built_in_only(found)
        self.assertIn('is reserved', found['failed']['lockdown'])
        self.assertEqual([['isolation.spec.reserved']], found['codes'])

    def test_start_up_says_what_failed(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        registry.get.cache_clear()
        self.addCleanup(registry.get.cache_clear)
        self.useFixture(
            fixtures.MockPatchObject(
                extension, 'ExtensionManager', return_value=[]
            )
        )
        registry.get()
        for name in registry.BUILT_IN:
            self.assertIn(f'mechanism {name} failed to load', log.output)
