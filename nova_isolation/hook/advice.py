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

"""Advice on a missing program that fits the distribution of the host."""

from collections.abc import Callable
from collections.abc import Mapping
import platform

#: Program -> family of distributions -> the package that has the program.
_PACKAGES: Mapping[str, Mapping[str, str]] = {
    'matchpathcon': {'debian': 'selinux-utils', 'fedora': 'libselinux-utils'},
    'semanage': {
        'debian': 'policycoreutils-python-utils',
        'fedora': 'policycoreutils-python-utils',
    },
    'aa-exec': {'debian': 'apparmor'},
}
_COMMANDS = {'debian': 'apt-get install', 'fedora': 'dnf install'}


def install(
    program: str,
    release: Callable[[], Mapping[str, str]] = (
        platform.freedesktop_os_release
    ),
) -> str:
    """Return how to install a program on this host, as a clause.

    :param program: the name of the program
    :param release: returns os-release(5) of the host
    """
    packages = _PACKAGES[program]
    try:
        found = release()
    except (OSError, ValueError):
        # There is no such file, or it is not UTF-8.
        found = {}
    names = [found.get('ID', ''), *found.get('ID_LIKE', '').split()]
    for name in names:
        # RHEL and its kin say that they are like Fedora or like RHEL.
        family = 'fedora' if name in ('rhel', 'centos') else name
        if family in packages:
            return f'run {_COMMANDS[family]} {packages[family]}'
    return 'install it: ' + ', '.join(
        f'{family.capitalize()} has it in {package}'
        for family, package in packages.items()
    )
