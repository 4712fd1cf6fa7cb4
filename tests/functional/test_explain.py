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

"""nova-isolation-manage explain, on what Nova holds in its databases."""

import contextlib
import functools
import io
import json
import sys
from unittest import mock

from nova import config
import nova.conf
from oslo_config import cfg

from nova_isolation.cmd import manage
from nova_isolation.mechanisms.svirt import reason_codes as svirt_reasons
from nova_isolation.model import reasons
from tests.functional import base
from tests.functional import fixtures

CONF = nova.conf.CONF


class ExplainTest(base.TestCase):
    def _explain(self, *arguments):
        """The exit status, and what was printed to stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        # The databases and the message queue are the harness's already.
        parse_args = functools.partial(
            config.parse_args,
            default_config_files=[],
            configure_db=False,
            init_rpc=False,
        )
        CONF.clear()
        try:
            with (
                mock.patch.object(
                    sys,
                    'argv',
                    ['nova-isolation-manage', 'explain', *arguments],
                ),
                mock.patch.object(config, 'parse_args', parse_args),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                status = manage.main()
        finally:
            CONF.clear()
            CONF.unregister_opt(cfg.SubCommandOpt('command'))
            parse_args(['nova'])
        return status, out.getvalue(), err.getvalue()

    def test_flavors_that_ask_for_nothing(self):
        flavor = self.flavor()
        status, out, err = self._explain(flavor)
        self.assertEqual((0, ''), (status, err))
        self.assertIn(f'Flavor {flavor} has no isolation: extra specs.', out)
        status, out, err = self._explain('nonesuch')
        self.assertEqual((2, ''), (status, out))
        self.assertIn("no flavor with the ID or name 'nonesuch'", err)
        status, out, err = self._explain(self.flavor(svirt='any'))
        self.assertEqual((1, ''), (status, err))
        self.assertIn('Nova knows no compute host.', out)

    def test_hosts(self):
        self.start(
            fixtures.Machine(selinux='permissive'),
            fixtures.Machine(),
            fixtures.Machine(),
        )
        flavor = self.flavor(svirt='selinux', qemu_sandbox='true')
        status, out, _ = self._explain(flavor)
        self.assertEqual(0, status)
        asked, answers = out.split('host1: ')
        self.assertIn('isolation:qemu_sandbox=true', asked)
        self.assertIn('isolation:svirt=selinux', asked)
        lines = answers.splitlines()
        self.assertEqual('refused', lines[0])
        self.assertIn('isolation:svirt: wanted selinux, enforcing', lines[1])
        self.assertIn('[isolation.svirt.not_enforcing]', lines[1])
        self.assertIn(svirt_reasons.NOT_ENFORCING.remedy, lines[2])
        self.assertEqual(['host2: accepted', 'host3: accepted'], lines[3:])
        # By name, as an admin knows it.
        name = self.api.get_flavor(flavor)['name']
        self.assertEqual(0, self._explain(name)[0])
        # What Nova itself would not use does not count.
        services = {
            s['host']: s['id']
            for s in self.api.get_services(binary='nova-compute')
        }
        self.api.put_service(
            services['host2'],
            {'status': 'disabled', 'disabled_reason': 'new disks'},
        )
        self.api.put_service_force_down(services['host3'], True)
        status, out, _ = self._explain(flavor)
        self.assertEqual(1, status)
        self.assertIn('host2: accepted, but the host is disabled', out)
        self.assertIn('(new disks)', out)
        self.assertIn('host3: accepted, but the host is down', out)
        self.assertIn(f'No host can run flavor {flavor} now.', out)

    def test_extra_specs_that_are_wrong(self):
        self.start(fixtures.Machine())
        status, out, _ = self._explain(self.flavor(svrit='selinux'))
        self.assertEqual(1, status)
        self.assertIn('host1: refused', out)
        self.assertIn('[isolation.spec.unknown]', out)
        self.assertIn(reasons.SPEC_UNKNOWN.remedy, out)

    def test_same_answer_as_the_scheduler(self):
        self.start(fixtures.Machine())
        self.write_stats('host1', isolation_facts=None)
        flavor = self.flavor(svirt='any')
        status, out, _ = self._explain(flavor)
        self.assertEqual(1, status)
        self.assertIn('[isolation.facts.missing]', out)
        self.boot(flavor, 'ERROR')
        (line,) = self.logged('hosts meet')
        self.assertIn("{'isolation.facts.missing': 1}", line)

    def _audit(self, host):
        """Have a host publish that it is in audit mode."""
        self.flags(mode='audit', group='isolation')
        self.update(host)
        self.flags(mode='enforce', group='isolation')

    def test_host_in_audit_mode(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        self._audit('host1')
        flavor = self.flavor(svirt='any')
        status, out, _ = self._explain(flavor)
        self.assertEqual(0, status)
        lines = out.partition('host1: ')[2].splitlines()
        self.assertEqual('refused', lines[0])
        self.assertIn('[isolation.host.audits]', lines[1])
        self.assertIn('found mode audit', lines[1])
        self.assertIn(reasons.HOST_AUDITS.remedy, lines[2])
        self.assertEqual(['host2: accepted'], lines[3:])
        self._audit('host2')
        status, out, _ = self._explain(flavor)
        self.assertEqual(1, status)
        self.assertIn(f'No host can run flavor {flavor} now.', out)
        # The scheduler agrees.
        self.boot(flavor, 'ERROR')
        # An untagged guest runs there.
        self.assertHost('host1', self.boot(self.flavor()))

    def test_host_in_audit_mode_of_a_cloud_that_audits(self):
        self.start(fixtures.Machine(), fixtures.Machine(selinux='permissive'))
        self._audit('host1')
        self.flags(mode='audit', group='isolation')
        flavor = self.flavor(svirt='selinux')
        status, out, _ = self._explain(flavor)
        self.assertEqual(0, status)
        self.assertIn('The mode is audit: the scheduler records', out)
        self.assertIn('host1: accepted', out)
        self.assertIn('host2: refused', out)
        self.assertNotIn('isolation.host.audits', out)

    def test_json(self):
        self.start(fixtures.Machine(selinux='permissive'), fixtures.Machine())
        self.flavor(svirt='any')
        flavor = self.flavor(svirt='selinux')
        status, out, err = self._explain('--json', flavor)
        self.assertEqual((0, ''), (status, err))
        document = json.loads(out)
        (unmet,) = document['hosts'][0].pop('unmet')
        self.assertEqual(
            {
                'code': 'isolation.svirt.not_enforcing',
                'key': 'isolation:svirt',
                'wanted': 'selinux, enforcing',
                'remedy': svirt_reasons.NOT_ENFORCING.remedy,
            },
            {k: v for k, v in unmet.items() if k != 'found'},
        )
        self.assertIn('permissive', unmet['found'])
        self.assertEqual(
            {
                'flavor': flavor,
                'mode': 'enforce',
                'extra_specs': {'isolation:svirt': 'selinux'},
                'near_misses': {},
                'usable': True,
                'counts': {
                    'hosts': 2,
                    'accepted': 1,
                    'usable': 1,
                    'refused': 1,
                    'by_code': {'isolation.svirt.not_enforcing': 1},
                },
                'hosts': [
                    {
                        'host': 'host1',
                        'accepted': False,
                        'state': '',
                        'usable': False,
                    },
                    {
                        'host': 'host2',
                        'accepted': True,
                        'state': '',
                        'usable': True,
                        'unmet': [],
                    },
                ],
            },
            document,
        )
        self._audit('host2')
        status, out, _ = self._explain(flavor, '--json')
        self.assertEqual(1, status)
        self.assertFalse(json.loads(out)['usable'])
        status, out, _ = self._explain(self.flavor(), '--json')
        self.assertEqual(0, status)
        self.assertEqual([], json.loads(out)['hosts'])
        status, out, err = self._explain('nonesuch', '--json')
        self.assertEqual((2, ''), (status, out))
        self.assertIn("no flavor with the ID or name 'nonesuch'", err)
