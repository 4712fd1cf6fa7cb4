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

"""The processes of dom0 that belong to Xen's tools, and nova-compute's."""

from collections.abc import Iterator
import errno
import os

from nova_isolation.host import libvirt_daemon
from nova_isolation.host import privileged
from nova_isolation.host import procfs
from nova_isolation.model import reasons
from nova_isolation.model import sight
from nova_isolation.probes.xen import answers

#: The names by which the kernel knows the programs, and what they are.
NAMES = {
    'xenstored': 'xenstored',
    'oxenstored': 'xenstored',
    'xenconsoled': 'xenconsoled',
    **dict.fromkeys(libvirt_daemon.NAMES, 'libvirt'),
}

#: What a device model is called here, whatever its file is called.
MODEL = 'device model'

#: What this process is called here, and each helper that it has as root.
SERVICE, HELPER = 'nova-compute', 'helper of nova-compute'

#: The argument of a device model after which the number of the domain comes.
_DOMAIN = '-xen-domid'
#: The argument of a daemon of oslo.privsep after which its context comes, and
#: how those of nova-compute begin. Other services have others.
_CONTEXT = '--privsep_context'
_OWN_CONTEXTS = ('nova.', 'nova_isolation.')


def find(proc: str = procfs.PROC) -> tuple[answers.Process, ...]:
    """Find xenstore, the consoles, libvirt, all device models, and ourselves.

    nova-compute's helpers are found where they run.

    :param proc: where the processes are seen, ``[isolation] process_root``
    :raises nova_isolation.model.sight.Unseen: /proc hides the processes of
        others from nova-compute, or shows those of a container
    :raises OSError: a process cannot be examined
    :raises ValueError: a device model works for a domain without a number
    """
    if os.geteuid() and procfs.hides(proc):
        raise sight.Unseen(reasons.HIDEPID, f'{proc} has hidepid')
    found = tuple(_processes(proc))
    if not any(one.name == NAMES[libvirt_daemon.NAMES[0]] for one in found):
        # Without it, the absence of a device model would prove nothing.
        raise sight.Unseen(
            reasons.LIBVIRT_UNSEEN,
            f'{proc} does not show {" or ".join(libvirt_daemon.NAMES)}; see '
            f"[isolation] process_root, which must be the host's /proc",
        )
    # In a container, the folder above shows it with another number.
    own = _label(os.getpid(), procfs.PROC)
    return (*found, answers.Process(SERVICE, own, None, os.getpid()))


def _processes(proc: str) -> Iterator[answers.Process]:
    for entry in os.listdir(proc):
        if not entry.isdecimal():
            continue
        pid = int(entry)
        try:
            line = privileged.read_process(pid, 'cmdline', proc)
            arguments = line.split('\0')
            domain = _domain(arguments)
            name = _name(pid, arguments, proc) if domain is None else MODEL
            if name is not None and line:
                label = _label(pid, proc)
                yield answers.Process(name, label, domain, pid)
        except (FileNotFoundError, ProcessLookupError):
            # It has ended.
            continue


def _name(pid: int, arguments: list[str], proc: str) -> str | None:
    """Return what a process is; None: nothing of Xen's or of ours."""
    if _CONTEXT in arguments[:-1]:
        context = arguments[arguments.index(_CONTEXT) + 1]
        if context.startswith(_OWN_CONTEXTS):
            return HELPER
    return NAMES.get(privileged.read_process(pid, 'comm', proc).strip())


def _label(pid: int, proc: str) -> str:
    """Return the label of a process; '' where no module gives labels."""
    try:
        label = privileged.read_process(pid, 'attr/current', proc)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return ''
        raise
    return label.rstrip('\0\n')


def _domain(arguments: list[str]) -> int | None:
    """Return for which domain a device model works; None: it is none."""
    if _DOMAIN not in arguments[:-1]:
        return None
    number = arguments[arguments.index(_DOMAIN) + 1]
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f'a device model works for domain {number!a}')
    return int(number)
