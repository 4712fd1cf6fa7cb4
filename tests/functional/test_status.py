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

"""nova-isolation-status upgrade check, on Nova's databases and placement."""

import contextlib
import io
import time
from unittest import mock

from oslo_upgradecheck import upgradecheck

from nova_isolation.cloud import placement_traits
from nova_isolation.cmd import status
from tests.functional import base
from tests.functional import fixtures


class StatusTest(base.TestCase):
    def check(self):
        """The exit status, and what was printed."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = status.Checks(status.findings).check()
        # The table is wrapped anywhere.
        return code, ' '.join(out.getvalue().replace('|', ' ').split())

    def test_cloud(self):
        self.start(fixtures.Machine(), fixtures.Machine())
        code, out = self.check()
        self.assertEqual(upgradecheck.Code.SUCCESS, code, out)
        for title in status.CHECKS:
            self.assertIn(f'Check: {title} Result: Success', out)
        # A host that audits is a warning.
        self.write_stats('host2', isolation_mode='audit')
        code, out = self.check()
        self.assertEqual(upgradecheck.Code.WARNING, code, out)
        self.assertIn('Check: Mode of the hosts Result: Warning', out)
        self.assertIn('host2: mode audit', out)
        # A host of a newer release as well.
        self.write_stats('host2', isolation_facts='{"v":99}')
        self.assertIn(
            'Check: Schema of the facts Result: Warning', self.check()[1]
        )
        # The traits of a host that has lost its driver are a failure.
        self.write_stats('host2', isolation_facts=None)
        code, out = self.check()
        self.assertEqual(upgradecheck.Code.FAILURE, code, out)
        self.assertIn('Check: Traits without driver Result: Failure', out)

    def test_placement_takes_its_time(self):
        """The command reads once, so it waits longer than the service."""
        self.start(fixtures.Machine())
        of_all_nodes = placement_traits.of_all_nodes

        def slow():
            time.sleep(placement_traits.PATIENCE + 1)
            return of_all_nodes()

        with mock.patch.object(placement_traits, 'of_all_nodes', slow):
            code, out = self.check()
        self.assertEqual(upgradecheck.Code.SUCCESS, code, out)

    def test_scheduler_without_the_filter(self):
        self.flags(enabled_filters=['ComputeFilter'], group='filter_scheduler')
        code, out = self.check()
        self.assertEqual(upgradecheck.Code.FAILURE, code, out)
        self.assertIn('Check: Filter of nova-scheduler Result: Failure', out)
