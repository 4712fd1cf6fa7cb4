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

"""nova-isolation-hook: install, remove or check the libvirt hook.

The hook is a second check beside the compute driver: it refuses to start a
guest whose XML does not fit the isolation: extra specs that Nova wrote into
it. This program needs neither Nova nor its configuration.
"""

import argparse

from nova_isolation.hook import script
from nova_isolation.hook import selinux_label
from nova_isolation.hook import trial

_RELOAD = (
    'Reload libvirt once (systemctl reload libvirtd, or virtqemud): libvirt '
    'looks for hooks when it starts.'
)


def main(arguments: list[str] | None = None) -> int:
    """The program.

    :param arguments: those of the command line by default
    :returns: the exit status: 0; 1 where the hook is not installed; 2 where
        the hook does not work or cannot be installed
    """
    parser = argparse.ArgumentParser(
        prog='nova-isolation-hook', description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, run, help_ in (
        ('install', _install, 'install the hook, or repair an installed one'),
        ('remove', _remove, 'remove the hook'),
        ('status', _status, 'show whether the hook is installed and works'),
    ):
        commands.add_parser(
            name, help=help_, description=help_.capitalize() + '.'
        ).set_defaults(run=run)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(script.Script()))
    except (script.HookError, selinux_label.LabelError) as error:
        print(error)
        return 2


def _install(file: script.Script) -> int:
    fresh = file.found() is None
    done = 'installed' if file.install() else 'already installed'
    print(f'{file.path}: {done}')
    if fresh:
        others = file.others()
        print(
            f'libvirt runs the hook from now on if it already runs '
            f'{others[0]}. If not: {_RELOAD}'
            if others
            else _RELOAD
        )
    return _try(file)


def _remove(file: script.Script) -> int:
    print(f'{file.path}: {"removed" if file.remove() else "not installed"}')
    return 0


def _status(file: script.Script) -> int:
    if file.found() is None:
        print(f'{file.path}: not installed')
        return 1
    if not file.is_current():
        print(
            f'{file.path}: the hook is not as this installation writes it. '
            'Run nova-isolation-hook install.'
        )
        return 2
    file.check()
    print(f'{file.path}: installed')
    return _try(file)


def _try(file: script.Script) -> int:
    tried = trial.run(file.path)
    if tried.fault:
        print(f'The hook does not work: {tried.fault}')
        return 2
    print('A trial run lets an untagged guest start and refuses a tagged one.')
    if tried.untried:
        print(
            'The trial run was not confined by AppArmor, as libvirt is: '
            f'{tried.untried}'
        )
    return 0
