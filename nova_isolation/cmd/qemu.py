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

"""Examine a QEMU as the compute hosts do, or say how to build one that lacks
what a flavor wants to be absent.
"""

import json
import pathlib
import sys
import typing

import nova.conf

from nova_isolation.cloud import flavors
from nova_isolation.cmd import error
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.qemu import build_script
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.mechanisms.qemu import recipe
from nova_isolation.model import printable
from nova_isolation.model import requirements
from nova_isolation.probes import emulator
from nova_isolation.report import asked
from nova_isolation.report import emulator as examination

CONF = nova.conf.CONF

_ABSENT = 'isolation:qemu_absent'

#: The longest line that is printed, in characters.
_MAX_LINE = 4000


def add(subparsers: typing.Any) -> None:
    """Add the commands to those of ``nova-isolation-manage``.

    :param subparsers: as ``argparse`` makes them
    """
    parser = subparsers.add_parser(
        'qemu',
        help='examine a QEMU, or say how to build one without components',
        description=__doc__,
    )
    parser.set_defaults(run=run)
    deeds = parser.add_subparsers(dest='what', required=True)
    one = deeds.add_parser(
        'examine',
        help='say what a QEMU has, lacks, and costs the guests of Nova',
        description='Start the program with a machine that has no devices, '
        'and examine its file.',
    )
    one.add_argument('path', help='the program that libvirt would start')
    _add_format(one)
    one.set_defaults(deed=_examine)
    one = deeds.add_parser(
        'recipe', help='say how to build a QEMU without components'
    )
    wanted = one.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        '--flavor', help=f'name or ID of the flavor with {_ABSENT}'
    )
    wanted.add_argument(
        '--absent', metavar='LIST', help=f'a value of {_ABSENT}'
    )
    one.add_argument(
        '--release',
        choices=tuple(recipe.RELEASES),
        default=tuple(recipe.RELEASES)[-1],
        help='the release of QEMU (default: %(default)s)',
    )
    one.add_argument(
        '--needed-only',
        action='store_true',
        help='build nothing that guests of Nova do not use: half the size',
    )
    one.add_argument(
        '--output',
        metavar='FOLDER',
        type=pathlib.Path,
        help='write a script that builds it, and what the script needs, into '
        'this folder, in place of printing the recipe',
    )
    _add_format(one)
    one.set_defaults(deed=_recipe)


def _add_format(parser: typing.Any) -> None:
    parser.add_argument(
        '--format',
        choices=('text', 'json'),
        default='text',
        help='what is printed (default: %(default)s)',
    )


def run(given: typing.Any) -> int:
    """Carry out a command.

    :param given: the parsed arguments
    :returns: 0
    :raises nova_isolation.cmd.error.CommandError: that cannot be done
    """
    given.deed(given)
    return 0


def _examine(given: typing.Any) -> None:
    try:
        probed = emulator.examine(given.path, CONF.isolation.probe_timeout)
    except (OSError, ValueError) as failure:
        raise error.CommandError(
            f'{given.path} cannot be examined as a QEMU: '
            f'{printable.one_line(str(failure))}'
        ) from failure
    found = examination.of(probed)
    if given.format == 'json':
        json.dump(examination.as_json(found), sys.stdout, indent=2)
        print()
        return
    for line in examination.as_text(found):
        print(printable.one_line(line, _MAX_LINE))


def _recipe(given: typing.Any) -> None:
    wanted = recipe.make(
        _absent(given), given.release, needed_only=given.needed_only
    )
    if given.output is not None:
        _write(build_script.files(wanted), given.output)
        return
    if given.format == 'json':
        json.dump(
            {
                'release': wanted.release,
                'absent': list(wanted.absent),
                'changes': [
                    {'file': one.file, 'sed': one.command}
                    for one in wanted.changes
                ],
                'configure': list(wanted.configure),
                'devices': list(wanted.devices),
            },
            sys.stdout,
            indent=2,
        )
        print()
        return
    for line in recipe.as_text(wanted):
        print(line)


def _absent(given: typing.Any) -> tuple[str, ...]:
    """Return the components that are to be left out."""
    if given.flavor is None:
        specs = {_ABSENT: given.absent}
    else:
        try:
            specs = dict(flavors.find(given.flavor).extra_specs)
        except asked.NoSuchFlavor as missing:
            raise error.CommandError(str(missing)) from missing
        if _ABSENT not in specs:
            raise error.CommandError(
                f'The flavor {given.flavor} has no {_ABSENT}, so any QEMU '
                'will do'
            )
    parsed = requirements.parse(
        {_ABSENT: specs[_ABSENT]}, registry.get().vocabulary
    )
    if parsed.problems:
        raise error.CommandError('; '.join(map(str, parsed.problems)))
    (requirement,) = parsed.items
    return groups.components(requirement.values)


def _write(files: dict[str, str], folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, 'ascii')
    except OSError as failure:
        raise error.CommandError(
            f'The recipe cannot be written: {failure}'
        ) from failure
    print(f'Build it: bash {folder / build_script.SCRIPT} SOURCE FOLDER')
