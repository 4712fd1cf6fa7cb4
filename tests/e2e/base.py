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

"""The base class of end-to-end tests, and the cloud that they share."""

import atexit
from collections.abc import Iterable
import functools
import os
from pathlib import Path
import shutil
from typing import Any
from typing import ClassVar
import unittest
import uuid

from lab.cloud import cloud as clouds
from lab.cloud import explain
from lab.config import host_specs
from lab.guests import guests
from lab.machine import recipe
from lab.run import layout
from tests.e2e import leaks

#: A host with hardened and sandboxed guests, and a host without either.
HARDENED, PLAIN = 'cpu-hardened', 'cpu-plain'
NO_VALID_HOST = 'No valid host was found'
#: Seconds within which an event that belongs to a start is there.
_TOLD = 30.0


def start_cloud(
    name: str,
    hosts: Iterable[host_specs.HostSpec] | None = None,
    variable: str | None = None,
    operator: bool = False,
) -> clouds.Cloud:
    """Start a cloud, which ends with this test run.

    :param name: the name of its state folder
    :param hosts: its compute hosts; None: the default ones
    :param variable: the environment variable that may name the state folder
        of a cloud that is up, and is used instead
    :param operator: whether it has nova-isolation-api
    """
    state = os.environ.get(variable) if variable else None
    if state:
        return clouds.Cloud.attach(Path(state))
    started = clouds.Cloud(
        layout.default_state(name), hosts, operator=operator
    )
    started.up()
    atexit.register(started.down)
    return started


@functools.cache
def cloud() -> clouds.Cloud:
    """The cloud of this test run; it is started at the first call."""
    return start_cloud('e2e', variable='LAB_STATE', operator=True)


class TestCase(unittest.TestCase):
    """A test that boots guests; what the test creates is removed after it."""

    #: The cloud, once a test of the class has used it.
    _used: ClassVar[clouds.Cloud | None] = None
    maxDiff = None
    #: Seconds within which a guest has to start, and to be deleted.
    boot_seconds = 400.0
    delete_seconds = 300.0
    #: Seconds within which a change of a host has to show.
    explain_seconds = 400.0

    @classmethod
    def use_cloud(cls) -> clouds.Cloud:
        """The cloud for these tests."""
        return cloud()

    def setUp(self) -> None:
        super().setUp()
        self.cloud = self.use_cloud()
        # What has died fails this test with a reason, and its log, before a
        # wait does, and each test after it at once.
        self.cloud.supervisor.check()
        self.addCleanup(self.cloud.supervisor.check)
        self.guests = guests.Guests(self.cloud)
        self.api = self.guests.api

        type(self)._used = self.cloud

    @classmethod
    def tearDownClass(cls) -> None:
        """Check that nothing of the tests' guests is left."""
        super().tearDownClass()
        if cls._used is not None:
            leaks.check(cls._used, cls._used.connect())

    def flavor(self, specs: dict[str, str] | None = None) -> Any:
        """Create a flavor with these extra specs."""
        name = f'{self.id().rpartition(".")[2]}-{uuid.uuid4().hex[:8]}'
        flavor = self.guests.flavor(name, specs)
        self.addCleanup(self.api.compute.delete_flavor, flavor)
        return flavor

    def boot(self, specs: dict[str, str] | None = None, **where: str) -> Any:
        """Boot a guest with these extra specs.

        :param where: ``host`` or ``availability_zone``
        :returns: the server, which is ACTIVE or ERROR
        """
        return self.boot_flavor(self.flavor(specs), **where)

    def boot_flavor(self, flavor: Any, **where: str) -> Any:
        """Boot a guest.

        :returns: the server, which is ACTIVE or ERROR
        """
        server = self.guests.create(flavor.name, flavor.id, **where)
        self.addCleanup(self.guests.delete, server, self.delete_seconds)
        return self.guests.wait_status(
            server, ('ACTIVE', 'ERROR'), self.boot_seconds
        )

    def restart(
        self, daemon: str, group: str = 'isolation', **options: str
    ) -> None:
        """Restart a Nova daemon with other options in a group.

        At the end of the test the daemon is restarted without them.
        """
        self.addCleanup(self.cloud.restart, daemon)
        self.cloud.restart(daemon, {group: options})

    def folder_without_guests(self, host: str) -> str:
        """A folder like that of a host's pid files, with no guest in it.

        A nova-compute that looks there sees libvirt's daemon, so its facts are
        as ever, and each guest fails its verification.
        """
        pids = self.cloud.hosts[host].pids
        folder = self.cloud.hosts[host].layout.root / 'no-guests'
        folder.mkdir(exist_ok=True)
        shutil.copy(pids / 'driver.pid', folder)
        return str(folder)

    def refused_to_start(self, server: Any) -> dict[str, Any]:
        """Check that a server is in ERROR and left nothing on any host.

        :returns: the fault of the server
        """
        self.assertEqual('ERROR', server.status, server.compute_host)
        for name, host in self.cloud.hosts.items():
            self.assertNotIn(server.id, self.domains(name))
            there = host.run(
                self.cloud.supervisor,
                ['test', '-e', recipe.INSTANCES / str(server.id)],
            )
            self.assertEqual(1, there.returncode, there.stderr)
        return dict(server.fault)

    def domains(self, host: str) -> set[str]:
        """The UUIDs of all domains that a host's libvirt knows."""
        return set(
            self.cloud.hosts[host]
            .virsh(self.cloud.supervisor, 'list', '--all', '--uuid')
            .split()
        )

    def instance_folder(self, host: str, server: Any) -> Path:
        """The folder of a server's files, outside the host's namespaces."""
        return self.cloud.layout.host(host).instances / str(server.id)

    def assertNoAllocations(self, server: Any) -> None:
        """Placement has no allocations for a server.

        Nova removes them only after the server is in ERROR.
        """

        def none() -> bool:
            answer = self.api.placement.get(
                f'/allocations/{server.id}', microversion='1.39'
            )
            return not answer.json()['allocations']

        self.cloud.supervisor.wait('no allocations', none, 300, every=0.3)

    def assertActive(self, server: Any, host: str | None = None) -> None:
        """A server is ACTIVE, on this host, and its guest has printed."""
        self.assertEqual('ACTIVE', server.status, server.fault)
        if host is not None:
            self.assertEqual(host, server.compute_host)
        self.guests.wait_console(server)

    def assertNoValidHost(self, server: Any) -> None:
        """The scheduler found no host for a server; nothing of it is left."""
        fault = self.refused_to_start(server)
        self.assertIn(NO_VALID_HOST, fault['message'])
        self.assertNoAllocations(server)

    def assertEvent(self, server: Any, event: str, result: str) -> None:
        """A server has an event of this name with this result, or soon.

        Nova does not wait for the event of a guest that was accepted.
        """

        def told() -> bool:
            return (event, result) in [
                (one['event'], one['result'])
                for one in self.guests.events(server)
            ]

        self.cloud.supervisor.wait(
            f'{event} of {server.name}: {result}', told, _TOLD, every=0.5
        )

    def wait_explained(self, flavor: Any, words: str) -> None:
        """Wait until ``explain`` prints these words about the hosts."""

        def said() -> bool:
            try:
                self.assertExplained(flavor, words)
            except AssertionError:
                return False
            return True

        self.cloud.supervisor.wait(words, said, self.explain_seconds, every=2)

    def assertExplained(self, flavor: Any, *words: str) -> None:
        """``nova-isolation-manage explain`` prints each of the words."""
        text = explain.explain(self.cloud, flavor.name)
        for word in words:
            self.assertIn(word, text)
