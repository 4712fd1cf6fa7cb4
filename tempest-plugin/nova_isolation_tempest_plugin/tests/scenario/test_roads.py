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

"""The roads, for a guest with a tag and for one without."""

from typing import ClassVar

from tempest import config

from nova_isolation_tempest_plugin.tests import base
from nova_isolation_tempest_plugin.tests.scenario import roads

CONF = config.CONF
_VERIFIED = ('isolation_verify', 'Success')


class TaggedRoadsTest(roads.RoadsTestCase):
    """A tagged guest is verified at the end of each road."""

    @classmethod
    def resource_setup(cls) -> None:
        """Use extra specs that several hosts offer."""
        cls.SPECS = base.offered()
        super().resource_setup()

    def arrived(self) -> None:
        """Nothing but successful verifications was written, at least one."""
        self.assertEqual({_VERIFIED}, set(self.new_events()))

    def test_stop_and_start(self) -> None:
        """Nothing runs in between."""
        self.servers.stop_server(self.server)
        self.reach(self.server, 'SHUTOFF')
        self.servers.start_server(self.server)
        self.reach_active()
        self.arrived()

    def test_resize(self) -> None:
        """The server may go to another host."""
        if not CONF.compute_feature_enabled.resize:
            raise self.skipException('resize is not available')
        self.servers.resize_server(self.server, self.flavor(self.SPECS))
        found = self.reach(self.server, 'VERIFY_RESIZE', 'ERROR')
        self.assertEqual('VERIFY_RESIZE', found['status'], found.get('fault'))
        self.servers.confirm_resize_server(self.server)
        self.reach_active()
        self.arrived()

    def test_shelve_and_unshelve(self) -> None:
        """The server may come back on another host."""
        if not CONF.compute_feature_enabled.shelve:
            raise self.skipException('shelve is not available')
        self.servers.shelve_server(self.server)
        if (
            self.reach(self.server, 'SHELVED', 'SHELVED_OFFLOADED')['status']
            == 'SHELVED'
        ):
            self.admin_servers.shelve_offload_server(self.server)
            self.reach(self.server, 'SHELVED_OFFLOADED')
        self.servers.unshelve_server(self.server)
        self.reach_active()
        self.arrived()

    def test_suspend_and_resume(self) -> None:
        """The memory of the guest is stored in between."""
        if not CONF.compute_feature_enabled.suspend:
            raise self.skipException('suspend is not available')
        self.servers.suspend_server(self.server)
        self.reach(self.server, 'SUSPENDED')
        self.servers.resume_server(self.server)
        self.reach_active()
        self.arrived()

    def test_refused_resize(self) -> None:
        """The server stays as it is where no host offers the new flavor."""
        if not CONF.compute_feature_enabled.resize:
            raise self.skipException('resize is not available')
        before = self.show(self.server)
        self.servers.resize_server(self.server, self.flavor(base.refused()))
        self.wait(
            'the resize to be refused',
            lambda: (
                ('conductor_migrate_server', 'Error')
                in self.events(self.server)
                or self.show(self.server)['status'] == 'VERIFY_RESIZE'
            ),
        )
        found = self.reach_active()
        for same in ('flavor', 'OS-EXT-SRV-ATTR:host'):
            self.assertEqual(before[same], found[same])
        self.assertEqual([], self.new_events())


class UntaggedRoadsTest(roads.RoadsTestCase):
    """A guest without a tag is left alone on each road."""

    SPECS: ClassVar[dict[str, str]] = {}

    def arrived(self) -> None:
        """Isolation wrote nothing."""
        self.assertEqual([], self.new_events())
