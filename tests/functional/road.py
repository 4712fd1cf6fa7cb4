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

"""The base of the tests of the roads to a running guest."""

import typing
from unittest import mock

from nova.tests.fixtures import libvirt as fakelibvirt

from nova import objects
from nova_isolation.virt import exception
from tests.functional import base
from tests.functional import fixtures

PAUSED = fakelibvirt.VIR_DOMAIN_PAUSED

#: What the kernel and libvirt are asked of a guest that is verified.
QUESTIONS = ('security_label', 'process_label', 'seccomp', 'executable')

#: The tags of a flavor that asks for a label.
TAGS = {'svirt': 'selinux', 'svirt_type': 'svirt_t'}

NOT_ENFORCING = 'isolation.svirt.not_enforcing'
NO_SANDBOX = 'isolation.qemu.no_sandbox'


class TestCase(base.TestCase):
    """Casts are casts, as in a cloud: what fails is told by Nova alone."""

    CAST_AS_CALL = False

    def act(
        self,
        server: dict[str, typing.Any],
        action: str,
        argument: object = None,
        microversion: str = 'latest',
    ) -> dict[str, typing.Any]:
        """Do something to a server and wait until Nova is through with it.

        :returns: the server
        """
        with mock.patch.object(self.api, 'microversion', microversion):
            self.api.post_server_action(server['id'], {action: argument})
        return self.settle(server)

    def settle(self, server: dict[str, typing.Any]) -> dict[str, typing.Any]:
        """Wait until Nova is through with the newest action."""

        def check() -> None:
            found = self.api.get_server(server['id'])
            self.assertIsNone(found['OS-EXT-STS:task_state'])
            newest = self.api.get_instance_actions(server['id'])[0]
            details = self.api.get_instance_action_details(
                server['id'], newest['request_id']
            )
            events = [e for e in details['events'] if not is_ours(e)]
            self.assertTrue(events, newest)
            for event in events:
                self.assertIsNotNone(event['finish_time'], event)

        self._wait_for_assert(check, max_retries=400)
        return self.api.get_server(server['id'])

    def action(self, server: dict[str, typing.Any]) -> dict[str, typing.Any]:
        """The newest action and its events."""
        newest = self.api.get_instance_actions(server['id'])[0]
        return self.api.get_instance_action_details(
            server['id'], newest['request_id']
        )

    def calls(self, host: str) -> list[str]:
        """What was done to guests on a host, without what it took to look."""
        return [c for c in self.machines[host].calls if c != 'domain_xml']

    def forget(self) -> None:
        """What was done until now."""
        for machine in self.machines.values():
            machine.calls.clear()

    def faults(self, server: dict[str, typing.Any]) -> list[str]:
        """The faults, the newest first."""
        found = objects.InstanceFaultList.get_by_instance_uuids(
            self.context, [server['id']]
        )
        return [fault.message for fault in found]


def is_ours(event: dict[str, typing.Any]) -> bool:
    """Whether an instance action event is one of ours."""
    return event['event'].startswith('isolation')
