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
from pathlib import Path
import subprocess
import tempfile

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

    def test_a_file_that_can_be_mailed(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name, 'audit.html')
        result = self.run_openstack(
            sites.AUDITOR, 'isolation', 'audit', '--html', str(file)
        )
        self.assertIn(result.returncode, (0, _NO), result.stderr)
        self.assertEqual(0o600, file.stat().st_mode & 0o777)
        text = file.read_text('utf-8')
        for word in (base.HARDENED, base.PLAIN, 'isolation.qemu.no_sandbox'):
            self.assertIn(word, text)
        # It needs no network: nothing of it is at another address.
        self.assertNotRegex(text, r'(?i)(src|href)="?(https?:)?//')
        # Who may not ask writes nothing.
        other = Path(folder.name, 'owner.html')
        self.assertSays(
            _CANNOT, sites.OWNER, f'isolation audit --html {other}', 'HTTP 403'
        )
        self.assertFalse(other.exists())


class ChangeTest(CommandTest):
    """What is shown right after a change."""

    def test_a_flavor_that_was_just_changed(self) -> None:
        # Longer than the test takes.
        self.restart(
            isolation_api.NAME,
            'isolation_api',
            refresh_interval='600',
            picture_max_age='1200',
        )
        flavor = self.flavor()
        self.wait_ok('/v1/hosts')
        show = f'flavor isolation show {flavor.name}'
        for user, command, status, said in (
            (
                sites.ADMIN,
                f'set {flavor.name} --property isolation:qemu_sandbox=true',
                0,
                ('isolation:qemu_sandbox=true', 'isolation.qemu.no_sandbox'),
            ),
            (
                sites.ADMIN,
                f'set {flavor.name} --property isolation:svirt=selinux',
                _NO,
                ('isolation:svirt=selinux', 'isolation.svirt.no_model'),
            ),
            (sites.ADMIN, f'unset {flavor.name} --all', 0, ('refuses it no',)),
        ):
            with self.subTest(command):
                self.assertSays(0, user, f'flavor isolation {command}')
                self.assertSays(status, sites.AUDITOR, show, *said)
        # A server that the last reading did not have, by its ID.
        server = self.boot(operators.SANDBOX)
        self.assertSays(
            0, sites.AUDITOR, f'server isolation show {server.id}', 'active'
        )


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

    def test_an_auditor_is_told_what_is_missing(self) -> None:
        """Nova and placement take no token of the system."""
        for command in (
            'isolation host list',
            f'flavor isolation show {self.tagged.name}',
            f'server isolation show {self.server.id}',
            'isolation audit',
        ):
            with self.subTest(command):
                self.assertSays(
                    _CANNOT,
                    sites.AUDITOR,
                    command,
                    'service isolation',
                    'HTTP 403. By default this is for the role',
                )
