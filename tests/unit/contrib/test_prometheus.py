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

"""What is shipped for Prometheus and Grafana fits the metrics."""

import json
import pathlib
import re
import shutil
import subprocess

from nova_isolation.report import audit_kinds
from nova_isolation.service import metrics
from tests.unit import base
from tests.unit import fakes as unit_fakes
from tests.unit.service import fakes
from tests.unit.service import test_metrics

_CONTRIB = pathlib.Path(__file__).parents[3] / 'contrib'
_RULES = _CONTRIB / 'prometheus/nova-isolation.rules.yml'
_DASHBOARD = _CONTRIB / 'grafana/nova-isolation.json'
_NAME = re.compile(r'\bnova_isolation_\w+')


class Stated:
    """A verifier that found each host good."""

    def clock(self, now):
        """By which clock statements age."""
        return now

    def statements(self, host, node):
        """What is stated about a host."""
        return {'attested': unit_fakes.evidence()}


class FilesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        answered = metrics.Requests()
        answered.observe('GET', '/v1/hosts', 200, 0.1)

        parts = fakes.parts(test_metrics.SEEN, attestation=Stated())
        self.names = {name for name, _ in test_metrics.scrape(parts, answered)}

    def test_metrics_exist(self):
        for path in (_RULES, _DASHBOARD):
            named = set(_NAME.findall(path.read_text()))
            self.assertGreater(len(named), 4)
            self.assertEqual(set(), named - self.names, path)
        # Each one is shown.
        shown = set(_NAME.findall(_DASHBOARD.read_text()))
        self.assertEqual(
            set(),
            {
                name
                for name in self.names
                if not name.startswith('nova_isolation_request')
            }
            - shown
            - {'nova_isolation_cloud_readable'},
        )

    def test_codes_exist(self):
        text = _RULES.read_text()
        for one in re.findall(r'isolation\.audit\.([a-z_]+)[^(a-z_]', text):
            if one != 'server_':
                self.assertIn(f'isolation.audit.{one}', audit_kinds.KINDS)

    def test_dashboard(self):
        board = json.loads(_DASHBOARD.read_text())
        ids = [panel['id'] for panel in board['panels']]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in board['panels']:
            self.assertTrue(panel['title'] and panel['targets'])
        # No address of ours: the admin chooses the data source.
        self.assertNotIn('http', _DASHBOARD.read_text())

    def promtool(self, *arguments):
        """Run Debian's promtool, which bindep.txt names."""
        program = shutil.which('promtool')
        self.assertIsNotNone(program, 'install the package prometheus')
        return subprocess.run(
            [program, *arguments],
            cwd=_RULES.parent,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_promtool(self):
        for arguments in (
            ('check', 'rules', _RULES.name),
            ('test', 'rules', 'nova-isolation.test.yml'),
        ):
            run = self.promtool(*arguments)
            self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        # Each alert is tested, both ways.
        alerts = re.findall(r'- alert: (\w+)', _RULES.read_text())
        tests = (_RULES.parent / 'nova-isolation.test.yml').read_text()
        for alert in alerts:
            self.assertEqual(2, tests.count(alert), alert)
