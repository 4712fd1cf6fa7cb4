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

"""QEMU's own seccomp filter, as a command line of QEMU asks for it.

A process can also be under a filter that the process which started it was
under: systemd's ``SystemCallFilter=``, a snap or a container runtime leaves
one to libvirtd and to everything that libvirtd starts. Only the command line
says whether QEMU installs a filter of its own. QEMU exits where it cannot
install the filter (parse_sandbox in softmmu/qemu-seccomp.c).
"""

from collections.abc import Sequence
import itertools
import types

#: What libvirt asks for where its ``seccomp_sandbox`` is not 0
#: (qemuBuildSeccompSandboxCommandLine in src/qemu/qemu_command.c). QEMU's own
#: default allows a guest's process to start programs.
_ASKED = types.MappingProxyType(
    {
        'enable': 'on',
        'obsolete': 'deny',
        'elevateprivileges': 'deny',
        'spawn': 'deny',
        'resourcecontrol': 'deny',
    }
)

#: The option as libvirt writes it.
ASKED = '-sandbox on,' + ','.join(
    f'{key}={value}' for key, value in _ASKED.items() if key != 'enable'
)

#: QEMU takes both (lookup_opt in softmmu/vl.c).
_OPTIONS = ('-sandbox', '--sandbox')

#: How much of an option of another form is quoted.
_QUOTED = 80


def is_on(arguments: Sequence[str]) -> bool:
    """Return whether QEMU is told to install the filter that libvirt asks for.

    Where there are several such options, all must ask for the filter.

    :param arguments: the command line, one argument each
    """
    values = _values(arguments)
    return bool(values) and all(map(_asks, values))


def found(arguments: Sequence[str]) -> str:
    """Return what a command line has about the filter, for people.

    :param arguments: the command line, one argument each
    """
    if is_on(arguments):
        return ASKED
    wrong = next((v for v in _values(arguments) if not _asks(v)), None)
    return 'no -sandbox' if wrong is None else f'-sandbox {wrong[:_QUOTED]!r}'


def _values(arguments: Sequence[str]) -> list[str]:
    """Return the value of each option.

    The name of a guest or its kernel's command line can contain any text, so
    whole arguments are compared.
    """
    return [
        value
        for option, value in itertools.pairwise((*arguments, ''))
        if option in _OPTIONS
    ]


def _asks(value: str) -> bool:
    """Return whether the value of one option asks for the whole filter."""
    first, *others = value.split(',')
    pairs = [first if '=' in first else f'enable={first}', *others]
    # As in QEMU, the last of two values counts.
    given = dict(pair.partition('=')[::2] for pair in pairs)
    return given.items() >= _ASKED.items()
