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

"""Paths and programs below another root folder than that of this process."""

import errno
import os
import sys

from nova_isolation.probes import enter

#: How many links the kernel follows (MAXSYMLINKS, include/linux/namei.h).
_LINKS = 40


def path(root: str, name: str) -> str:
    """Return where a file of another root folder is for this process.

    Links lead to what they lead to there: an absolute one begins at that
    root folder.

    :param root: the root folder, for example ``/proc/1/root``
    :param name: an absolute path, as it is there; it need not exist
    :returns: the path, with no link below the root folder
    :raises OSError: there are too many links, or one cannot be read
    """
    left = name.split('/')[::-1]
    found: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part in ('', '.'):
            continue
        if part == '..':
            del found[-1:]
            continue
        here = '/'.join((root, *found, part))
        if not os.path.islink(here):
            found.append(part)
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        target = os.readlink(here)
        if target.startswith('/'):
            found.clear()
        left += target.split('/')[::-1]
    return '/'.join((root, *found))


def launcher(root: str, user: int, group: int) -> tuple[str, ...]:
    """Return a command that starts a program there in its own place.

    The program gets no right of root's, also not by a setuid bit.

    :param root: the root folder
    :param user: the user as whom the program runs; not root
    :param group: the group, likewise
    """
    return (
        sys.executable, '-I', '-S', enter.__file__,
        root, str(int(user)), str(int(group)),
    )  # fmt: skip
