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

"""Tests of nova_isolation.attestation.loader, with packages of others.

The packages are laid out as pip would lay them, and loaded in a process of
its own: by the service, the sample generator and the list of options.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import fixtures

from nova_isolation.attestation import provider
from tests.unit import base
from tests.unit import entry_points

ROOT = pathlib.Path(__file__).parents[3]

#: The names of ours.
BUILT_IN = ['attestd', 'keylime']

#: A provider of another package, with options of its own.
MODULE = """
    from oslo_config import cfg

    from nova_isolation.attestation import provider
    from nova_isolation.attestation import snapshot

    _OPTIONS = (
        cfg.StrOpt('colour', default='red', help='The colour of trust.'),
        cfg.IntOpt('level', default=3, help='The level of trust.'),
    )


    class Acme(provider.Provider):
        pause = 7.5

        @classmethod
        def options(cls):
            return _OPTIONS

        def __init__(self, common, own):
            self.found = [own.colour, own.level, common.max_age]

        def fetch(self, before):
            return snapshot.Snapshot(trouble=repr(self.found))

        def revocation(self, body):
            return provider.Revocation(body.decode(), 'by acme')
"""

#: Prints what a process has of a configuration file.
SCRIPT = """
import json, logging, sys
logging.basicConfig(level=logging.INFO)
from oslo_config import cfg
from nova_isolation.attestation import loader, opts, service
from nova_isolation.attestation import provider, snapshot
text = json.loads(sys.argv[1])
conf = cfg.ConfigOpts()
conf([], default_config_files=[text], default_config_dirs=[])
found = {'names': loader.names(), 'options': {
    group.name: [one.name for one in options]
    for group, options in opts.list_opts()
}}
try:
    made = service.load(conf)
    found['fetched'] = made.fetch(snapshot.Snapshot()).trouble
    found['reads'] = made.reads_revocations()
    found['revoked'] = made.revocation(b'agent 7')
except provider.ProviderError as error:
    found['error'] = str(error)
