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

from nova_isolation.mechanisms import entry_points
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.svirt import reason_codes as svirt_reasons
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.model import vocabulary
from tests.unit import base
from tests.unit.mechanisms import examples
from tests.unit.model import test_vocabulary

ROOT = pathlib.Path(registry.__file__).parents[2]
LOCKDOWN = examples.LockdownMechanism


def variant(**members):
    """A class as LockdownMechanism, but for some members."""
    return type('Variant', (LOCKDOWN,), members)


def row_of(name):
    """A row that the mechanism of this name may own."""
    return test_vocabulary.row(f'isolation:{name}')


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
            {
                'attested',
                'certification',
                'hypervisor',
                'qemu',
                'svirt',
                'xsm',
            },
            set(mechanisms.loaded),
        )
        self.assertEqual({}, dict(mechanisms.failed))
        self.assertEqual(registry.BUILT_IN, set(mechanisms.loaded))
        for name, mechanism in mechanisms.loaded.items():
            self.assertEqual(
                tuple(mechanism.extra_specs), mechanisms.vocabulary.of(name)
            )
        own = {
            reason.code
            for mechanism in mechanisms.loaded.values()
            for reason in mechanism.own_reasons
        }
        self.assertEqual({*reasons.REASONS, *own}, set(mechanisms.reasons))

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
        mechanisms = registry.owning(registry.get().vocabulary.rows)
        self.assertEqual(
            examples.built_in_classes(),
            {name: type(m) for name, m in mechanisms.loaded.items()},
        )
        self.assertEqual({}, dict(mechanisms.failed))

    def test_owning_one_that_does_not_import(self):
        self.useFixture(
            fixtures.MonkeyPatch(
                'nova_isolation.mechanisms.registry._built_in_class', fails
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
            self.refused(thing, 'is neither a HostMechanism nor')

    def test_abstract(self):
        self.refused(variant(judge=registry.base.Mechanism.judge), 'TypeError')

    def test_raises_when_made(self):
        self.refused(variant(__init__=fails), 'RuntimeError')

    def test_other_name(self):
        self.refused(variant(name='other'), "class has the name 'other'")
        self.refused(variant(name=None), 'class has the name None')

    def test_names_that_are_none(self):
        for name in ('v', '', 'Lock', '1a', 'a-b', 'a b', 'a\n', '\u00e9'):
            spec = test_vocabulary.row(f'isolation:{name}')
            self.refused(
                variant(name=name, extra_specs=(spec,)),
                f'the name {name!r} does not match',
                name,
            )

    def test_kind_that_is_none_or_both(self):
        # A host's word must not count as that of a third party.
        both = type('Both', (LOCKDOWN, registry.base.EvidenceMechanism), {})
        self.refused(both, 'is both')
        plain = type('Plain', (registry.base.Mechanism,), {'name': 'lockdown'})
        self.refused(plain, 'is neither')

    def test_unknown_that_is_not_a_reason(self):
        for unknown in (None, 'isolation.lockdown.unknown', lambda self: 1):
            self.refused(variant(unknown=unknown), 'is not a Reason')

    def test_unknown_that_could_not_be_doubted(self):
        # One failed probe would stop guests under on_violation = stop.
        self.refused(variant(unknown=LOCKDOWN.WEAK), 'marked as uncertain')
        self.refused(
            variant(own_reasons=(LOCKDOWN.WEAK,)), 'not among its own_reasons'
        )

    def test_needs_that_are_not_told(self):
        # A host that cannot see what is read would attract each guest.
        for needs in (
            None,
            (),
            'process',
            {sight.Sight.PROCESS},
            frozenset('p'),
        ):
            self.refused(variant(needs=needs), 'does not say what it reads')

    def test_finds_its_facts_in_its_own_way(self):
        for method in ('observe', 'facts_of'):
            self.refused(variant(**{method: fails}), f'overrides {method}')

    def test_names_that_belong_to_others(self):
        areas = {reason.area for reason in reasons.REASONS.values()}
        self.assertLessEqual({'host', 'verify', 'facts', 'spec'}, areas)
        for name, why in (
            *((area, 'belong to nova-isolation') for area in areas),
            ('attestation', 'attestation service'),
            ('attestation_keylime', 'attestation service'),
            ('api', 'belongs to nova-isolation-api'),
            ('qemu_sandbox', "built-in mechanism 'qemu'"),
            ('svirt_x', "built-in mechanism 'svirt'"),
        ):
            unknown = reasons.Reason(
                f'isolation.{name}.unknown', 'A.', 'B.', uncertain=True
            )
            cls = variant(
                name=name,
                extra_specs=(row_of(name),),
                own_reasons=(unknown,),
                unknown=unknown,
            )
            mechanisms = self.refused(cls, why, name)
            for code, reason in reasons.REASONS.items():
                self.assertIs(reason, mechanisms.reasons[code])
            # Nor where the built-in mechanism has failed to load.
            alone = registry.build({name: cls}, {'qemu': 'ImportError'})
            self.assertEqual({}, dict(alone.loaded))
            self.assertEqual({}, dict(alone.vocabulary.rows))

    def test_rows_of_another(self):
        for key in ('isolation:svirt_x', 'isolation:lockdownx', 'isolation:x'):
            spec = test_vocabulary.row(key)
            self.refused(
                variant(extra_specs=(spec,)),
                "does not begin with 'isolation:lockdown'",
            )

    def test_rows_that_are_none(self):
        for specs in (None, 1, ('isolation:lockdown',), (None,)):
            self.refused(variant(extra_specs=specs), 'Error')

        class Row(vocabulary.ExtraSpec):
            """It would fail when nova-api starts."""

            @property
            def allowed(self):
                raise KeyError('no')

        row = Row('isolation:lockdown', 'c', 'integrity', ('integrity',))
        self.refused(variant(extra_specs=(row,)), 'is not an ExtraSpec')

    def test_members_that_raise(self):
        """Whatever they raise, the mechanism alone is not there."""

        class Fatal(BaseException):
            pass

        for error in (
            Fatal('x'), SystemExit(3), KeyboardInterrupt(), RecursionError(),
            AssertionError('x'), MemoryError(), GeneratorExit(),
        ):  # fmt: skip

            def raises(*_, error=error):
                raise error

            for name in ('__init__', 'name', 'extra_specs', 'own_reasons'):
                member = raises if name == '__init__' else property(raises)
                mechanisms = self.refused(
                    variant(**{name: member}), type(error).__name__
                )
                self.assertIn('class Variant', mechanisms.failed['lockdown'])

    def test_companions_that_are_no_texts(self):
        """Found now, and not when a flavor with the extra spec is parsed."""
        row = row_of('lockdown')
        for members in (
            {'requires': 5}, {'requires': (5,)}, {'requires': (('a', 5),)},
            {'requires': (('a', 'b', 'c'),)}, {'compatible': None},
            {'compatible': (('a',),)}, {'compatible': (('a', 5),)},
            {'compatible': (('a', (5,)),)}, {'compatible': ((5, ('b',)),)},
        ):  # fmt: skip
            changed = vocabulary.ExtraSpec(**{**vars(row), **members})
            self.refused(
                variant(extra_specs=(changed,)),
                'Error: ',
            )

    def test_classes_that_raise(self):
        """Whatever their metaclass raises, all other mechanisms are there."""

        class Fatal(BaseException):
            pass

        class Kind(type(LOCKDOWN)):
            armed = False

            def __getattribute__(cls, name):
                if Kind.armed:
                    raise Fatal
                return super().__getattribute__(name)

            def __repr__(cls):
                raise Fatal

        class Sub(LOCKDOWN, metaclass=Kind):
            pass

        class Other(metaclass=Kind):
            pass

        Kind.armed = True
        # It stays among the subclasses of its bases as long as it lives.
        self.addCleanup(setattr, Kind, 'armed', False)
        for cls in (Sub, Other):
            mechanisms = self.build(cls)
            self.assertEqual(registry.BUILT_IN, set(mechanisms.loaded))
            self.assertIn('Fatal', mechanisms.failed['lockdown'])

    def test_required_traits_that_are_none(self):
        """The traits of all others are known all the same."""

        class Fatal(BaseException):
            pass

        def raises(*_):
            raise Fatal

        wanted = self.build(
            variant(required_traits=lambda *_: frozenset())
        ).possible_traits()
        self.assertTrue(wanted)
        for method in (
            raises,
            *(
                lambda *_, found=found: found
                for found in (None, [5], [b'CUSTOM_X'], [None], [[]], 'x')
            ),
        ):
            mechanisms = self.build(variant(required_traits=method))
            self.assertEqual(wanted, mechanisms.possible_traits())

    def test_rows_that_the_vocabulary_refuses(self):
        for key, why in (
            ('isolation:memory_boot', 'is reserved'),
            ('isolation:memory', 'is reserved'),
            ('isolation:svirt', 'does not begin with'),
            ('lockdown', 'is not in'),
        ):
            spec = test_vocabulary.row(key)
            mechanisms = self.refused(variant(extra_specs=(spec,)), why)
            if key in mechanisms.vocabulary.rows:
                self.assertEqual('svirt', mechanisms.vocabulary.owner(key))

    def test_one_good_row_does_not_save_a_bad_one(self):
        bad = test_vocabulary.row('isolation:memory')
        self.refused(
            variant(extra_specs=(*LOCKDOWN.extra_specs, bad)), 'is reserved'
        )

    def test_pattern_that_is_none(self):
        spec = test_vocabulary.row('isolation:lockdown', pattern='[a')
        # re.error, which Python 3.13 calls PatternError.
        self.refused(
            variant(extra_specs=(spec,)), 'unterminated character set'
        )

    def test_reasons_that_are_none(self):
        for own in (None, 1, ('isolation.lockdown.weak',), (None,)):
            self.refused(variant(own_reasons=own), 'Error')

    def test_reasons_of_another_are_not_replaced(self):
        other = reasons.Reason(svirt_reasons.LABEL.code, 'All is well.', 'No.')
        mechanisms = self.refused(
            variant(own_reasons=(other,)), 'does not begin with'
        )
        self.assertIs(
            svirt_reasons.LABEL, mechanisms.reasons[svirt_reasons.LABEL.code]
        )

    def test_name_of_a_built_in_one(self):
        specs = registry.get().loaded['svirt'].extra_specs
        for other in (
            variant(name='svirt', extra_specs=specs[:1]),
            variant(name='svirt', extra_specs=specs),
        ):
            mechanisms = self.refused(
                other, 'another package uses the name', 'svirt'
            )
            # Its extra specs are refused for what they are.
            for key in ('isolation:svirt', 'isolation:svirt_x'):
                self.assertEqual(
                    'svirt', mechanisms.vocabulary.unavailable_owner(key)
                )

    def test_two_others_that_want_the_same_row(self):
        spec = test_vocabulary.row('isolation:a_b')
        more = {'own_reasons': (), 'unknown': reasons.FACTS_MISSING}
        one = variant(name='a', extra_specs=(spec,), **more)
        two = variant(name='a_b', extra_specs=(spec,), **more)
        mechanisms = registry.build({'a_b': two, 'a': one})
        self.assertIn('a', mechanisms.loaded)
        self.assertIn('has an owner', mechanisms.failed['a_b'])
        self.assertEqual('a', mechanisms.vocabulary.owner('isolation:a_b'))


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

#: An error that has no text.
UNPRINTABLE = """
class Silent(Exception):
    def __str__(self):
        return 1 / 0
raise Silent
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
        modules = {
            'import no_such_module': 'ModuleNotFoundError',
            'this is no Python': 'SyntaxError',
            'raise OSError': 'OSError',
            'assert False, "no"': 'AssertionError: no',
            'import sys; sys.exit("bye")': 'SystemExit: bye',
            'exit(3)': 'SystemExit: 3',
            'raise KeyboardInterrupt': 'KeyboardInterrupt',
            'raise GeneratorExit': 'GeneratorExit',
            'class E(BaseException): pass\nraise E("x")': 'E: x',
            'def f(): f()\nf()': 'RecursionError',
            UNPRINTABLE: 'Silent: its text raised ZeroDivisionError',
            '': 'has no attribute',
            'M = 7': 'is neither',
            'M = None': 'is neither',
        }
        for number, module in enumerate(modules):
            self.package(
                f'acme{number}', module, f'bad{number} = acme{number}:M'
            )
        # Metadata that name nothing.
        self.package('odd', '', 'odd1 = :', 'odd2 = odd:a b', 'odd3 =')
        found, log = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        for number, why in enumerate(modules.values()):
            self.assertIn(why, found['failed'][f'bad{number}'])
            # What it is of.
            self.assertIn(f'bad{number} failed to load', log)
        self.assertIn('acme0:M raised', found['failed']['bad0'])
        self.assertIn('Repair or uninstall', log)
        self.assertLessEqual({'odd1', 'odd2'}, set(found['failed']))
        self.assertEqual([['isolation.spec.unknown']], found['codes'])
        for name in found['failed']:
            self.assertIn(f'Mechanism {name} failed to load', log)

    def test_packages_that_cannot_be_read(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        registry.get.cache_clear()
        self.addCleanup(registry.get.cache_clear)
        self.useFixture(
            fixtures.MockPatch(
                'stevedore.named.NamedExtensionManager', side_effect=TypeError
            )
        )
        self.assertEqual({}, dict(registry.get().loaded))
        self.assertEqual(registry.BUILT_IN, set(registry.get().failed))
        self.assertIn('cannot be read: TypeError', log.output)

    def test_two_packages_of_one_name(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        self.package('evil', MODULE, 'lockdown = evil:Mechanism', folder='b')
        found, log = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertIn('two packages', found['failed']['lockdown'])
        self.assertEqual([['isolation.mechanism.unavailable']], found['codes'])
        self.assertIn('Mechanism lockdown failed to load', log)

    def test_two_packages_of_which_one_does_not_load(self):
        self.package('acme', MODULE, 'lockdown = acme:Mechanism')
        self.package('evil', 'raise OSError', 'lockdown = evil:M', folder='b')
        found, _ = self.run_registry(*self.cases_of('confidentiality'))
        self.built_in_only(found)
        self.assertEqual(['lockdown'], list(found['failed']))
        self.assertEqual([['isolation.mechanism.unavailable']], found['codes'])

    def test_name_of_a_built_in_one(self):
        module = """
            from nova_isolation.mechanisms.svirt import mechanism
            class Mechanism(mechanism.SvirtMechanism):
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
        built_in = registry.get().vocabulary
        others = ('isolation:lockdown', 'isolation:nobodys', 'ISOLATION:x')
        found, _ = self.run_script(
            OWNING,
            [['hw:x'], ['isolation:qemu_x']]
            + [[key, 'hw:x'] for key in built_in.rows]
            + [['isolation:svirt', key] for key in others],
        )
        self.assertEqual([[], False], found.pop(0))
        # No other package may own it, so nobody is searched for.
        self.assertEqual([['qemu'], False], found.pop(0))
        for key in built_in.rows:
            self.assertEqual([[built_in.owner(key)], False], found.pop(0))
        for _ in others:
            everything = sorted({*registry.BUILT_IN, 'lockdown'})
            self.assertEqual([everything, True], found.pop(0))

    def test_claims_a_reserved_key(self):
        module = """
            from nova_isolation.model import vocabulary
            from tests.unit.mechanisms import examples
            class Mechanism(examples.LockdownMechanism):
                extra_specs = tuple(
                    vocabulary.ExtraSpec(
                        **{**vars(s), 'key': 'isolation:memory_boot'}
                    )
                    for s in examples.LockdownMechanism.extra_specs
                )
            """
        self.package('acme', module, 'lockdown = acme:Mechanism')
        found, _ = self.run_registry(
            ('isolation:memory_boot', 'integrity', '{"v":1}')
        )
        self.built_in_only(found)
        self.assertIn('is reserved', found['failed']['lockdown'])
        self.assertEqual([['isolation.spec.reserved']], found['codes'])

    def test_start_up_says_what_failed(self):
        log = self.useFixture(fixtures.FakeLogger(level=logging.ERROR))
        registry.get.cache_clear()
        self.addCleanup(registry.get.cache_clear)
        self.useFixture(
            fixtures.MockPatchObject(entry_points, 'load', return_value=[])
        )
        registry.get()
        for name in registry.BUILT_IN:
            self.assertIn(f'Mechanism {name} failed to load', log.output)
