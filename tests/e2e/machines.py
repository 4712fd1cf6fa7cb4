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


"""Tests on hosts whose kernel has a security module."""

import functools
from pathlib import Path
from typing import Any
from typing import ClassVar

from lab.cloud import cloud as clouds
from lab.config import host_specs
from lab.guests import guests
from lab.machine import nova_account
from lab.machine import recipe
from nova_isolation.host import privileged
from tests.e2e import base

_CONTEXT = privileged.context.pypath
SELINUX, APPARMOR = 'cpu-selinux', 'cpu-apparmor'


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud with both machines, for this test run."""
    return base.start_cloud(
        'e2e-machines',
        host_specs.known([SELINUX, APPARMOR]),
        'LAB_MACHINES_STATE',
    )


class TestCase(base.TestCase):
    """A test with guests on one of the machines.

    An emulated QEMU emulates the guests there, which is slow. So the tests
    of a class share the guests that they only look at.
    """

    #: The machine, and the extra specs of each of the shared guests.
    HOST: ClassVar[str]
    SHARED: ClassVar[tuple[dict[str, str], ...]] = ()

    boot_seconds = 1800.0
    delete_seconds = 900.0
    # The host measures itself every 15 s (lab.config.nova_conf).
    explain_seconds = 900.0
    shared: ClassVar[list[Any]] = []

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud with the machines."""
        return cloud()

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        api = guests.Guests(cls.use_cloud())
        created = []
        for number, specs in enumerate(cls.SHARED):
            flavor = api.flavor(f'{cls.__name__}-{number}', specs)
            cls.addClassCleanup(api.api.compute.delete_flavor, flavor)
            server = api.create(flavor.name, flavor.id)
            cls.addClassCleanup(api.delete, server, cls.delete_seconds)
            created.append(server)
        cls.shared = [
            api.wait_status(server, ('ACTIVE', 'ERROR'), cls.boot_seconds)
            for server in created
        ]

    def setUp(self) -> None:
        super().setUp()
        self.host = self.cloud.hosts[self.HOST]
        for server in self.shared:
            self.assertEqual('ACTIVE', server.status, server.fault)
            self.assertEqual(self.HOST, server.compute_host)

    def on_host(self, *command: str | Path) -> str:
        """Run a command on the machine, which has to succeed.

        :returns: what the command printed
        """
        result = self.host.run(self.cloud.supervisor, command)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout.strip()

    def disk(self, server: Any) -> Path:
        """The path of a server's disk on the machine."""
        return recipe.INSTANCES / str(server.id) / 'disk'

    def assertNotRoot(self) -> None:
        """nova-compute is the user nova, and its helper has what it lacks."""
        pid = self.on_host(
            'systemctl', 'show', '-P', 'MainPID', 'nova-compute'
        )
        user = self.on_host('ps', '-o', 'user=', '-p', pid)
        self.assertEqual(nova_account.USER, user)
        # The brackets keep the pattern from finding the shell that has it.
        pattern = f'python.*[{_CONTEXT[0]}]{_CONTEXT[1:]}'
        helper = self.on_host('pgrep', '-o', '-f', pattern)
        user = self.on_host('ps', '-o', 'user=', '-p', helper)
        self.assertEqual('root', user)

    def assertRuns(self, server: Any) -> None:
        """A server is ACTIVE on the machine, verified, and not paused."""
        self.assertEqual('ACTIVE', server.status, server.fault)
        self.assertEqual(self.HOST, server.compute_host)
        self.assertEvent(server, 'isolation_verify', 'Success')
        state = self.host.virsh(
            self.cloud.supervisor, 'domstate', server.instance_name
        )
        self.assertEqual('running', state.strip())
