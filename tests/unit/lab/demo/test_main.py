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


from pathlib import Path
import unittest
from unittest import mock

import requests

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.demo import __main__ as demo
from lab.run import errors

_LOST = errors.DiedError(
    'machine-cpu-selinux died', ['machine-cpu-selinux', 'nova-compute']
)
_OTHER = errors.DiedError('nova-api died', ['nova-api'])


class RestoreTest(unittest.TestCase):
    """What the demonstration does when something of its cloud has died."""

    def setUp(self) -> None:
        super().setUp()
        for name in ('up', 'down'):
            patched = mock.patch.object(clouds.Cloud, name)
            setattr(self, name, patched.start())
            self.addCleanup(patched.stop)
        site = mock.PropertyMock()
        patched = mock.patch.object(clouds.Cloud, 'site', site)
        patched.start()
        self.addCleanup(patched.stop)
        patched = mock.patch.object(demo, '_show')
        self.show = patched.start()
        self.addCleanup(patched.stop)

    def run_demo(self) -> None:
        demo._run(Path('/nonexistent'), 'selinux', False, False, 'host', False)

    def test_a_machine_that_died_is_restored(self) -> None:
        self.show.side_effect = [_LOST, 'flavor']
        self.run_demo()
        self.assertEqual(2, self.up.call_count)
        self.assertEqual(2, self.down.call_count)

    def test_a_machine_that_died_when_the_cloud_starts(self) -> None:
        self.up.side_effect = [_LOST, None]
        self.run_demo()
        self.assertEqual(1, self.show.call_count)

    def test_once_only(self) -> None:
        self.show.side_effect = [_LOST, _LOST]
        with self.assertRaises(errors.DiedError):
            self.run_demo()
        self.assertEqual(2, self.down.call_count)

    def test_another_daemon_is_a_failure(self) -> None:
        self.show.side_effect = [_OTHER, 'flavor']
        with self.assertRaises(errors.DiedError):
            self.run_demo()
        self.assertEqual(1, self.down.call_count)

    def test_a_false_claim_is_a_failure(self) -> None:
        self.show.side_effect = [errors.LabError('false'), 'flavor']
        with (
            mock.patch('lab.run.supervisor.Supervisor.check'),
            self.assertRaisesRegex(errors.LabError, 'false'),
        ):
            self.run_demo()

    def test_an_error_of_a_client_is_explained_by_the_death(self) -> None:
        self.show.side_effect = [requests.ConnectionError(), 'flavor']
        with mock.patch(
            'lab.run.supervisor.Supervisor.check', side_effect=_LOST
        ):
            self.run_demo()
        self.assertEqual(2, self.up.call_count)

    def test_the_host_of_each_script_is_a_machine(self) -> None:
        for module, script in demo.scenes_confined.SCRIPTS.items():
            (spec,) = host_specs.known([script.host])
            self.assertEqual(module, spec.machine)
