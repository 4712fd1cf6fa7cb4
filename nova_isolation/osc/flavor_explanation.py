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

"""The command that says where guests of a flavor could run."""

import argparse
from collections.abc import Mapping
import typing

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.osc import columns
from nova_isolation.osc import command
from nova_isolation.osc import errors
from nova_isolation.osc import progress
from nova_isolation.osc import traits_only
from nova_isolation.osc import wanted


class ShowFlavorIsolation(command.ShowOne):
    """Show where guests of a flavor could run, and why not elsewhere

    For each compute host the scheduler's own decision: accepted, or every
    requirement that is not met, with what was found, the reason code and what
    to do. With --profile or --property: what would be if the flavor had these
    extra specs as well; without a flavor, if a new one had them. Nothing is
    written.

    The exit code is 1 where no host could run a guest now, and 2 where this
    cannot be told. If the service isolation is away, the traits in placement
    tell which hosts cannot; whether the others would do is not known then.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'flavor',
            metavar='<flavor>',
            nargs='?',
            help='Flavor to explain (name or ID)',
        )
        wanted.add_arguments(parser)
        parser.add_argument(
            '--refused-only',
            action='store_true',
            help='Leave out the hosts that are accepted',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        """See the base class."""
        specs = wanted.extra_specs(parsed_args, self.library())
        if not specs and parsed_args.flavor is None:
            raise errors.Failure(
                'Nothing to explain: give a flavor, --profile or --property.'
            )
        if specs and parsed_args.flavor is not None:
            flavor = self.nova.flavor(parsed_args.flavor)
            specs = {**self.nova.extra_specs(flavor), **specs}
        try:
            return self._shown(self._explanation(parsed_args, specs))
        except errors.ServiceAway as away:
            self.status = command.CANNOT
            self.say(
                f'{away}\nThe traits in placement tell which hosts cannot '
                'run the guest. Whether the others can is not known.'
            )
            if not specs:
                specs = self.nova.extra_specs(
                    self.nova.flavor(parsed_args.flavor)
                )
            return self._by_traits(specs)

    def _explanation(
        self, parsed_args: argparse.Namespace, specs: Mapping[str, str]
    ) -> dict[str, typing.Any]:
        count = progress.counter('hosts', self.app.stderr)
        if specs:
            return self.service.what_if(specs, parsed_args.refused_only, count)
        return self.service.explain(
            parsed_args.flavor, parsed_args.refused_only, count
        )

    def _shown(
        self, explanation: Mapping[str, typing.Any]
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        complete = self.is_complete()
        current = self.is_current(explanation)
        if not current:
            self.status = command.CANNOT
        elif not explanation['usable']:
            self.status = command.NO if complete else command.CANNOT
        if not explanation['extra_specs']:
            self.say(
                'The flavor has no extra specs of isolation, so isolation '
                'refuses it nowhere.'
            )
        for key, meant in (explanation.get('near_misses') or {}).items():
            self.say(
                f'{key} is no extra spec of nova-isolation and is not '
                f'enforced. Is {meant} meant?'
            )
        counts = explanation['counts']
        shown = {
            'usable': explanation['usable'],
            'hosts_total': counts.get('hosts'),
            'hosts_accepted': counts.get('accepted'),
            'hosts_usable': counts.get('usable'),
            'hosts_refused': counts.get('refused'),
            'refused_by_code': columns.Nested(counts.get('by_code')),
            'flavor': explanation.get('flavor'),
            'mode': explanation.get('mode'),
            'extra_specs': columns.ExtraSpecs(explanation['extra_specs']),
            'near_misses': columns.ExtraSpecs(explanation.get('near_misses')),
            'hosts': columns.Answers(explanation['hosts']),
        }
        return self.dict2columns(shown)

    def _by_traits(
        self, specs: Mapping[str, str]
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        parsed = requirements.parse(specs, registry.get().vocabulary)
        sight = traits_only.look(
            self.nova, self.app.client_manager.sdk_connection.placement
        )
        told = [sight.lacking(host, parsed.items) for host in sight.hosts]
        return self.dict2columns(
            {
                'usable': None,
                'hosts_total': len(sight.hosts),
                'hosts_that_cannot': sum(bool(lacking) for lacking in told),
                'extra_specs': columns.ExtraSpecs(wanted.ours(specs)),
                'problems': columns.Nested([str(p) for p in parsed.problems]),
                'not_told_by_traits': columns.Nested(
                    [
                        f'{item.key}={item.value}'
                        for item in parsed.items
                        if not traits_only.required(item)
                    ]
                ),
                'hosts': columns.Lacking(
                    [
                        {
                            'host': host.host,
                            'state': host.state,
                            'lacking': lacking,
                        }
                        for host, lacking in zip(
                            sight.hosts, told, strict=True
                        )
                    ]
                ),
            }
        )
