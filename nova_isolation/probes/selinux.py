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

"""The state of SELinux, as the kernel reports it in selinuxfs.

The configuration in /etc/selinux is not read, because the kernel may be in
another state.
"""

from collections.abc import Callable
import errno
import os
import re

#: A probe takes a reader of files and returns a word.
Probe = Callable[[Callable[[str], str]], str]

#: The mount point, as in libselinux's selinux_init_load_policy(3). Where it
#: is another, whoever reads looks there ([isolation] selinuxfs).
FS = '/sys/fs/selinux'

#: The permissive bit in the last field of the answer of FS/access
#: (AVD_FLAGS_PERMISSIVE, security/selinux/include/security.h).
_PERMISSIVE = 1

_SENSITIVITY = re.compile('s[0-9]+')

#: The kernel's limit for such answers in bytes (SIMPLE_TRANSACTION_LIMIT).
_ANSWER = 4096


def ask(path: str, question: str) -> str:
    """Return the answer of a file of selinuxfs to a question.

    :raises OSError: the file does not exist or gives no answer
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(descriptor, question.encode())
        return os.read(descriptor, _ANSWER).decode('ascii')
    finally:
        os.close(descriptor)


def mode(read: Callable[[str], str]) -> str:
    """Return ``enforcing``, ``permissive``, ``disabled`` or ``unmounted``.

    ``unmounted``: the kernel has loaded a policy, but selinuxfs is not
    mounted where this process runs, e.g. in a container. It cannot be known
    then whether the policy is enforced.

    :param read: returns the text of a file
    :raises OSError, ValueError: the state cannot be read
    """
    try:
        text = read(f'{FS}/enforce').strip()
    except FileNotFoundError:
        return 'unmounted' if _has_policy(read) else 'disabled'
    words = {'0': 'permissive', '1': 'enforcing'}
    if text not in words:
        raise ValueError(f'{FS}/enforce contains {text!r}')
    return words[text]


def _has_policy(read: Callable[[str], str]) -> bool:
    """Return whether the kernel runs with a policy of SELinux.

    :raises OSError: that cannot be read
    """
    # The kernel has the file system only where SELinux was not disabled at
    # boot (init_sel_fs).
    names = _text(read, '/proc/filesystems')
    if names is not None and 'selinuxfs' not in names.split():
        return False
    # Without a policy the context of each process is one word, "kernel"
    # (security_sid_to_context_core).
    context = _text(read, '/proc/self/attr/current')
    return names is not None if context is None else context.count(':') > 1


def _text(read: Callable[[str], str], path: str) -> str | None:
    """Return the text of a file; None where there is no such file."""
    try:
        return read(path)
    except FileNotFoundError:
        return None


def policy(read: Callable[[str], str]) -> str:
    """Return the kind of the policy: ``mls``, ``mcs`` or ``plain``.

    An MCS policy has multi-level security compiled in and a single
    sensitivity, s0. An MLS policy has several sensitivities, and the kernel
    itself runs at the highest (mls_systemhigh in refpolicy's kernel.te). A
    plain policy has no levels.

    :param read: returns the text of a file
    :raises OSError, ValueError: the policy's kind cannot be read
    """
    text = read(f'{FS}/mls').strip()
    if text == '0':
        return 'plain'
    if text != '1':
        raise ValueError(f'{FS}/mls contains {text!r}')
    context = read(f'{FS}/initial_contexts/kernel').strip('\0\n ')
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
    """Return whether the policy is enforced on processes of this context.

    A type can be permissive (``semanage permissive``) while the system is
    enforcing. The kernel reports the permissive flag with every access
    decision; here the decision is that on the access of a process to itself
    (sel_write_access in security/selinux/selinuxfs.c).

    :param context: the context of a process, ``user:role:type:level``
    :param read: returns the text of a file
    :param ask: returns the answer of a file to a question
    :returns: False also where the policy has no such context
    :raises OSError, ValueError: the kernel gives no answer
    """
    try:
        _, flags = _decision(context, context, 'process', read, ask)
    except OSError as error:
        # The policy has no such type, or does not allow the type for the role.
        if error.errno == errno.EINVAL:
            return False
        raise
    return not flags & _PERMISSIVE


def canonical(context: str, ask: Callable[[str, str], str]) -> str:
    """Return a context as the kernel shows it.

    A policy may have several names for a type (``typealias``). The kernel
    takes each and shows the first alone (sel_write_context in
    security/selinux/selinuxfs.c).

    :param context: a context that the policy has
    :param ask: returns the answer of a file to a question
    :raises OSError: the kernel gives no answer
    """
    return ask(f'{FS}/context', context).strip('\0\n ')


def allows(
    source: str,
    target: str,
    kind: str,
    permission: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> bool:
    """Return whether the policy allows an access, whatever the mode.

    :param source: the context of the process
    :param target: the context of the object
    :param kind: the class of the object, such as ``file``
    :param permission: a permission of the class, such as ``execute``
    :param read: returns the text of a file
    :param ask: returns the answer of a file to a question
    :raises OSError, ValueError: the kernel gives no answer
    """
    number = int(read(f'{FS}/class/{kind}/perms/{permission}'))
    allowed, _ = _decision(source, target, kind, read, ask)
    return bool(allowed & 1 << number - 1)


def domain(
    source: str,
    program: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> str:
    """Return the context of a process after it has executed a program.

    :param source: the context of the process before
    :param program: the context of the program's file
    :param read: returns the text of a file
    :param ask: returns the answer of a file to a question
    :raises OSError, ValueError: the kernel gives no answer
    """
    return _answer('create', source, program, 'process', read, ask)


def _decision(
    source: str,
    target: str,
    kind: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> tuple[int, int]:
    """Return the allowed permissions as a bit map, and the flags."""
    answer = _answer('access', source, target, kind, read, ask)
    # The fields are: allowed decided auditallow auditdeny seqno flags.
    fields = answer.split()
    if len(fields) != 6:
        raise ValueError(f'{FS}/access answered {answer!r}')
    return int(fields[0], 16), int(fields[5], 16)


def _answer(
    file: str,
    source: str,
    target: str,
    kind: str,
    read: Callable[[str], str],
    ask: Callable[[str, str], str],
) -> str:
    """Return the answer of a file of selinuxfs on two contexts and a class."""
    number = int(read(f'{FS}/class/{kind}/index'))
    return ask(f'{FS}/{file}', f'{source} {target} {number}').strip('\0\n ')
