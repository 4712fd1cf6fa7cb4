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

"""A program that starts another in another root folder, without rights.

It is run by its path, as root: ``enter.py ROOT USER GROUP PROGRAM
[ARGUMENT...]``. Where the root folder is ``/proc/PID/root``, the program sees
the mount namespace of that process (proc_pid_root(5)).
"""

import ctypes
import os
import resource
import sys

#: prctl(2): no program that is started has more rights than its user. Who
#: can choose the folder could put a setuid program with files of its own
#: there.
_NO_NEW_PRIVS = 38

#: As libvirt starts QEMU, with the words of the dynamic loader.
_ENVIRONMENT = {
    'LC_ALL': 'C',
    'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'LD_DEBUG': 'files',
}


def main(root: str, user: int, group: int, command: list[str]) -> None:
    """Start a program in the place of this one. Returns only by an error.

    :param root: the root folder
    :param user: the user to become; not root
    :param group: the group to become; not root's
    :param command: the program, by its path below the root folder, and its
        arguments
    :raises OSError: a right is missing, or the program cannot be started
    :raises ValueError: the user is root
    """
    if user <= 0 or group <= 0:
        raise ValueError('the program would keep the rights of root')
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), 'prctl')
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chroot(root)
    os.chdir('/')
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    os.execve(command[0], command, _ENVIRONMENT)  # noqa: S606  # nosec B606


if __name__ == '__main__':
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    except OSError as error:
        sys.exit(f'{" ".join(sys.argv[1:5])}: {error}')
