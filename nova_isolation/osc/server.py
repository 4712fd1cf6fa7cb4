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

"""The command about the isolation of one server."""

import argparse
import typing

from oslo_utils import uuidutils

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.osc import columns
from nova_isolation.osc import command
from nova_isolation.osc import errors
from nova_isolation.osc import traits_only
from nova_isolation.osc import wanted

_KINDS = {'extra_specs': columns.ExtraSpecs}


class ShowServerIsolation(command.ShowOne):
    """Show what a server asks for and what was read back from it

    What its flavor asks for, each verification with its time, what was read
    back from the running guest and when, and how its host stands. With --now
    the host examines the guest again first. The owner of a server sees less
    than an admin or an auditor: no host.

    If the service isolation is away, the extra specs of the server are shown
    with what the traits of its host tell, and the exit code is 2.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'server', metavar='<server>', help='Server to show (name or ID)'
        )
        parser.add_argument(
            '--now',
            action='store_true',
            help='Have the host examine the guest again',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        """See the base class."""
        uuid = parsed_args.server
        if not uuidutils.is_uuid_like(uuid):
            uuid = self.nova.server(uuid).id
        try:
            server = self.service.server(uuid, parsed_args.now)
        except errors.ServiceAway as away:
            self.status = command.CANNOT
            self.say(
                f'{away}\nNothing that was read back can be shown. Below is '
                'what Nova and the traits in placement tell; "openstack '
                f'server event list {uuid}" has the results of verifications.'
            )
            return self._by_traits(uuid)
        if not self.is_current(server):
            self.status = command.CANNOT
        return self.dict2columns(
            {
                key: _KINDS.get(key, columns.Nested)(value)
                for key, value in server.items()
            }
        )

    def _by_traits(
        self, uuid: str
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        server = self.nova.server(uuid)
        specs = dict((server.flavor or {}).get('extra_specs') or {})
        parsed = requirements.parse(specs, registry.get().vocabulary)
        shown: dict[str, typing.Any] = {
            'id': server.id,
            'name': server.name,
            'host': server.compute_host,
            'vm_state': server.vm_state,
            'extra_specs': columns.ExtraSpecs(wanted.ours(specs)),
        }
        if server.compute_host:
            sight = traits_only.look(
                self.nova, self.app.client_manager.sdk_connection.placement
            )
            for host in sight.hosts:
                if host.host == server.compute_host:
                    shown['host_state'] = columns.State(host.state)
                    shown['host_lacks_traits_for'] = columns.Sentences(
                        sight.lacking(host, parsed.items)
                    )
        return self.dict2columns(shown)
