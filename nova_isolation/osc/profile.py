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

"""Commands about profiles. They ask nobody."""

import argparse
import dataclasses
import typing

from nova_isolation.osc import columns
from nova_isolation.osc import command
from nova_isolation.profiles import profile


class ListIsolationProfile(command.Lister):
    """List isolation profiles

    The profiles of nova-isolation, and your own: a YAML file for each in
    ~/.config/openstack/isolation-profiles, in
    /etc/openstack/isolation-profiles, or in the folder of
    --os-isolation-profiles. A file that is not valid is named, and the exit
    code is then 2.
    """

    needs_cloud = False

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Iterable[typing.Any]]:
        """See the base class."""
        profiles = self.library()
        rows = []
        for name in profiles.names():
            try:
                one = profiles.load(name)
            except profile.ProfileError as error:
                self.status = command.CANNOT
                self.say(str(error))
                continue
            rows.append((one.name, one.summary, one.source))
        return ('Name', 'Summary', 'Source'), rows


class ShowIsolationProfile(command.ShowOne):
    """Show what a profile asks for, what it buys and against whom

    "lacks" says what nobody should expect of it. The output in YAML is a
    profile again, which you may change and keep as one of your own:

    openstack isolation profile show hardened -f yaml -c summary -c buys -c
    lacks -c extra_specs
    """

    needs_cloud = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See the base class."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'profile', metavar='<profile>', help='Profile to show (name)'
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[typing.Sequence[str], typing.Sequence[typing.Any]]:
        """See the base class."""
        one = self.library().load(parsed_args.profile)
        return self.dict2columns(
            {
                'name': one.name,
                'summary': one.summary,
                'buys': columns.Benefits(
                    [dataclasses.asdict(benefit) for benefit in one.buys]
                ),
                'lacks': columns.Sentences(list(one.lacks)),
                'extra_specs': columns.ExtraSpecs(dict(one.extra_specs)),
                'source': one.source,
            }
        )
