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

"""nova-compute loses its right to sudo while guests run."""

import os
import signal

from lab.cloud import placement
from lab.daemons import nova
from lab.machine import nova_account
from lab.run import layout as layouts
from tests.e2e import base
from tests.e2e import host_processes

_DAEMON = nova.compute_name(base.HARDENED)
_PIE = {'isolation:qemu_hardening': 'pie'}
_TRAIT = 'CUSTOM_ISOLATION_QEMU_PIE'
_CODE = 'isolation.host.no_helper'
_SECONDS = 400


class SudoLostTest(host_processes.TestCase):
    """The privileged helper dies, and sudo does not start another one."""

    def setUp(self) -> None:
        super().setUp()
        self.sudoers = self.cloud.layout.host(base.HARDENED).sudoers

    def give_right(self) -> None:
        """Give the right to sudo, as at the start."""
        self.sudoers.unlink(missing_ok=True)
        layouts.write(
            self.sudoers, nova_account.SUDOERS, nova_account.SUDOERS_MODE
        )

    def take_right(self) -> None:
        """Take the right to sudo, and end the helper that has it."""
        self.addCleanup(self.give_right)
        self.sudoers.unlink()
        for pid in self.helpers(base.HARDENED):
            os.kill(pid, signal.SIGKILL)

    def has_trait(self) -> bool:
        """Whether Placement offers the host for QEMUs of position
        independent code.
        """
        return _TRAIT in placement.traits(self.api, base.HARDENED)

    def test_the_host_is_refused_and_its_guests_are_left_alone(self) -> None:
        flavor = self.flavor(_PIE)
        self.addCleanup(self.cloud.restart, _DAEMON)
        self.cloud.restart(
            _DAEMON,
            {
                'DEFAULT': {'update_resources_interval': 5},
                # A violation would end the guest.
                'isolation': {'verify_interval': '2', 'on_violation': 'stop'},
            },
        )
        server = self.boot_flavor(flavor, host=base.HARDENED)
        self.assertActive(server, base.HARDENED)
        self.assertTrue(self.has_trait())

        self.take_right()
        self.wait_explained(flavor, _CODE)
        self.cloud.supervisor.wait(
            'the trait to be taken away',
            lambda: not self.has_trait(),
            _SECONDS,
            every=1,
        )
        self.assertNoValidHost(self.boot_flavor(flavor, host=base.HARDENED))
        # A guest without tags still starts there.
        untagged = self.boot(host=base.HARDENED)
        self.assertActive(untagged, base.HARDENED)
        running = self.api.compute.get_server(server.id)
        self.assertEqual('ACTIVE', running.status)
        self.assertNotIn(
            'isolation_reverify',
            [event['event'] for event in self.guests.events(server)],
        )

        self.give_right()
        self.wait_explained(flavor, f'{base.HARDENED}: accepted')
        self.cloud.supervisor.wait(
            'the trait to be offered', self.has_trait, _SECONDS, every=1
        )
        self.assertActive(
            self.boot_flavor(flavor, host=base.HARDENED), base.HARDENED
        )
        self.assertEqual(
            'ACTIVE', self.api.compute.get_server(server.id).status
        )
