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

"""Commands that tag flavors."""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping

from nova_isolation.osc import command
from nova_isolation.osc import errors
from nova_isolation.osc import nova_api
from nova_isolation.osc import wanted


class SetFlavorIsolation(command.Command):
    """Ask for isolation in a flavor

    Sets extra specs of the namespace "isolation:", by a profile, by name, or
    both, in one request that Nova validates: either all of them are written or
    none. Nothing is written that every host would refuse. The change is for
    servers to come: a server keeps the extra specs that its flavor had when it
    was created or last resized.

    See first what would be: "openstack flavor isolation show" takes the same
    options and writes nothing.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        _add_flavor(parser)
        wanted.add_arguments(parser)
        parser.add_argument(
            '--no-property',
            action='store_true',
            help=(
                'Remove all other extra specs of isolation from the flavor, '
                'after the given ones are written'
            ),
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See the base class."""
        specs = wanted.extra_specs(parsed_args, self.library())
        if not specs:
            raise errors.Failure(
                'Nothing to set: give --profile or --property. "openstack '
                'flavor isolation unset --all" removes all.'
            )
        flavor = self.nova.flavor(parsed_args.flavor)
        before = self.nova.extra_specs(flavor)
        others = set()
        if parsed_args.no_property:
            others = set(wanted.ours(before)) - set(specs)
        kept = {k: v for k, v in before.items() if k not in others}
        wanted.check(before, {**kept, **specs})
        try:
            self.nova.add(flavor, specs)
        except nova_api.Unwritten as error:
            raise errors.Failure(
                f'{error} {_what_is_there(self.nova, flavor, before, error)}'
            ) from error
        _remove(self.nova, flavor, before, others)


class UnsetFlavorIsolation(command.Command):
    """Remove isolation from a flavor

    Removes extra specs of the namespace "isolation:", also those with a typing
    error in the key. The change is for servers to come.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        _add_flavor(parser)
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument(
            '--property',
            metavar='<key>',
            action='append',
            default=[],
            dest='properties',
            help=(
                'Extra spec to remove, for example isolation:svirt (repeat '
                'option for several extra specs)'
            ),
        )
        group.add_argument(
            '--all',
            action='store_true',
            help='Remove all extra specs of isolation',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """See the base class."""
        flavor = self.nova.flavor(parsed_args.flavor)
        before = self.nova.extra_specs(flavor)
        there = wanted.ours(before)
        keys = set(there if parsed_args.all else parsed_args.properties)
        missing = sorted(keys - set(there))
        if missing:
            raise errors.Failure(
                f'The flavor {flavor.name} has no extra spec of isolation '
                f'{", ".join(missing)}; nothing was removed. It has: '
                f'{_listed(there) or "none"}.'
            )
        wanted.check(
            before, {k: v for k, v in before.items() if k not in keys}
        )
        _remove(self.nova, flavor, before, keys)


def _add_flavor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'flavor', metavar='<flavor>', help='Flavor to change (name or ID)'
    )


def _remove(
    api: nova_api.Nova,
    flavor: nova_api.Flavor,
    before: Mapping[str, str],
    keys: Iterable[str],
) -> None:
    """Remove extra specs; Nova's API takes one at a time.

    :raises nova_isolation.osc.errors.Failure: one of them was not removed;
        the text says which were, with their values
    """
    removed: dict[str, str] = {}
    # Backwards, so that a companion (isolation:svirt_type) goes before what
    # it needs (isolation:svirt).
    for key in sorted(keys, reverse=True):
        try:
            api.remove(flavor, key)
        except nova_api.Unwritten as error:
            done = (
                f'Removed before: {_listed(removed)}.'
                if removed
                else 'None was removed before.'
            )
            raise errors.Failure(
                f'{key} was not removed. {error} {done} '
                f'{_what_is_there(api, flavor, before, error)} Repeat the '
                'command to remove the rest.'
            ) from error
        removed[key] = before[key]


def _what_is_there(
    api: nova_api.Nova,
    flavor: nova_api.Flavor,
    before: Mapping[str, str],
    error: nova_api.Unwritten,
) -> str:
    """Say what a flavor has, after a write that failed."""
    try:
        now = api.extra_specs(flavor)
    except Exception as failure:
        was = f'Before, it had: {_listed(wanted.ours(before)) or "none"}.'
        if error.refused:
            return f'Nothing was written. {was}'
        return (
            'Whether it was written is not known, because the flavor '
            f'{flavor.name} cannot be read now ({failure}). {was}'
        )
    if now == before:
        return f'Nothing was written to the flavor {flavor.name}.'
    return (
        f'The flavor {flavor.name} has now: '
        f'{_listed(wanted.ours(now)) or "no extra spec of isolation"}.'
    )


def _listed(specs: Mapping[str, str]) -> str:
    return ' '.join(f'{key}={value}' for key, value in sorted(specs.items()))
