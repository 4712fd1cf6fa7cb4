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

"""The listener for metrics of the daemon, in a process of its own."""

import http.client
import pathlib
import socket
import subprocess
import sys
import time

import fixtures

from nova_isolation.service import daemon
from tests.unit import base

_SCRIPT = """
import sys
from oslo_config import cfg
from nova_isolation.report import audit
from nova_isolation.service import daemon
from tests.unit.service import fakes
conf = cfg.ConfigOpts()
conf(['--config-file', sys.argv[3]], default_config_dirs=[])
from nova_isolation.service import opts
options = opts.register(conf)
conf.set_override('port', int(sys.argv[1]), 'isolation_api')
conf.set_override('metrics_listen', sys.argv[2], 'isolation_api')
seen = fakes.cloud([fakes.node('a')])
daemon.Daemon(
    conf,
    lambda: seen,
    fakes.Servers(seen),
    fakes.find_flavor(seen),
    audit.Configuration(),
).run()
"""


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


#: Nobody asks this keystone.
_FILE = """
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:1/v3
username = nova-isolation
password = secret
"""


class ListenerTest(base.TestCase):
    def start(self, metrics):
        """Start the daemon.

        :returns: the process, and the port of the API
        """
        port = free_port()
        folder = self.useFixture(fixtures.TempDir()).path
        file = pathlib.Path(folder, 'api.conf')
        file.write_text(_FILE)
        arguments = ['-c', _SCRIPT, str(port), metrics, str(file)]
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', *arguments]
        )
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.terminate)
        end = time.monotonic() + 100
        while True:
            try:
                self.assertEqual(200, self.get(port, '/healthcheck')[0])
                return process, port
            except (OSError, AssertionError):
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)

    def get(self, port, path):
        """Status and text of an answer."""
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        self.addCleanup(connection.close)
        connection.request('GET', path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def test_ports_of_their_own(self):
        metrics = free_port()
        process, port = self.start(f'127.0.0.1:{metrics}')
        status, text = self.get(metrics, '/metrics')
        self.assertEqual(200, status)
        self.assertIn('nova_isolation_hosts{standing="good"} 1.0', text)
        self.assertEqual(404, self.get(metrics, '/v1/hosts')[0])
        self.assertEqual(404, self.get(port, '/metrics')[0])
        process.terminate()
        self.assertEqual(0, process.wait(60))

    def test_none_by_default(self):
        _, port = self.start('')
        self.assertEqual(404, self.get(port, '/metrics')[0])

    def test_addresses(self):
        for text, wanted in (
            ('', None),
            ('127.0.0.1:8898', ('127.0.0.1', 8898)),
            ('[::1]:8898', ('::1', 8898)),
            ('controller:1', ('controller', 1)),
        ):
            self.assertEqual(wanted, daemon._metrics_address(text))
        for text in (
            '8898',
            ':8898',
            '::1:8898',
            '[::1]',
            '127.0.0.1',
            '127.0.0.1:',
            '127.0.0.1:0',
            '127.0.0.1:65536',
            '127.0.0.1:http',
            '[127.0.0.1]:8898',
        ):
            error = self.assertRaises(
                daemon.ConfigurationError, daemon._metrics_address, text
            )
            self.assertIn('wanted ADDRESS:PORT', str(error))