found['made'] = type(service.make(conf)).__name__
print(json.dumps(found))
"""


class LoaderTest(base.TestCase):
    """Packages of others, in a process of its own."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def package(self, name, module, *lines, folder='site'):
        entry_points.lay_out(
            self.folder / folder,
            name,
            provider.ENTRY_POINTS,
            *lines,
            module=module,
        )

    def start(self, *command):
        """The output and the log of a command of a new process."""
        run = subprocess.run(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                'PYTHONPATH': os.pathsep.join(
                    [str(ROOT), *map(str, self.folder.iterdir())]
                ),
                'XDG_CACHE_HOME': tempfile.mkdtemp(dir=self.folder),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(0, run.returncode, run.stderr)
        return run.stdout, run.stderr

    def load(self, config):
        """What SCRIPT finds, and its log."""
        path = self.folder / 'site' / 'x.conf'
        path.write_text(config)
        out, log = self.start(
            sys.executable, '-c', SCRIPT, json.dumps(str(path))
        )
        return json.loads(out), log

    def refused(self, *wanted, name='acme'):
        """The provider cannot be used, and all others can."""
        found, log = self.load(f'[isolation_attestation]\nprovider = {name}\n')
        for text in (f"provider is '{name}'", *wanted):
            self.assertIn(text, found['error'])
            self.assertIn(text, log)
        self.assertEqual('NoAttestation', found['made'])
        self.assertIn('guests that need an attested host are refused', log)
        for one in BUILT_IN:
            self.assertIn(f'isolation_attestation_{one}', found['options'])
        self.assertNotIn(f'isolation_attestation_{name}', found['options'])
        return found

    def test_added(self):
        self.package('acme', MODULE, 'acme = acme:Acme')
        found, log = self.load(
            '[isolation_attestation]\nprovider = acme\nmax_age = 50\n'
            '[isolation_attestation_acme]\ncolour = blue\n'
        )
        self.assertEqual([*sorted([*BUILT_IN, 'acme'])], found['names'])
        self.assertEqual(
            ['colour', 'level'],
            found['options']['isolation_attestation_acme'],
        )
        self.assertEqual("['blue', 3, 50.0]", found['fetched'])
        self.assertEqual(
            (True, ['agent 7', 'by acme']), (found['reads'], found['revoked'])
        )
        self.assertEqual('Refresher', found['made'])
        self.assertNotIn('ERROR', log)
        self.assertNotIn('WARNING', log)

    def test_sample_configuration(self):
        self.package('acme', MODULE, 'acme = acme:Acme')
        out, _ = self.start(
            str(pathlib.Path(sys.executable).parent / 'oslo-config-generator'),
            '--namespace',
            'nova_isolation.attestation',
        )
        for text in (
            '[isolation_attestation]',
            '[isolation_attestation_acme]',
            'The colour of trust.',
            '#level = 3',
            '[isolation_attestation_keylime]',
        ):
            self.assertIn(text, out)

    def test_wrong_value(self):
        self.package('acme', MODULE, 'acme = acme:Acme')
        found, log = self.load(
            '[isolation_attestation]\nprovider = acme\n'
            '[isolation_attestation_acme]\nlevel = high\n'
        )
        for text in (found['error'], log):
            self.assertIn('level', text)
            self.assertIn('isolation_attestation_acme', text)
        self.assertEqual('NoAttestation', found['made'])

    def test_not_there(self):
        (self.folder / 'site').mkdir()
        found = self.refused('wanted one of: attestd, keylime')
        self.assertEqual(BUILT_IN, found['names'])

    def test_fails_to_import(self):
        for number, (module, wanted) in enumerate(
            (
                ('import no_such_module', 'ModuleNotFoundError'),
                ('this is no Python', 'SyntaxError'),
                ('raise OSError("disk")', 'OSError: disk'),
                ('import sys; sys.exit("bye")', 'SystemExit: bye'),
                ('raise SystemExit(3)', 'SystemExit: 3'),
                ('assert False, "no"', 'AssertionError: no'),
                ('raise KeyboardInterrupt', 'KeyboardInterrupt'),
                ('class E(BaseException): ...\nraise E("x")', 'E: x'),
                ('def f(): f()\nf()', 'RecursionError'),
                ('Acme = None', 'not a subclass of'),
                ('', 'has no attribute'),
            )
        ):
            name = f'acme{number}'
            self.package(name, module, f'{name} = {name}:Acme')
            found = self.refused(wanted, name=name)
            self.assertIn(name, found['names'])
        # One that works is not affected by those that do not.
        self.package('good', MODULE, 'good = good:Acme')
        found, _ = self.load('[isolation_attestation]\nprovider = good\n')
        self.assertEqual('Refresher', found['made'])
        self.assertIn('isolation_attestation_good', found['options'])

    def test_not_a_provider(self):
        self.package('acme', 'class Acme: pass', 'acme = acme:Acme')
        self.refused('not a subclass of')

    def test_two_packages_of_one_name(self):
        self.package('acme', MODULE, 'acme = acme:Acme')
        self.package('evil', MODULE, 'acme = evil:Acme', folder='b')
        self.refused('more than one package')

    def test_two_packages_of_which_one_does_not_load(self):
        self.package('acme', MODULE, 'acme = acme:Acme')
        self.package('evil', 'raise OSError', 'acme = evil:A', folder='b')
        self.refused('evil:A raised OSError')

    def test_options_that_fail(self):
        module = MODULE.replace('return _OPTIONS', 'raise SystemExit(3)')
        self.package('acme', module, 'acme = acme:Acme')
        found, log = self.load('[isolation_attestation]\nprovider = acme\n')
        self.assertIn("'acme' failed: SystemExit: 3", found['error'])
        self.assertIn('Provider acme is left out', log)
        self.assertEqual('NoAttestation', found['made'])
        self.assertIn('isolation_attestation_keylime', found['options'])

    def test_options_that_are_none(self):
        module = MODULE.replace('return _OPTIONS', 'return 7, None')
        self.package('acme', module, 'acme = acme:Acme')
        found, log = self.load('[isolation_attestation]\nprovider = acme\n')
        self.assertIn('is not an option of oslo.config', found['error'])
        self.assertIn('Provider acme is left out', log)
        self.assertIn('isolation_attestation_keylime', found['options'])

    def test_constructor_that_fails(self):
        for number, (statement, wanted) in enumerate(
            (
                ('raise SystemExit(3)', 'SystemExit: 3'),
                ('raise KeyboardInterrupt', 'KeyboardInterrupt'),
                ('assert False', 'AssertionError'),
                ('type(self).pause = None', 'pause is None'),
                ('type(self).pause = float("nan")', 'pause is nan'),
                ('type(self).pause = -1', 'pause is -1'),
                ('type(self).pause = property(exit)', 'SystemExit'),
            )
        ):
            name = f'acme{number}'
            module = MODULE.replace('self.found = ', f'{statement}  # ')
            self.package(name, module, f'{name} = {name}:Acme')
            found, log = self.load(
                f'[isolation_attestation]\nprovider = {name}\n'
            )
            self.assertIn(f'{name!r} failed: ', found['error'])
            self.assertIn(wanted, found['error'])
            self.assertIn('uninstall its package', log)
            self.assertEqual('NoAttestation', found['made'])
