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
"""devstack's plugin: each phase, with stand-ins of devstack's functions."""

import os
import pathlib
import re
import stat
import subprocess
import sys

import ddt
import fixtures
from oslo_config import cfg

from nova_isolation.attestation import opts as attestation_opts
from tests.unit import base
from tests.unit.attestd import process
from tests.unit.devstack import ini
from tests.unit.https import pki

_HERE = pathlib.Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent.parent
_ALL = 'n-api,n-sch,n-cond,n-cpu'
_STACK = (
    'stack pre-install',
    'stack install',
    'stack post-config',
    'stack extra',
    'stack test-config',
)
#: What stack.sh has written into nova.conf before plugins are asked.
_NOVA_CONF = """\
[DEFAULT]
compute_driver = libvirt.LibvirtDriver
[filter_scheduler]
enabled_filters = ComputeFilter,SameHostFilter,IsolationFilter
"""
#: nova-isolation-hook: says what it was asked, like the real one.
_HOOK = """\
#!/bin/sh
echo "nova-isolation-hook $1" >>"$FOLDER/record"
[ ! -e "$FOLDER/hook-fails" ]
"""


class PluginCase(base.TestCase):
    """A machine on which stack.sh has come as far as its plugins."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.nova_conf = self.folder / 'nova.conf'
        self.nova_conf.write_text(_NOVA_CONF)
        self.conf_dir = self.folder / 'etc'
        self.hook = self.folder / 'venv' / 'bin' / 'nova-isolation-hook'
        self.hook.parent.mkdir(parents=True)
        self.hook.write_text(_HOOK)
        self.hook.chmod(0o755)

    def run_phases(self, *phases, services=_ALL, **variables):
        """What a run shows; ``record`` has what it would have changed."""
        (self.folder / 'record').write_text('')
        return subprocess.run(
            ['bash', str(_HERE / 'run_phases.sh'), *phases],
            env={
                'PATH': os.environ['PATH'],
                'FOLDER': str(self.folder),
                'PYTHON': sys.executable,
                'ISOLATION_CONF_DIR': str(self.conf_dir),
                'ENABLED_SERVICES': services,
                **{name: str(value) for name, value in variables.items()},
            },
            capture_output=True,
            text=True,
            timeout=120,
        )

    def good(self, *phases, **variables):
        """A run that ends well: its output."""
        result = self.run_phases(*phases, **variables)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout

    @property
    def record(self):
        return (self.folder / 'record').read_text().splitlines()

    def options(self, section):
        """A section of nova.conf."""
        return ini.read(self.nova_conf).get(section, [])


@ddt.ddt
class StackTest(PluginCase):
    def test_controller_and_compute(self):
        output = self.good(*_STACK)
        # lib/nova writes the list into nova.conf.
        self.assertIn(
            'filters: ComputeFilter,SameHostFilter,IsolationFilter', output
        )
        self.assertEqual(
            [
                (
                    'enabled_filters',
                    'ComputeFilter,SameHostFilter,IsolationFilter',
                ),
                ('available_filters', 'nova.scheduler.filters.all_filters'),
                (
                    'available_filters',
                    'nova_isolation.scheduler.filter.IsolationFilter',
                ),
            ],
            self.options('filter_scheduler'),
        )
        self.assertEqual(
            [('compute_driver', 'isolation.IsolationDriver')],
            self.options('DEFAULT'),
        )
        self.assertEqual([('mode', 'enforce')], self.options('isolation'))
        self.assertEqual([], self.options('isolation_attestation'))
        self.assertFalse(self.conf_dir.exists())
        self.assertEqual(
            [
                f'setup_install {_CHECKOUT}',
                # It may be there from an earlier run.
                f'sudo {self.hook} remove',
                'nova-isolation-hook remove',
            ],
            self.record,
        )

    def test_again(self):
        """devstack makes nova.conf anew; a phase alone changes nothing."""
        self.good(*_STACK, ISOLATION_MODE='audit')
        before = self.nova_conf.read_text()
        self.good(*_STACK, ISOLATION_MODE='audit')
        self.assertEqual(before, self.nova_conf.read_text())
        self.assertEqual([('mode', 'audit')], self.options('isolation'))

    def test_filters_of_others_stay(self):
        self.nova_conf.write_text(
            '[filter_scheduler]\n'
            'available_filters = nova.scheduler.filters.all_filters\n'
            'available_filters = acme.Filter\n'
        )
        self.good('stack post-config')
        self.assertEqual(
            [
                'nova.scheduler.filters.all_filters',
                'acme.Filter',
                'nova_isolation.scheduler.filter.IsolationFilter',
            ],
            [value for _, value in self.options('filter_scheduler')],
        )

    def test_controller_only(self):
        self.good(*_STACK, services='n-api,n-sch,n-cond')
        self.assertEqual(
            [('compute_driver', 'libvirt.LibvirtDriver')],
            self.options('DEFAULT'),
        )
        self.assertEqual(3, len(self.options('filter_scheduler')))
        self.assertEqual([f'setup_install {_CHECKOUT}'], self.record)

    def test_compute_only(self):
        self.good(*_STACK, services='n-cpu')
        self.assertEqual(1, len(self.options('filter_scheduler')))
        self.assertEqual(
            [('compute_driver', 'isolation.IsolationDriver')],
            self.options('DEFAULT'),
        )
        self.assertEqual([('mode', 'enforce')], self.options('isolation'))

    def test_api_only(self):
        """Its validators need the package, and no option."""
        self.good(*_STACK, services='n-api')
        self.assertEqual([f'setup_install {_CHECKOUT}'], self.record)
        self.assertEqual(_NOVA_CONF, self.nova_conf.read_text())

    def test_no_nova(self):
        self.good(*_STACK, 'unstack', 'clean', services='key,mysql')
        self.assertEqual([], self.record)
        self.assertEqual(_NOVA_CONF, self.nova_conf.read_text())

    def test_phases_of_tomorrow(self):
        """devstack may add some."""
        self.good('stack moonrise', 'moonrise', 'moonrise post-config')
        self.assertEqual([], self.record)
        self.assertEqual(_NOVA_CONF, self.nova_conf.read_text())

    def test_hook(self):
        self.good(*_STACK, ISOLATION_HOOK='yes')
        self.assertEqual(
            [
                f'setup_install {_CHECKOUT}',
                f'sudo {self.hook} install',
                'nova-isolation-hook install',
                'reload_service libvirtd',
            ],
            self.record,
        )

    def test_hook_that_cannot_be_installed(self):
        (self.folder / 'hook-fails').touch()
        result = self.run_phases('stack post-config', ISOLATION_HOOK='True')
        self.assertNotEqual(0, result.returncode)

    def test_driver_that_nova_would_not_find(self):
        python = self.folder / 'python'
        # A Python without the package, but for the stand-ins.
        python.write_text(
            f'#!/bin/sh\n[ "$1" != -c ] || set -- -I -S "$@"\n'
            f'exec {sys.executable} "$@"\n'
        )
        python.chmod(0o755)
        result = self.run_phases('stack post-config', PYTHON=python)
        self.assertNotEqual(0, result.returncode)
        self.assertIn(
            'would not find isolation.IsolationDriver', result.stderr
        )

    @ddt.data(
        (
            {'ISOLATION_MODE': 'enforced'},
            'ISOLATION_MODE=enforced: use enforce or audit.',
        ),
        ({'VIRT_DRIVER': 'fake'}, 'VIRT_DRIVER=fake: '),
        (
            {'ISOLATION_HOOK': 'True', 'ISOLATION_MODE': 'audit'},
            'ISOLATION_HOOK=True: ',
        ),
        (
            {'ISOLATION_ATTESTD_URL': 'http://controller:8899'},
            'ISOLATION_ATTESTD_URL=http://controller:8899: ',
        ),
        (
            {
                'ISOLATION_ATTESTD_URL': 'https://controller:8899',
                'ISOLATION_ATTESTD_CA_FILE': '/nonexistent',
            },
            'ISOLATION_ATTESTD_CA_FILE=/nonexistent: ',
        ),
    )
    @ddt.unpack
    def test_wrong_settings(self, variables, message):
        result = self.run_phases(*_STACK, **variables)
        self.assertEqual(1, result.returncode)
        self.assertIn(f'ERROR: {message}', result.stderr)
        # Before anything is installed.
        self.assertEqual([], self.record)

    def test_another_virt_driver_on_other_hosts(self):
        self.good('stack pre-install', services='n-api', VIRT_DRIVER='fake')


class EndTest(PluginCase):
    """unstack.sh and clean.sh."""

    def test_nothing_is_left(self):
        """nova.conf is devstack's to remove."""
        self.conf_dir.mkdir()
        self.good('unstack', ISOLATION_HOOK='True')
        self.assertEqual(
            [f'sudo {self.hook} remove', 'nova-isolation-hook remove'],
            self.record,
        )
        self.good('clean')
        self.assertIn(
            f'pip_uninstall nova-isolation from {self.folder}/venv',
            self.record,
        )
        self.assertFalse(self.conf_dir.exists())
        self.good('unstack', 'clean')

    def test_no_virtual_environment(self):
        self.good('clean', GLOBAL_VENV='False')
        self.assertIn('pip_uninstall nova-isolation from system', self.record)

    def test_after_a_stack_that_failed_early(self):
        self.hook.unlink()
        self.good('unstack', 'clean')

    def test_hook_that_stays(self):
        (self.folder / 'hook-fails').touch()
        result = self.run_phases('unstack')
        self.assertEqual(0, result.returncode)
        self.assertIn('WARNING: The libvirt hook', result.stderr)


