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

"""The state of SELinux, as the kernel tells it in selinuxfs.

The configuration in /etc/selinux is what somebody asked for; it is not read.
"""

from collections.abc import Callable
import errno
import re

#: A probe: takes a reader of files, gives a word.
Probe = Callable[[Callable[[str], str]], str]

#: The same as in libselinux's selinux_init_load_policy(3).
_FS = '/sys/fs/selinux'

#: Bit of the last field of the answer of _FS/access
#: (AVD_FLAGS_PERMISSIVE, security/selinux/include/security.h).
_PERMISSIVE = 1

_SENSITIVITY = re.compile('s[0-9]+')


def mode(read: Callable[[str], str]) -> str:
    """``enforcing``, ``permissive`` or ``disabled``.

    :param read: gives the text of a file
    :raises OSError, ValueError: the kernel's answer cannot be had
    """
    try:
        text = read(f'{_FS}/enforce').strip()
    except FileNotFoundError:
        return 'disabled'
    words = {'0': 'permissive', '1': 'enforcing'}
    if text not in words:
        raise ValueError(f'{_FS}/enforce holds {text!r}')
    return words[text]


def policy(read: Callable[[str], str]) -> str:
    """``mls``, ``mcs`` or ``plain``: what the levels of the policy are for.

    An MCS policy is one with multi-level security compiled in and a single
    sensitivity, s0. An MLS policy has several, and the kernel itself then
    runs at the highest (mls_systemhigh in refpolicy's kernel.te).

    :param read: gives the text of a file
    :raises OSError, ValueError: the kernel's answer cannot be had
    """
    text = read(f'{_FS}/mls').strip()
    if text == '0':
        return 'plain'
    if text != '1':
        raise ValueError(f'{_FS}/mls holds {text!r}')
    context = read(f'{_FS}/initial_contexts/kernel').strip('\0\n ')
    parts = context.split(':', 3)
    if len(parts) != 4:
        raise ValueError(f'the context of the kernel is {context!r}')
    highest = parts[3].split('-')[-1].split(':')[0]
    if not _SENSITIVITY.fullmatch(highest):
        raise ValueError(f'the context of the kernel is {context!r}')
    return 'mcs' if highest == 's0' else 'mls'


def enforced(
    context: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> bool:
    """Whether a process of this context is held to the policy.

    Its type may be permissive by itself (``semanage permissive``), whatever
    the mode of the system. The kernel tells it with every access decision;
    this one, of the process to itself, is as good as any
    (sel_write_access in security/selinux/selinuxfs.c).

    :param context: of a process, ``user:role:type:level``
    :param read: gives the text of a file
    :param ask: gives the answer of a file to a question
    :returns: False also where the policy has no such context
    :raises OSError, ValueError: the kernel's answer cannot be had
    """
    number = int(read(f'{_FS}/class/process/index'))
    try:
        answer = ask(f'{_FS}/access', f'{context} {context} {number}')
    except OSError as error:
        # The policy has no such type, or forbids it that role.
        if error.errno == errno.EINVAL:
            return False
        raise
    # allowed decided auditallow auditdeny seqno flags
    fields = answer.strip('\0\n ').split()
    if len(fields) != 6:
        raise ValueError(f'{_FS}/access answers {answer!r}')
    return not int(fields[5], 16) & _PERMISSIVE
