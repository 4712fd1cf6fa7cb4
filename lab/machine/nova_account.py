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

"""The user that nova-compute runs as, and what that user may do as root.

All compute hosts of the lab have it, as a distribution's packages make it.
"""

import dataclasses

from lab.run import errors

USER = 'nova'
#: The user that Debian's libvirt runs QEMU as; its package makes that user.
EMULATOR_USER = 'libvirt-qemu'
#: The group that may use libvirt's socket.
LIBVIRT_GROUP = 'libvirt'
#: Debian has reserved this number, for the user and the group.
_ID = 64060
_LAST_ID = 64999
#: Links to these programs of Nova's venv are on sudo's path, and on that of
#: nova-rootwrap (exec_dirs), as the programs of a distribution's Nova are.
PROGRAMS = ('nova-rootwrap', 'privsep-helper')
LINKS = '/usr/local/sbin'
SUDOERS_FILE = '/etc/sudoers.d/nova'
#: sudo ignores a file that others may write, and complains if others read it.
SUDOERS_MODE = 0o440
SUDOERS = (
    f'Defaults:{USER} !requiretty\n'
    f'{USER} ALL = (root) NOPASSWD: '
    f'{LINKS}/nova-rootwrap /etc/nova/rootwrap.conf *\n'
)


@dataclasses.dataclass(frozen=True)
class Account:
    """The user in the files of a host."""

    #: The text of /etc/passwd and of /etc/group.
    passwd: str
    group: str
    #: The numbers of the user and its group.
    uid: int
    gid: int


def add(passwd: str, group: str) -> Account:
    """Add the user, unless it is there, and add it to libvirt's group.

    :param passwd: the text of /etc/passwd
    :param group: the text of /etc/group
    :raises LabError: when the packages of libvirt have not made their user
        and group
    """
    users, groups = _entries(passwd), _entries(group)
    if EMULATOR_USER not in users or LIBVIRT_GROUP not in groups:
        raise errors.LabError(
            f'wanted the user {EMULATOR_USER} and the group {LIBVIRT_GROUP}, '
            'which the package libvirt-daemon-system makes: install it'
        )
    if USER in users:
        uid, gid = int(users[USER][2]), int(users[USER][3])
    else:
        uid = gid = _free(users, groups)
        # No password ("*"), and so no line in /etc/shadow is looked for.
        passwd += f'{USER}:*:{uid}:{gid}::/var/lib/nova:/bin/sh\n'
        group += f'{USER}:*:{gid}:\n'
    return Account(passwd, _with_member(group), uid, gid)


def _entries(text: str) -> dict[str, list[str]]:
    rows = [line.split(':') for line in text.splitlines() if ':' in line]
    return {row[0]: row for row in rows}


def _free(users: dict[str, list[str]], groups: dict[str, list[str]]) -> int:
    used = {row[2] for row in (*users.values(), *groups.values())}
    for number in range(_ID, _LAST_ID):
        if str(number) not in used:
            return number
    raise errors.LabError(
        f'no number from {_ID} to {_LAST_ID} is free for the user {USER}'
    )


def _with_member(text: str) -> str:
    lines = []
    for line in text.splitlines():
        name, *fields = line.split(':')
        if name == LIBVIRT_GROUP:
            members = dict.fromkeys([*fields.pop().split(','), USER])
            fields.append(','.join(filter(None, members)))
        lines.append(':'.join([name, *fields]))
    return '\n'.join(lines) + '\n'
