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

"""The extra specs that somebody gives to a command: by profile, by name."""

import argparse
from collections.abc import Mapping

from osc_lib.cli import parseractions

from nova_isolation.mechanisms import registry
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary
from nova_isolation.osc import errors
from nova_isolation.profiles import library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile`` and ``--property``."""
    parser.add_argument(
        '--profile',
        metavar='<profile>',
        action='append',
        default=[],
        dest='profiles',
        help=(
            'Profile whose extra specs are meant (repeat option for several '
            'profiles); see "openstack isolation profile list"'
        ),
    )
    parser.add_argument(
        '--property',
        metavar='<key=value>',
        action=parseractions.KeyValueAction,
        default={},
        dest='properties',
        help=(
            'Extra spec, for example isolation:svirt=selinux (repeat option '
            'for several extra specs)'
        ),
    )


def extra_specs(
    parsed_args: argparse.Namespace, profiles: library.Library
) -> dict[str, str]:
    """Return the extra specs that were given.

    :raises nova_isolation.profiles.profile.ProfileError: a profile is not
        there, or not valid
    :raises nova_isolation.osc.errors.Failure: two sources differ, or a key is
        not of isolation
    """
    result: dict[str, str] = {}
    origin: dict[str, str] = {}
    given = [
        (f'the profile {name}', profiles.load(name).extra_specs)
        for name in parsed_args.profiles
    ]
    given.append(('--property', parsed_args.properties or {}))
    for source, specs in given:
        for key, value in specs.items():
            if not vocabulary.is_ours(key):
                raise errors.Failure(
                    f'{key!r} is no extra spec of isolation: it does not '
                    f'begin with {vocabulary.NAMESPACE!r}. Set other extra '
                    'specs with "openstack flavor set".'
                )
            if result.setdefault(key, value) != value:
                raise errors.Failure(
                    f'{origin[key]} has {key}={result[key]}, and {source} has '
                    f'{key}={value}. Copy a profile and change it (see '
                    '"openstack isolation profile show --help"), or leave '
                    'one out.'
                )
            origin.setdefault(key, source)
    return result


def ours(specs: Mapping[str, str]) -> dict[str, str]:
    """Return the extra specs of isolation among those of a flavor."""
    return {key: specs[key] for key in sorted(specs) if is_ours(key)}


def is_ours(key: str) -> bool:
    """Return whether a key of a flavor is meant for isolation.

    Keys without the namespace (``isolation_svirt``) count, so that they can
    be removed.
    """
    return (
        vocabulary.is_ours(key)
        or registry.get().vocabulary.near_miss(key) is not None
    )


def check(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Check that a change makes no flavor that every host refuses.

    Nova's API checks one key at a time, so it does not see conflicts.

    :param before: the extra specs of the flavor
    :param after: what they would be
    :raises nova_isolation.osc.errors.Failure: the change brings a problem that
        was not there before
    """
    known = registry.get().vocabulary
    old = set(requirements.parse(before, known).problems)
    new = [
        problem
        for problem in requirements.parse(after, known).problems
        if problem not in old
    ]
    if new:
        raise errors.Failure(
            'Every host would refuse such a flavor, so nothing was written: '
            + '; '.join(map(str, new))
        )
