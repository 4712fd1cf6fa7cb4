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

"""Operations that end with a running guest, each of which verifies it."""

from typing import Any
from typing import ClassVar

from tempest import config

from nova_isolation_tempest_plugin.tests import base

CONF = config.CONF


class RoadsTestCase(base.TestCase):
    """Tests that share one server, which is ACTIVE before each of them.

    Here are the roads that make a process anew. Tempest's own tests take the
    others with untagged servers.
    """

    SPECS: ClassVar[dict[str, str]]

    @classmethod
    def resource_setup(cls) -> None:
        """Boot the server."""
        super().resource_setup()
        cls.server = cls.boot(cls.flavor(cls.SPECS))['id']

    def setUp(self) -> None:
        super().setUp()
        found = self.reach(self.server, 'ACTIVE', 'ERROR')
        self.assertEqual('ACTIVE', found['status'], found.get('fault'))
        self.host = found['OS-EXT-SRV-ATTR:host']
        self.before = self.ours(self.server)

    def new_events(self) -> list[tuple[str, str]]:
        """Return the events of isolation since the test began."""
        events = self.ours(self.server)
        for event in self.before:
            events.remove(event)
        return events

    def reach_active(self) -> dict[str, Any]:
        """Wait until the server is ACTIVE again."""
        found = self.reach(self.server, 'ACTIVE', 'ERROR')
        self.assertEqual('ACTIVE', found['status'], found.get('fault'))
        return found

    def arrived(self) -> None:
        """The server runs, as its flavor asks for; for a subclass to say."""
        raise NotImplementedError

    def test_hard_reboot(self) -> None:
        """A new process is made."""
        self.servers.reboot_server(self.server, type='HARD')
        self.reach_active()
        self.arrived()

    def test_rebuild(self) -> None:
        """The disk is made anew."""
        self.servers.rebuild_server(self.server, CONF.compute.image_ref)
        self.reach_active()
        self.arrived()

    def test_live_migration(self) -> None:
        """The guest runs on elsewhere."""
        if (
            not CONF.compute_feature_enabled.live_migration
            or len(self.computes()) < 2
        ):
            raise self.skipException('live migration is not available')
        self.admin_servers.live_migrate_server(
            self.server, host=None, block_migration='auto'
        )
        self.wait(
            'the live migration to end',
            lambda: (
                self.show(self.server)['OS-EXT-SRV-ATTR:host'] != self.host
            ),
        )
        self.reach_active()
        self.arrived()
