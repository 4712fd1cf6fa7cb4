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

"""Commands about compute hosts."""

import argparse
import typing

from nova_isolation.model import traits
from nova_isolation.osc import columns
from nova_isolation.osc import command
from nova_isolation.osc import errors
from nova_isolation.osc import progress
from nova_isolation.osc import traits_only

_BY_TRAITS = (
    'Below is what the traits in placement tell. They have no age: a host '
    'that is down keeps them.'
)


class ListIsolationHost(command.Lister):
    """List compute hosts with what they offer and what they refuse

    "Offers" are values of extra specs that the host meets now, "Refuses" the
    reason codes of those that it does not meet. If the service isolation is
    away, the list has the traits in placement in their place, and the exit
    code is 2.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long',
            action='store_true',
            help='List additional fields',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Iterable[typing.Any]]:
        """See the base class."""
        try:
            hosts = self.service.hosts(
                progress.counter('hosts', self.app.stderr)
            )
        except errors.ServiceAway as away:
            self.status = command.CANNOT
            self.say(f'{away}\n{_BY_TRAITS}')
            return self._by_traits()
        if not self.is_complete():
            self.status = command.CANNOT
        names = ['Host', 'State', 'Mode', 'Fresh', 'Age', 'Offers', 'Refuses']
        if parsed_args.long:
            names += [
                'UUID', 'Cell', 'Schema', 'Measured At', 'Traits',
                'Attestation', 'Violations',
            ]  # fmt: skip
        return names, (_row(host)[: len(names)] for host in hosts)

    def _by_traits(
        self,
    ) -> tuple[typing.Sequence[str], typing.Iterable[typing.Any]]:
        sight = traits_only.look(
            self.nova, self.app.client_manager.sdk_connection.placement
        )
        return ('Host', 'State', 'Guarded', 'Traits'), [
            (
                host.host,
                columns.State(host.state),
                traits.GUARDED in sight.of(host),
                columns.Traits(sorted(sight.of(host))),
            )
            for host in sight.hosts
        ]


class ShowIsolationHost(command.ShowOne):
    """Show what a compute host offers, refuses and has measured

    If the service isolation is away, the traits of the host in placement are
    shown, and the exit code is 2.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'host',
            metavar='<host>',
            help='Host to show (name of its compute service)',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        """See the base class."""
        try:
            host = self.service.host(parsed_args.host)
        except errors.ServiceAway as away:
            self.status = command.CANNOT
            self.say(f'{away}\n{_BY_TRAITS}')
            return self._by_traits(parsed_args.host)
        kinds = {'state': columns.State, 'refuses': columns.Refusals}
        return self.dict2columns(
            {
                key: kinds.get(key, columns.Nested)(value)
                for key, value in host.items()
            }
        )

    def _by_traits(
        self, name: str
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        sight = traits_only.look(
            self.nova, self.app.client_manager.sdk_connection.placement
        )
        for host in sight.hosts:
            if host.host == name:
                has = sorted(sight.of(host))
                return self.dict2columns(
                    {
                        'host': host.host,
                        'uuid': host.uuid,
                        'state': columns.State(host.state),
                        'guarded': traits.GUARDED in has,
                        'traits': columns.Traits(has),
                    }
                )
        raise errors.Failure(f'Nova knows no compute host {name!r}.')


def _row(host: dict[str, typing.Any]) -> list[typing.Any]:
    return [
        host.get('host'),
        columns.State(host.get('state')),
        host.get('mode'),
        host.get('fresh'),
        host.get('age_seconds'),
        columns.Offers(host.get('offers')),
        columns.Refuses(host.get('refuses')),
        host.get('uuid'),
        host.get('cell'),
        host.get('schema'),
        host.get('measured_at'),
        columns.Traits(host.get('traits')),
        columns.Nested(host.get('attestation')),
        columns.Nested(host.get('violations')),
    ]
