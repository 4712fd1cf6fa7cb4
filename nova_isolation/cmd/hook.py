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

"""nova-isolation-hook: the second line, between libvirt and a guest.

Puts the hook where libvirt finds it, or takes it away. The hook refuses to
start a guest whose XML does not fit the isolation: extra specs that Nova wrote
into it. It needs neither Nova nor its configuration.
"""

import argparse

from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from nova_isolation.hook import trial

_RELOAD = (
    'Reload libvirt once (systemctl reload libvirtd, or virtqemud): it looks '
    'for hooks when it starts.'
)


def main(arguments: list[str] | None = None) -> int:
    """The command.

    :param arguments: in place of those of the command line
    :returns: 0; 1 where the hook is not there; 2 where it is not as it should
        be, or cannot be put in its place
    """
    parser = argparse.ArgumentParser(
        prog='nova-isolation-hook', description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, run, help_ in (
        ('install', _install, 'put the hook in its place, or mend it'),
        ('remove', _remove, 'take it away'),
        ('status', _status, 'say whether it is there and judges'),
    ):
        commands.add_parser(name, help=help_).set_defaults(run=run)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(script.Script()))
    except (script.HookError, selinux_label.LabelError) as error:
        print(error)
        return 2


def _install(file: script.Script) -> int:
    fresh = file.found() is None
    print(
        f'{file.path}: {"installed" if file.install() else "is there already"}'
    )
    if fresh:
        others = file.others()
        print(
            f'libvirt runs it from now on if it already runs {others[0]}. If '
            f'not: {_RELOAD}'
            if others
            else _RELOAD
        )
    return _try(file)


def _remove(file: script.Script) -> int:
    print(f'{file.path}: {"removed" if file.remove() else "is not there"}')
    return 0


def _status(file: script.Script) -> int:
    if file.found() is None:
        print(f'{file.path}: is not there')
        return 1
    if not file.is_current():
        print(
            f'{file.path}: is not as this installation writes it. Run '
            'nova-isolation-hook install.'
        )
        return 2
    file.check()
    print(f'{file.path}: is there')
    return _try(file)


def _try(file: script.Script) -> int:
    tried = trial.run(file.path)
    if tried.fault:
        print(f'It does not judge: {tried.fault}')
        return 2
    print('A trial run lets an untagged guest start and refuses a tagged one.')
    if tried.untried:
        print(f'It was not run as AppArmor confines libvirt: {tried.untried}')
    return 0
