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

"""Tests of guests that are resumed at their arrival, on any two hosts.

The copy of a guest's memory is slowed down where something is to happen
meanwhile.
"""

import re
from typing import Any
import uuid

from lab.daemons import nova
from tests.e2e import test_live_migration

#: MiB a second: a copy that lasts for a minute, and one that does not.
SLOW, FAST = '1', '1000'
_RESUMED = re.compile('verified again and resumed within')


class TestCase(test_live_migration.TestCase):
    """The destination has ``[isolation] resume_at_arrival = True``."""

    #: Seconds within which a copy has to begin, and a guest to arrive.
    copy_seconds = 120.0

    def flavor(self, specs: dict[str, str] | None = None) -> Any:
        """A flavor whose disk is as small as the image.

        The disk is copied before the memory, at the speed that was set when
        the copy began.
        """
        flavor = self.api.compute.create_flavor(
            name=f'arrival-{uuid.uuid4().hex[:8]}', ram=128, vcpus=1, disk=0
        )
        self.addCleanup(self.api.compute.delete_flavor, flavor)
        self.api.compute.create_flavor_extra_specs(flavor, specs or {})
        return flavor

    def speed(self, server: Any, speed: str) -> None:
        """How fast the memory of a guest leaves its source."""
        self.virsh(self.SOURCE, 'migrate-setspeed', server.id, speed)

    def virsh(self, host: str, *arguments: str) -> str:
        """What virsh prints on a host."""
        there = self.cloud.hosts[host]
        return there.virsh(self.cloud.supervisor, *arguments)

    def copying(self, specs: dict[str, str]) -> Any:
        """A guest whose memory is copied, until :meth:`speed` is called."""
        server = self.boot_here(specs)
        self.speed(server, SLOW)
        self.migrate(server).raise_for_status()
        self.cloud.supervisor.wait(
            'the copy',
            lambda: (
                server.id in self.domains(self.DESTINATION)
                and self.reason(server) == 'paused (migrating)'
            ),
            self.copy_seconds,
        )
        return server

    def reason(self, server: Any) -> str:
        """The state of a guest on its destination, and the reason for it."""
        return self.virsh(
            self.DESTINATION, 'domstate', '--reason', server.id
        ).strip()

    def resumed_at_arrival(self, server: Any) -> bool:
        """Whether the destination has resumed a guest at its arrival."""
        name = nova.compute_name(self.DESTINATION)
        text = self.cloud.supervisor.log(name).read_text('utf-8', 'replace')
        return any(
            _RESUMED.search(line)
            for line in text.splitlines()
            if str(server.id) in line
        )

    def assertRuns(self, server: Any, at_arrival: bool) -> None:
        """The migration is over, and the guest runs there, verified."""
        status, server = self.wait_migration(server)
        self.assertEqual(('completed', 'ACTIVE'), (status, server.status))
        self.assertArrived(server, 'running')
        self.assertTold(
            server, 'isolation_verify', 'Success', self.DESTINATION
        )
        self.assertIs(at_arrival, self.resumed_at_arrival(server))

    def assertRefused(self, server: Any, code: str) -> None:
        """The migration is over, and the guest never runs there."""
        _, server = self.wait_migration(server)
        self.assertEqual('ERROR', server.status)
        self.guests.wait_fault(server, code)
        self.assertArrived(server, 'paused')
        self.assertEqual([], self.ticks(self.DESTINATION, server))
        self.assertTold(server, 'isolation_verify', 'Error', self.DESTINATION)
        self.assertFalse(self.resumed_at_arrival(server))
