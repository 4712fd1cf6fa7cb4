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

"""Roads of one guest with all requirements, which tests share."""

from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any
from typing import ClassVar
import unittest
import uuid

from lab.daemons import nova
from lab.guests import xen_domain
from lab.guests import xen_specs
from tests.e2e import xen

#: nova-compute of the host with Xen.
COMPUTE = nova.compute_name(xen.HOST)


@dataclasses.dataclass(frozen=True)
class Before:
    """What was true of a guest before a road."""

    #: The number of its domain; None: there was none.
    number: int | None
    #: How often it was verified and accepted.
    verified: int


class RoadsTestCase(xen.TestCase):
    """Tests of roads of one guest.

    The tests of one module share it. Each leaves it running; one that a test
    has spoilt is replaced.

    :ivar all: its flavor, with all requirements
    :ivar server: its server
    :ivar running: its domain
    """

    _kept: ClassVar[tuple[Any, Any] | None] = None

    def setUp(self) -> None:
        super().setUp()
        kept = RoadsTestCase._kept
        if kept is None or not self._is_sound(kept[1]):
            RoadsTestCase._kept = None
            kept = RoadsTestCase._kept = self._boot()
        self.all, self.server = kept
        self.compute = self.api.compute
        self.running = self.domain(self.server)

    def before(self) -> Before:
        """What is true of the guest now."""
        return Before(
            self.running.number if self.running.exists else None,
            self.accepted(),
        )

    def accepted(self) -> int:
        """How often the guest was verified and accepted."""
        return self.verified(self.server).count('Success')

    def wait(self, what: str, test: Any) -> Any:
        """Wait until ``test`` returns a true value, and return it."""
        return self.cloud.supervisor.wait(
            what, test, self.boot_seconds, every=1
        )

    def reach(self, status: str) -> Any:
        """Wait until the guest's server has a status.

        :returns: the server
        """
        server = self.guests.wait_status(
            self.server, (status, 'ERROR'), self.boot_seconds
        )
        self.assertEqual(status, server.status, server.fault)
        return server

    @contextlib.contextmanager
    def road(
        self, status: str = 'ACTIVE', anew: bool = True, kept: bool = False
    ) -> Iterator[None]:
        """Take the guest along a road, on which it is verified.

        :param status: the server's status at the end
        :param anew: whether it is another domain then
        :param kept: whether its memory is what it was
        """
        before = self.before()
        mark = uuid.uuid4().hex
        if kept:
            self.running.run(f'echo {mark} >/mark')
        yield
        # A road that Nova takes by itself has not begun when this is asked.
        self.wait(
            'a verification',
            lambda: (
                self.accepted() > before.verified
                or self.compute.get_server(self.server).status == 'ERROR'
            ),
        )
        self.reach(status)
        self.assertGreater(self.accepted(), before.verified)
        number = self.assertRuns()
        if anew:
            self.assertNotEqual(before.number, number)
        else:
            self.assertEqual(before.number, number)
        self.assertEqual(
            mark if kept else '',
            self.running.run('busybox cat /mark 2>/dev/null'),
        )

    def virsh(self, *words: str) -> list[str]:
        """The words that virsh prints."""
        return (
            self.cloud.hosts[xen.HOST]
            .virsh(self.cloud.supervisor, *words)
            .split()
        )

    def assertRuns(self) -> int:
        """The guest runs as its flavor asks.

        :returns: the number of its domain
        """
        self.assertEqual(xen.label(), self.running.label)
        self.assertNotIn('p', self.running.state)
        number = self.running.number
        self.assertEqual([], xen_domain.device_models(self.ssh, number))
        self.assertEqual('here', self.running.run('echo here'))
        return number

    def assertOff(self) -> None:
        """The guest has no domain."""
        self.assertFalse(self.running.exists)
        self.assertNotIn(
            self.server.instance_name,
            self.virsh('list', '--name'),
        )

    def _boot(self) -> tuple[Any, Any]:
        """A flavor with all requirements, and a guest of it, which runs."""
        name = f'e2e-xen-roads-{uuid.uuid4().hex[:8]}'
        flavor = self.guests.flavor(name, xen_specs.ALL)
        unittest.addModuleCleanup(self.api.compute.delete_flavor, flavor)
        # A test before this one may have changed the host.
        self.wait_explained(flavor, f'{xen.HOST}: accepted')
        server = self.guests.create(name, flavor.id)
        unittest.addModuleCleanup(
            self.guests.delete, server, self.delete_seconds
        )
        unittest.addModuleCleanup(setattr, RoadsTestCase, '_kept', None)
        server = self.guests.wait_status(
            server, ('ACTIVE', 'ERROR'), self.boot_seconds
        )
        self.assertActive(server, xen.HOST)
        return flavor, server

    def _is_sound(self, server: Any) -> bool:
        """Whether a server runs as it did when it was created.

        One that does not makes room for another.
        """
        found = self.api.compute.find_server(server.id)
        if found is not None:
            found = self.api.compute.get_server(found.id)
        if (
            found is not None
            and found.status == 'ACTIVE'
            and not found.task_state
            and self.domain(server).exists
        ):
            return True
        self.guests.delete(server, self.delete_seconds)
        return False
