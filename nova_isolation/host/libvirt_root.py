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

"""The root folder in which libvirt starts QEMU, and the emulator there.

In a container nova-compute has another root folder than libvirt, most often
without QEMU. libvirt's is seen at ``/proc/PID/root`` of its daemon, with the
mounts of that daemon (proc_pid_root(5)).
"""

from collections.abc import Sequence
import os
import typing

from nova_isolation.host import libvirt_daemon
from nova_isolation.host import privileged
from nova_isolation.probes import emulator
from nova_isolation.probes import foreign_root
from nova_isolation.probes import program

#: As whom the emulator runs where this process is root's: nobody.
_NOBODY = 65534

#: Seconds for which the emulator may run at most in the privileged helper.
_LONGEST = 300.0


def find(options: typing.Any) -> str:
    """Return the root folder in which libvirt starts QEMU.

    :param options: the ``[isolation]`` group
    :returns: a path; '' for the root folder of this process
    :raises OSError: the daemon of libvirt cannot be found
    :raises ValueError: an option is not a path
    """
    configured: str = options.libvirt_root
    if configured:
        if not configured.startswith('/'):
            raise ValueError(
                f'[isolation] libvirt_root is {configured!r}, which is not '
                f'an absolute path'
            )
        return configured.rstrip('/')
    pid = libvirt_daemon.find(options.qemu_run_dir, options.process_root)
    return f'{options.process_root}/{pid}/root'


def fingerprint(
    root: str, path: str, others: Sequence[str]
) -> program.Fingerprint:
    """Return the identity of an emulator's files below a root folder.

    See :func:`nova_isolation.probes.emulator.fingerprint`.

    :param root: what :func:`find` returned
    :param path: what libvirt starts
    :param others: what else counts
    :raises OSError: the emulator cannot be read there
    """
    try:
        return _fingerprint(root, path, others)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'the emulator of libvirt is not in the root folder '
            f'{root or "/"}: {error}; see [isolation] libvirt_root'
        ) from error


def _fingerprint(
    root: str, path: str, others: Sequence[str]
) -> program.Fingerprint:
    if not root:
        return emulator.fingerprint(path, others)
    # The root folder is PROC/PID/root, unless an option names another one.
    with privileged.passing_denials(os.path.dirname(os.path.dirname(root))):
        return emulator.fingerprint(path, others, root)
    return privileged.received(
        privileged.call(_fingerprint_as_root, root, path, list(others))
    )


def examine(root: str, path: str, timeout: float) -> program.Emulator:
    """Examine an emulator below a root folder.

    It runs there as the user of this process or, for root, as nobody.

    :param root: what :func:`find` returned
    :param path: what libvirt starts
    :param timeout: seconds that it may run
    :raises OSError, ValueError: see
        :func:`nova_isolation.probes.emulator.examine`
    """
    if not root:
        return emulator.examine(path, timeout)
    if os.geteuid() == 0:
        return _examine(root, path, timeout, _NOBODY, _NOBODY)
    identity, *found = privileged.call(
        _examine_as_root, root, path, timeout, os.getuid(), os.getgid()
    )
    executable, hardening, types, sandbox, modules = found
    return program.Emulator(
        path,
        executable,
        program.Identity(*identity),
        frozenset(hardening),
        frozenset(types),
        sandbox,
        privileged.received(modules),
    )


def _examine(
    root: str, path: str, timeout: float, user: int, group: int
) -> program.Emulator:
    launcher = foreign_root.launcher(root, user, group)
    return emulator.examine(path, timeout, root, launcher)


@privileged.context.entrypoint
def _fingerprint_as_root(
    root: str, path: str, others: Sequence[str]
) -> privileged.Sent:
    return privileged.sent(emulator.fingerprint(path, others, root))


@privileged.context.entrypoint
def _examine_as_root(
    root: str, path: str, timeout: float, user: int, group: int
) -> tuple[typing.Any, ...]:
    # The daemon does not trust its caller, who could name any program and
    # any folder: the launcher starts nothing as root.
    found = _examine(root, path, min(timeout, _LONGEST), user, group)
    return (
        found.identity.fields,
        found.executable,
        sorted(found.hardening),
        sorted(found.types),
        found.sandbox,
        privileged.sent(found.modules),
    )
