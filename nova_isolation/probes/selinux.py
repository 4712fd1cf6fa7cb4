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
import os
import re

#: A probe: takes a reader of files, gives a word.
Probe = Callable[[Callable[[str], str]], str]

#: The same as in libselinux's selinux_init_load_policy(3).
_FS = '/sys/fs/selinux'

#: Bit of the last field of the answer of _FS/access
#: (AVD_FLAGS_PERMISSIVE, security/selinux/include/security.h).
_PERMISSIVE = 1

_SENSITIVITY = re.compile('s[0-9]+')

#: Bytes. The kernel's limit for such answers (SIMPLE_TRANSACTION_LIMIT).
_ANSWER = 4096


def ask(path: str, question: str) -> str:
    """The answer of a file of selinuxfs to a question.

    :raises OSError: there is none
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(descriptor, question.encode())
        return os.read(descriptor, _ANSWER).decode('ascii')
    finally:
        os.close(descriptor)


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
    try:
        _, flags = _decision(context, context, 'process', read, ask)
    except OSError as error:
        # The policy has no such type, or forbids it that role.
        if error.errno == errno.EINVAL:
            return False
        raise
    return not flags & _PERMISSIVE


def allows(
    source: str,
    target: str,
    kind: str,
    permission: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> bool:
    """Whether the policy has this permission, in whatever mode it is.

    :param source: the context of who does it
    :param target: the context of what it is done to
    :param kind: the class of that, such as ``file``
    :param permission: one of that class, such as ``execute``
    :param read: gives the text of a file
    :param ask: gives the answer of a file to a question
    :raises OSError, ValueError: the kernel's answer cannot be had
    """
    number = int(read(f'{_FS}/class/{kind}/perms/{permission}'))
    allowed, _ = _decision(source, target, kind, read, ask)
    return bool(allowed & 1 << number - 1)


def domain(
    source: str,
    program: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> str:
    """The context that a process has once it has executed a program.

    :param source: the context that it has before
    :param program: the context of the program's file
    :param read: gives the text of a file
    :param ask: gives the answer of a file to a question
    :raises OSError, ValueError: the kernel's answer cannot be had
    """
    return _answer('create', source, program, 'process', read, ask)


def _decision(
    source: str,
    target: str,
    kind: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> tuple[int, int]:
    """What the policy allows, a bit for each permission, and the flags."""
    answer = _answer('access', source, target, kind, read, ask)
    # allowed decided auditallow auditdeny seqno flags
    fields = answer.split()
    if len(fields) != 6:
        raise ValueError(f'{_FS}/access answers {answer!r}')
    return int(fields[0], 16), int(fields[5], 16)


def _answer(
    file: str,
    source: str,
    target: str,
    kind: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> str:
    """What a file of selinuxfs answers about two contexts and a class."""
    number = int(read(f'{_FS}/class/{kind}/index'))
    return ask(f'{_FS}/{file}', f'{source} {target} {number}').strip('\0\n ')
