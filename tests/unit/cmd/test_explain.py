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

"""Tests of nova_isolation.cmd.explain, without a database."""

import contextlib
import io
import json
import time
from unittest import mock

import nova.conf
from oslo_config import fixture as config_fixture

from nova_isolation import opts
from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.cloud import flavors
from nova_isolation.cloud import reader
from nova_isolation.cmd import explain
from nova_isolation.model import facts
from nova_isolation.model import reasons
from nova_isolation.report import picture
from tests.unit import base
from tests.unit import strategies

STRONG = facts.dumps(strategies.STRONG)


#: It would fake a line about another host, and clear the screen.
HOSTILE = '\nc: accepted\r\x1b[2J\u2028\u202e\ud800\x9b'


def node(host, state='', mode='enforce', document=STRONG):
    """A compute node that has published its facts now."""
    return picture.ComputeNode(
        host,
        f'uuid-of-{host}',
        {
            facts.STAT: document,
            facts.TIME_STAT: str(int(time.time())),
            facts.MODE_STAT: mode,
        },
        state,
    )


class ExplainTest(base.TestCase):
    """What is printed for the nodes of a cloud."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config(nova.conf.CONF))
        opts.register(nova.conf.CONF)
        attestation_opts.register(nova.conf.CONF)

    def explain(self, *nodes, as_json=False, **specs):
        """The exit status and what was printed."""
        out = io.StringIO()
        with (
            mock.patch.object(
                flavors,
                'find',
                return_value=picture.Flavor(
                    '1',
                    'm1',
                    {
                        'hw:cpu_policy': 'shared',
                        **{f'isolation:{k}': v for k, v in specs.items()},
                    },
                ),
            ),
            mock.patch.object(
                reader, 'compute_nodes_of_all_cells', return_value=list(nodes)
            ),
            contextlib.redirect_stdout(out),
        ):
            status = explain.run('m1', as_json)
        return status, out.getvalue()

    def test_text(self):
        status, out = self.explain(
            node('a'),
            node('b', 'is down'),
            node('c', mode='audit'),
            node('d', 'is disabled (new disks)', mode='audit'),
            svirt='any',
        )
        refusal = (
            '  - wanted a host in mode enforce, found mode audit '
            '[isolation.host.audits]\n'
            f'    {reasons.HOST_AUDITS.remedy}\n'
        )
        self.assertEqual(
            'Flavor m1 asks for:\n'
            '  isolation:svirt=any\n'
            'a: accepted\n'
            'b: accepted, but the host is down\n'
            f'c: refused\n{refusal}'
            f'd: refused, and the host is disabled (new disks)\n{refusal}',
            out,
        )
        self.assertEqual(0, status)

    def test_only_hosts_in_audit_mode(self):
        status, out = self.explain(node('a', mode='audit'), svirt='any')
        self.assertEqual(1, status)
        self.assertIn('a: refused\n', out)
        self.assertIn('[isolation.host.audits]', out)
        self.assertTrue(out.endswith('No host can run flavor m1 now.\n'))

    def test_cloud_in_audit_mode(self):
        self.conf.config(group='isolation', mode='audit')
        status, out = self.explain(
            node('a', mode='audit'), node('b'), svirt='any'
        )
        self.assertEqual(0, status)
        self.assertIn('The mode is audit: ', out)
        self.assertTrue(out.endswith('a: accepted\nb: accepted\n'), out)

    def test_no_host(self):
        status, out = self.explain(svirt='any')
        self.assertEqual(1, status)
        self.assertIn('Nova knows no compute host.\n', out)

    def test_untagged(self):
        for as_json in (False, True):
            status, out = self.explain(node('a', 'is down'), as_json=as_json)
            self.assertEqual(0, status)
        self.assertEqual([], json.loads(out)['hosts'])

    def test_words_of_a_lying_host(self):
        sections = {**strategies.STRONG, 'hypervisor': {'type': HOSTILE}}
        lying = node(
            f'a{HOSTILE}',
            f'is disabled ({HOSTILE})',
            f'audit{HOSTILE}',
            facts.dumps(sections),
        )
        for as_json in (False, True):
            _, out = self.explain(
                lying, node('b'), hypervisor='kvm', as_json=as_json
            )
            for line in out.split('\n'):
                self.assertTrue(line.isprintable(), ascii(line))
                self.assertNotIn('c: accepted', line[:12])
        self.assertIn('b: accepted\n', self.explain(node('b'), svirt='any')[1])

    def test_del(self):
        for as_json in (False, True):
            _, out = self.explain(
                node('a\x7fb'), hypervisor='kvm', as_json=as_json
            )
            self.assertNotIn('\x7f', out)
            if as_json:
                self.assertEqual('a\x7fb', json.loads(out)['hosts'][0]['host'])

    def test_near_misses(self):
        for as_json in (False, True):
            with mock.patch.object(
                flavors,
                'find',
                return_value=picture.Flavor(
                    '1',
                    'm1',
                    {'isolation_svirt': 'selinux', 'isolation_x': ''},
                ),
            ):
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    explain.run('m1', as_json)
            self.assertIn('isolation_svirt', out.getvalue())
            self.assertIn('isolation:svirt', out.getvalue())
            self.assertNotIn('isolation_x', out.getvalue())

    def test_near_miss_beside_a_requirement(self):
        with mock.patch.object(
            flavors,
            'find',
            return_value=picture.Flavor(
                '1',
                'm1',
                {'isolation:svirt': 'any', 'isolatiom:certification': 'x'},
            ),
        ):
            out = io.StringIO()
            with (
                mock.patch.object(
                    reader,
                    'compute_nodes_of_all_cells',
                    return_value=[node('a')],
                ),
                contextlib.redirect_stdout(out),
            ):
                self.assertEqual(0, explain.run('m1', as_json=False))
        self.assertIn('Is isolation:certification meant?', out.getvalue())

    def test_json(self):
        status, out = self.explain(
            node('a', 'is down'),
            node('b', mode='audit'),
            svirt='any',
            as_json=True,
        )
        self.assertEqual(1, status)
        self.assertEqual(
            {
                'flavor': 'm1',
                'mode': 'enforce',
                'extra_specs': {'isolation:svirt': 'any'},
                'near_misses': {},
                'usable': False,
                'counts': {
                    'hosts': 2,
                    'accepted': 1,
                    'usable': 0,
                    'refused': 1,
                    'by_code': {'isolation.host.audits': 1},
                },
                'hosts': [
                    {
                        'host': 'a',
                        'accepted': True,
                        'state': 'is down',
                        'usable': False,
                        'unmet': [],
                    },
                    {
                        'host': 'b',
                        'accepted': False,
                        'state': '',
                        'usable': False,
                        'unmet': [
                            {
                                'code': 'isolation.host.audits',
                                'key': '',
                                'wanted': 'a host in mode enforce',
                                'found': 'mode audit',
                                'remedy': reasons.HOST_AUDITS.remedy,
                            }
                        ],
                    },
                ],
            },
            json.loads(out),
        )