class AttestdTest(PluginCase):
    """The service isolation-attestd."""

    def setUp(self):
        super().setUp()
        self.port = process.free_port()
        keylime = pki.Authority(self.folder / 'keylime', 'keylime')
        client = keylime.issue('attestd')
        self.settings = {
            'services': f'{_ALL},isolation-attestd',
            'ISOLATION_ATTESTD_PORT': self.port,
            # Nobody listens there.
            'ISOLATION_KEYLIME_VERIFIERS': 'https://127.0.0.1:1',
            'ISOLATION_KEYLIME_CA_FILE': keylime.ca_file,
            'ISOLATION_KEYLIME_CERT_FILE': client.cert_file,
            'ISOLATION_KEYLIME_KEY_FILE': client.key_file,
        }
        self.config = self.conf_dir / 'attestd.conf'
        self.certificate = self.conf_dir / 'attestd.crt'
        self.key = self.conf_dir / 'attestd.key'

    def test_it_serves_what_nova_asks(self):
        """The real daemon and the real client, as they are configured."""
        self.good(*_STACK, **self.settings)
        (command,) = re.findall(
            'run_process isolation-attestd (.*)', '\n'.join(self.record)
        )
        program, *arguments = command.split()
        self.assertEqual(
            str(self.hook.with_name('nova-isolation-attestd')), program
        )
        self.assertEqual(f'setup_install {_CHECKOUT} attestd', self.record[0])
        daemon = self.useFixture(process.Attestd())
        daemon.write_config = lambda: None
        daemon.options['port'] = self.port
        daemon.arguments = arguments
        daemon.start()
        answer = daemon.get('/healthz', verify=str(self.certificate))
        self.assertEqual(200, answer.status_code)
        # There is no verifier.
        self.assertIsNone(answer.json()['age'])
        config = cfg.ConfigOpts()
        for group, options in attestation_opts.list_opts():
            config.register_opts(options, group)
        config(['--config-file', str(self.nova_conf)], default_config_files=[])
        self.assertEqual(
            str(self.certificate), config.isolation_attestation.ca_file
        )
        self.assertEqual(
            f'https://127.0.0.1:{self.port}',
            config.isolation_attestation_attestd.url,
        )

    def test_again(self):
        self.good(*_STACK, **self.settings)
        files = (self.config, self.certificate, self.key, self.nova_conf)
        before = [path.read_text() for path in files]
        self.assertEqual(0o600, stat.S_IMODE(self.key.stat().st_mode))
        self.good(*_STACK, **self.settings)
        self.assertEqual(before, [path.read_text() for path in files])
        # The host has another address, so the certificate is another, too.
        self.good(*_STACK, SERVICE_HOST='192.0.2.1', **self.settings)
        self.assertNotEqual(before[1], self.certificate.read_text())

    def test_names_and_addresses(self):
        for host, kind in (
            ('192.0.2.1', 'IP Address:192.0.2.1'),
            ('[2001:db8::1]', 'IP Address:2001:DB8:0:0:0:0:0:1'),
            ('controller.example.org', 'DNS:controller.example.org'),
        ):
            with self.subTest(host):
                self.good(
                    'stack post-config', SERVICE_HOST=host, **self.settings
                )
                shown = subprocess.run(
                    ['openssl', 'x509', '-noout', '-text'],
                    stdin=self.certificate.open(),
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                self.assertIn(f'{kind}\n', shown)

    def test_another_host_asks_it(self):
        """A compute host, which has a copy of the certificate."""
        copy = self.folder / 'copy.crt'
        copy.write_text('-')
        self.good(
            *_STACK,
            services='n-cpu',
            ISOLATION_ATTESTD_URL='https://192.0.2.1:8899',
            ISOLATION_ATTESTD_CA_FILE=copy,
        )
        self.assertEqual(
            [('provider', 'attestd'), ('ca_file', str(copy))],
            self.options('isolation_attestation'),
        )
        self.assertEqual(
            [('url', 'https://192.0.2.1:8899')],
            self.options('isolation_attestation_attestd'),
        )
        self.assertFalse(self.conf_dir.exists())

    def test_it_is_stopped(self):
        self.good(*_STACK, **self.settings)
        self.good('unstack', **self.settings)
        self.assertEqual('stop_process isolation-attestd', self.record[0])
        self.assertTrue(self.key.exists())
        self.good('clean', **self.settings)
        self.assertFalse(self.conf_dir.exists())

    def test_host_map(self):
        hosts = self.folder / 'hosts'
        hosts.write_text('')
        for value in ('metadata', str(hosts)):
            self.good(
                *_STACK, ISOLATION_KEYLIME_HOST_MAP=value, **self.settings
            )
            self.assertIn(
                ('host_map', value),
                ini.read(self.config)['isolation_attestation_keylime'],
            )

    def test_wrong_settings(self):
        for name, value in (
            ('ISOLATION_KEYLIME_VERIFIERS', ''),
            ('ISOLATION_KEYLIME_CA_FILE', ''),
            ('ISOLATION_KEYLIME_CERT_FILE', '/nonexistent'),
            ('ISOLATION_KEYLIME_KEY_FILE', str(self.folder)),
            ('ISOLATION_KEYLIME_HOST_MAP', 'node_uuid'),
            ('ISOLATION_ATTESTD_PORT', 'https'),
            ('ISOLATION_ATTESTD_PORT', '70000'),
        ):
            with self.subTest(name):
                result = self.run_phases(
                    *_STACK, **{**self.settings, name: value}
                )
                self.assertEqual(1, result.returncode)
                self.assertIn(name, result.stderr)
                self.assertEqual([], self.record)
