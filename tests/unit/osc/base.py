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

"""What the tests of the commands share."""

import json

from tests.unit import base
from tests.unit.osc import fake_cloud


class TestCase(base.TestCase):
    """A test with a cloud and the ``openstack`` command."""

    def setUp(self):
        super().setUp()
        self.cloud = self.useFixture(fake_cloud.Cloud())
        self.openstack = self.useFixture(
            fake_cloud.Openstack(self.cloud.environment())
        )

    def run_ok(self, *arguments, status=0):
        """Run a command that ends with a status; what it printed."""
        result = self.openstack(*arguments)
        self.assertEqual(status, result.status, result)
        self.assertNotIn('Traceback', result.stdout + result.stderr)
        return result.stdout

    def json(self, *arguments, status=0):
        """Run a command; its output, read as JSON."""
        return json.loads(self.run_ok(*arguments, '-f', 'json', status=status))

    def fails(self, *arguments, status=2):
        """Run a command that prints nothing but errors; these."""
        result = self.openstack(*arguments)
        self.assertEqual(status, result.status, result)
        self.assertEqual('', result.stdout)
        self.assertNotIn('Traceback', result.stderr)
        return ' '.join(result.stderr.split())

    def flavor(self, **extra_specs):
        """Make a flavor m1 with these extra specs, which are returned."""
        specs = {f'isolation:{k}': v for k, v in extra_specs.items()}
        self.cloud.flavors['1'] = {'name': 'm1', 'extra_specs': specs}
        return specs

    def away(self):
        """Nobody listens where the service should be."""
        self.cloud.catalog = 'http://127.0.0.1:1/isolation'
