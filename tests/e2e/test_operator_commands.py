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

"""The commands of ``openstack`` against nova-isolation-api, or without it."""

import json
import subprocess

from lab.cloud import openstack_command
from lab.config import site as sites
from lab.daemons import isolation_api
from tests.e2e import base
from tests.e2e import operators

_NO, _CANNOT = 1, 2


class CommandTest(operators.TestCase):
    """Commands that run as one of the users."""

    def run_openstack(
        self, user: str, *words: str
    ) -> subprocess.CompletedProcess[str]:
        return openstack_command.run(self.cloud, user, *words)

    def assertSays(
        self, status: int, user: str, command: str, *said: str
    ) -> str:
        """A command ends with this status, and prints each of the words.

        :returns: what it printed
        """
        result = self.run_openstack(user, *command.split())
        text = result.stdout + result.stderr
        self.assertEqual(status, result.returncode, text)
        for word in said:
            self.assertIn(word, text)
        return text


class AuditTest(CommandTest):
    """``openstack isolation audit`` on a cloud with a fault."""

    def audit(self) -> tuple[int, list[dict[str, str]]]:
        result = self.run_openstack(
            sites.AUDITOR, 'isolation', 'audit', '-f', 'json'
        )
        self.assertIn(result.returncode, (0, _NO), result.stderr)
        return result.returncode, json.loads(result.stdout)

    def test_a_planted_fault(self) -> None:
        flavor = self.flavor()
        _, before = self.audit()
        self.assertNotIn(flavor.name, str(before))
        self.api.compute.post(
            f'/flavors/{flavor.id}/os-extra_specs',
            microversion='2.1',
            json={'extra_specs': {'isolatiom:svirt': 'selinux'}},
        ).raise_for_status()
        self.wait_told('/v1/audit', flavor.name)
        status, found = self.audit()
        self.assertEqual(_NO, status)
        (finding,) = [one for one in found if one['Name'] == flavor.name]
        self.assertRegex(finding['Code'], r'^isolation\.audit\.')
        self.assertIn('isolatiom:svirt', finding['Detail'])
        self.assertTrue(finding['Remedy'])


class ServiceDownTest(CommandTest):
    """Without the service, commands say so and tell what Placement knows."""

    def setUp(self) -> None:
        super().setUp()
        self.tagged = self.flavor(operators.SANDBOX)
        self.server = self.boot_flavor(self.tagged)
        self.assertActive(self.server, base.HARDENED)
        self.addCleanup(self.cloud.restart, isolation_api.NAME)
        self.cloud.supervisor.stop([isolation_api.NAME], 30)

    def test_each_command(self) -> None:
        for command, said in (
            ('isolation host list', ('GUARDED', base.PLAIN)),
            (
                f'isolation host show {base.PLAIN}',
                ('GUARDED',),
            ),
            (
                f'flavor isolation show {self.tagged.name}',
                (base.PLAIN, base.HARDENED, 'isolation:qemu_sandbox'),
            ),
            (
                f'server isolation show {self.server.id}',
                (base.HARDENED, 'isolation:qemu_sandbox'),
            ),
            ('isolation audit', ('2 compute hosts',)),
        ):
            with self.subTest(command):
                self.assertSays(
                    _CANNOT,
                    sites.ADMIN,
                    command,
                    'service isolation',
                    *said,
                )
