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
import re

#: The file from which libvirt makes the profile of each guest of QEMU. Its
#: path is compiled into libvirt (virt-aa-helper).
TEMPLATE = '/etc/apparmor.d/libvirt/TEMPLATE.qemu'

_PARAMETERS = '/sys/module/apparmor/parameters'

#: The kernel lets only root read this file (security/apparmor/lsm.c).
MODE = f'{_PARAMETERS}/mode'

_HEADER = re.compile(r'^profile LIBVIRT_TEMPLATE\b([^{]*)\{', re.MULTILINE)

#: The flags of a profile that is not, or not only, enforced (apparmor.d(5)).
_NOT_ENFORCING = frozenset(
    {'complain', 'kill', 'unconfined', 'prompt', 'default_allow'}
)


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


def guest_mode(read: Callable[[str], str]) -> str:
    """Return the mode of the profiles that libvirt makes for guests.

    That is the mode of the kernel, or ``complain`` where the template of
    these profiles has a flag that makes each of them do something else than
    enforce. Where libvirt has no template, the mode of the kernel is the
    answer.

    :param read: returns the text of a file, of the template that libvirt sees
    :returns: as :func:`mode`
    :raises OSError, ValueError: the state cannot be read
    """
    kernel = mode(read)
    if kernel == 'disabled':
        return kernel
    try:
        text = read(TEMPLATE)
    except FileNotFoundError:
        return kernel
    # virt-aa-helper looks for the words at the beginning of a line.
    header = _HEADER.search(text)
    if header is None:
        raise ValueError(f'{TEMPLATE} has no profile LIBVIRT_TEMPLATE')
    flags = set(re.findall('[a-z_]+', header[1]))
    return 'complain' if flags & _NOT_ENFORCING else kernel


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
