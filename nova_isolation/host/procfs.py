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

"""What a mounted /proc shows, and what it hides.

``/proc`` is a parameter everywhere, because that of the host may be mounted
elsewhere in a container.
"""

from collections.abc import Iterator
import os
import re

#: The folder of the processes where no other is told.
PROC = '/proc'

_MOUNTS = '/proc/self/mountinfo'

#: PROC_PID_INIT_INO of the kernel (include/linux/proc_ns.h): the PID
#: namespace in which the system was booted.
_INITIAL = 'pid:[4026531836]'

#: The values of the option hidepid that hide nothing (proc(5)).
_OPEN = ('', '0', 'off')

#: No command line, status or label is longer, in bytes.
_MAX = 1 << 20


def read(path: str) -> str:
    """Return the text of a file below /proc.

    :raises OSError: the file cannot be read
    """
    with open(path, 'rb') as stream:
        return stream.read(_MAX).decode(errors='surrogateescape')


def is_proc(path: str) -> bool:
    """Return whether a file is in a mounted /proc, and not in another folder.

    :param path: the path of an existing file or folder
    :raises OSError: it does not exist
    """
    device = os.stat(path).st_dev
    number = f'{os.major(device)}:{os.minor(device)}'
    return any(
        mounted == number and kind == 'proc'
        for mounted, _, kind, _ in _mounts()
    )


def hides(proc: str = PROC) -> bool:
    """Return whether a /proc hides the processes of other users.

    :param proc: where it is mounted
    :raises OSError: the mounts cannot be read
    """
    proc = os.path.realpath(proc)
    result = False
    for _, point, kind, options in _mounts():
        if point == proc and kind == 'proc':
            # The last mount on a folder is the one that is seen.
            found = re.search(r'(?:^|,)hidepid=([a-z0-9]+)', options)
            result = found is not None and found[1] not in _OPEN
    return result


def is_initial_pid_namespace() -> bool:
    """Return whether this process is in the first PID namespace."""
    try:
        return os.readlink(f'{PROC}/self/ns/pid') == _INITIAL
    except OSError:
        return False


def _mounts() -> Iterator[tuple[str, str, str, str]]:
    """Device, folder, type and the file system's options of each mount.

    See proc_pid_mountinfo(5). A folder is written with octal escapes.
    """
    for line in read(_MOUNTS).splitlines():
        first, _, last = line.partition(' - ')
        before, after = first.split(' '), last.split(' ')
        if len(before) > 4 and len(after) > 2:
            yield before[2], _unescaped(before[4]), after[0], after[2]


def _unescaped(text: str) -> str:
    return re.sub(r'\\([0-7]{3})', lambda m: chr(int(m[1], 8)), text)
