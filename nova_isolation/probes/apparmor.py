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

"""The state of AppArmor, as the kernel reports it."""

from collections.abc import Callable

_PARAMETERS = '/sys/module/apparmor/parameters'

#: The kernel lets only root read this file (security/apparmor/lsm.c).
MODE = f'{_PARAMETERS}/mode'


def mode(read: Callable[[str], str]) -> str:
    """Return ``enforcing``, ``complain`` or ``disabled``.

    The result is ``complain`` also for the kernel's modes ``kill`` and
    ``unconfined``, because libvirt's profiles are not made for these modes.

    :param read: returns the text of a file
    :raises OSError: the state cannot be read
    """
    try:
        if read(f'{_PARAMETERS}/enabled').strip() != 'Y':
            return 'disabled'
    except FileNotFoundError:
        return 'disabled'
    enforced = read(MODE).strip() == 'enforce'
    return 'enforcing' if enforced else 'complain'


def profiles(read: Callable[[str], str]) -> set[str]:
    """Return the names of the loaded profiles; empty without AppArmor.

    :param read: returns the text of a file
    :raises OSError: the profiles cannot be read
    """
    if mode(read) == 'disabled':
        return set()
    lines = read('/sys/kernel/security/apparmor/profiles').splitlines()
    # Each line has a profile and its mode: "libvirtd (enforce)".
    return {line.rpartition(' ')[0] for line in lines}
