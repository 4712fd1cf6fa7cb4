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

"""The plugin in ``openstack``: found, completed, helpful, as a process."""

from importlib import metadata
import json
from pathlib import Path
import subprocess
import sys
import time

import fixtures

from tests.unit.osc import base
from tests.unit.osc import fake_cloud

_OPENSTACK = Path(sys.executable).parent / 'openstack'


def _commands():
    return sorted(
        point.name.replace('_', ' ')
        for point in metadata.entry_points(group='openstack.isolation.v1')
    )


class PluginTest(base.TestCase):
    def test_the_commands(self):
        self.assertEqual(
            [
                'flavor isolation set', 'flavor isolation show',
                'flavor isolation unset', 'isolation audit',
                'isolation evidence verify',
                'isolation host list', 'isolation host show',
                'isolation profile list', 'isolation profile show',
                'server isolation evidence', 'server isolation show',
            ],
            _commands(),
        )  # fmt: skip

    def test_help(self):
        for name in _commands():
            out = self.run_ok(*name.split(), '--help')
            # The program is named after the process, which is stestr here.
            self.assertRegex(out, f'^usage: .* {name} ')
            self.assertIn('nova-isolation plugin', out)

    def test_completion(self):
        script = self.run_ok('complete')
        for name in _commands():
            *words, last = name.split()
            (line,) = (
                line
                for line in script.splitlines()
                if line.strip().startswith(f'cmds_{"_".join(words)}=')
            )
            self.assertIn(last, line.partition('=')[2].strip("'").split())
        self.assertIn('--profile', script)

    def test_exit_codes_of_the_process(self):
        self.away()
        environment = {
            **self.cloud.environment(),
            'PATH': '/usr/bin:/bin',
            'HOME': self.useFixture(fixtures.TempDir()).path,
        }
        for arguments, status in (
            (('isolation', 'host', 'list', '-f', 'json'), 2),
            (('isolation', 'profile', 'list', '-f', 'json'), 0),
        ):
            done = subprocess.run(
                [_OPENSTACK, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )
            self.assertEqual(status, done.returncode, done)
            json.loads(done.stdout)
            self.assertNotIn('WARNING', done.stderr)


class ManyHostsTest(base.TestCase):
    """What this side does with 1,000 hosts takes less than a second."""

    def seconds(self, *arguments):
        """The processor's seconds that a command takes with 1,000 hosts more
        than with one.
        """
        taken = []
        for count in (1, 1000):
            self.cloud.hosts = [fake_cloud.host(n) for n in range(count)]
            codes = {
                host['host']: f'isolation.svirt.{n % 5}'
                for n, host in enumerate(self.cloud.hosts)
            }
            self.cloud.explain = lambda specs, codes=codes: (
                fake_cloud.explanation(codes, specs, usable=True)
            )
            began = time.process_time()
            self.run_ok(*arguments)
            taken.append(time.process_time() - began)
        return taken[1] - taken[0]

    def test_hosts(self):
        self.assertLess(self.seconds('isolation', 'host', 'list'), 1)

    def test_hosts_in_json(self):
        self.assertLess(
            self.seconds('isolation', 'host', 'list', '-f', 'json'), 1
        )

    def test_an_explanation(self):
        self.assertLess(
            self.seconds(
                'flavor', 'isolation', 'show', '--property',
                'isolation:svirt=any',
            ),
            1,
        )  # fmt: skip
