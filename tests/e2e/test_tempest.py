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

"""The part of our Tempest plugin that logs in to compute hosts.

The other parts are run on a cloud of their own: tools/test.sh tempest.
"""

import io
from pathlib import Path

from lab import tempest
from lab.config import tempest as plugin_options
from lab.machine import image
from lab.run import layout
from tests.e2e import machines
from tools import count_tests

_TESTS = r'^nova_isolation_tempest_plugin\.tests\.whitebox\.'


class WhiteboxTest(machines.TestCase):
    """The plugin's tests of processes, on the machine with SELinux."""

    HOST = machines.SELINUX

    def test_processes_of_guests(self) -> None:
        made = self.cloud.supervisor.output(
            [layout.CHECKOUT / 'tools' / 'tempest.sh'], 900
        )
        self.assertEqual(0, made.returncode, made.stderr)
        venv, plugin = map(Path, made.stdout.split())
        tempest.configure(
            self.cloud,
            {
                'compute': {'build_timeout': int(self.boot_seconds)},
                **plugin_options.plugin(),
                'isolation_whitebox': {
                    'hosts': f'{self.HOST}:127.0.0.1',
                    'port': self.cloud.site.ports.ssh(self.host.index),
                    'key': image.Image(self.host.folder).key,
                    'command_timeout': 300,
                },
            },
        )
        stream = tempest.run_plugin(self.cloud, venv, plugin, _TESTS)
        tests = count_tests.outcomes(io.BytesIO(stream))
        self.assertEqual(
            {'passed'},
            {how for _, how in tests},
            '\n'.join(count_tests.last_words(io.BytesIO(stream))),
        )
        self.assertEqual(6, len(tests))
