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

"""The hook's SELinux label, and whether libvirt may run what has it.

A file that SELinux does not let libvirt execute is a hook that has failed, for
every guest: libvirt goes by the mode bits alone (virFileIsExecutable). The
kernel can be asked before the file is in its place.
"""

from collections.abc import Callable
from collections.abc import Iterator
import os
from pathlib import Path
import subprocess  # nosec B404: to ask libselinux

from nova_isolation.hook import programs
from nova_isolation.model import errors
from nova_isolation.probes import selinux

#: The daemons that run hooks for guests of QEMU.
_DAEMONS = (Path('/usr/sbin/libvirtd'), Path('/usr/sbin/virtqemud'))
#: What the script runs, beside Python.
_PROGRAMS = (Path('/bin/sh'), Path('/bin/cat'))
#: Some of what Python then reads: a module of its own, and one of ours.
_MODULES = (Path(os.__file__), Path(__file__))

_WAY_OUT = (
    'no tagged guest would start. Give it its label (restorecon), or install '
    'nova-isolation below /opt or /usr'
)
_ATTRIBUTE = 'security.selinux'
_SECONDS = 60


class LabelError(errors.IsolationError):
    """The label cannot be had, or does not do; the message says why."""


def text(path: str) -> str:
    """The text of a file."""
    return Path(path).read_text(encoding='utf-8')


def of_file(path: Path) -> str:
    """The label of a file, or of what a link leads to.

    :raises OSError: there is none
    """
    return os.getxattr(path, _ATTRIBUTE).decode().rstrip('\0')


def of_policy(path: Path) -> str:
    """The label that the policy has for a regular file of that path.

    :raises OSError: libselinux's program is not there, or does not answer
    """
    program = programs.find('matchpathcon')
    if program is None:
        raise OSError(
            'matchpathcon is not there (Debian has it in selinux-utils, '
            'Fedora in libselinux-utils)'
        )
    # -N: the kernel does not know what mcstransd calls levels.
    command = [program, '-n', '-N', '-m', 'file', str(path)]
    try:
        result = subprocess.run(  # noqa: S603  # nosec B603: a fixed program
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from None
    label = result.stdout.strip()
    # "<<none>>" where the policy has none.
    if result.returncode or label.count(':') < 2:
        raise OSError(
            f'{" ".join(command)}: {result.stderr or label or "no answer"}'
        )
    return label


class Labels:
    """What SELinux of this host has to say about the hook."""

    def __init__(
        self,
        read: Callable[[str], str] = text,
        ask: Callable[[str, str], str] = selinux.ask,
        of_file: Callable[[Path], str] = of_file,
        of_policy: Callable[[Path], str] = of_policy,
    ) -> None:
        """:param read: gives the text of a file

        :param ask: gives the answer of a file to a question
        :param of_file: gives the label of a file
        :param of_policy: gives the label that a file of that path should have
        """
        self._read = read
        self._ask = ask
        self._of_file = of_file
        self._of_policy = of_policy

    def wanted(self, path: Path) -> str | None:
        """The label that the hook should have; None: there is no SELinux.

        :param path: where libvirt looks for it
        :raises LabelError: it cannot be found out
        """
        try:
            if selinux.mode(self._read) == 'disabled':
                return None
            return self._of_policy(path)
        except (OSError, ValueError) as error:
            raise LabelError(
                f'the SELinux label of {path} cannot be found out: {error}'
            ) from None

    def fits(self, path: Path) -> bool:
        """Whether the hook has the type that the policy has for it.

        :param path: the file
        :raises LabelError: it cannot be found out
        """
        wanted = self.wanted(path)
        try:
            return wanted is None or _type(wanted) == _type(
                self._of_file(path)
            )
        except OSError as error:
            raise LabelError(f'{path} has no SELinux label: {error}') from None

    def check(self, path: Path, python: Path) -> None:
        """Ask the kernel whether libvirt may run a hook with its label.

        :param path: where libvirt looks for it
        :param python: the interpreter that judges
        :raises LabelError: it may not, or that cannot be found out
        """
        label = self.wanted(path)
        if label is None:
            return
        try:
            for fault in self._faults(path, label, python):
                raise LabelError(fault)
        except (OSError, ValueError) as error:
            raise LabelError(
                f'whether SELinux lets libvirt run {path} cannot be found '
                f'out: {error}'
            ) from None

    def _faults(self, path: Path, label: str, python: Path) -> Iterator[str]:
        init = self._read('/proc/1/attr/current').strip('\0\n ')
        daemons = [daemon for daemon in _DAEMONS if self._is_there(daemon)]
        if not daemons:
            raise ValueError(
                f'there is no {" and no ".join(map(str, _DAEMONS))}'
            )
        for daemon in daemons:
            source = self._domain(init, self._of_file(daemon))
            if not self._may_run(source, label):
                yield (
                    f'SELinux does not let {daemon} ({source}) execute '
                    f'{path}, whose label is {label}: no guest would start '
                    'any more. Load the policy module nova_isolation.cil, or '
                    'give the file such a label: semanage fcontext -a -t '
                    f"bin_t '{path}'"
                )
            yield from self._faults_of_hook(
                self._domain(source, label), python
            )

    def _faults_of_hook(self, source: str, python: Path) -> Iterator[str]:
        for program in (*_PROGRAMS, python):
            target = self._of_file(program)
            if not self._may_run(source, target):
                yield (
                    f'SELinux does not let the hook ({source}) execute '
                    f'{program}, whose label is {target}: {_WAY_OUT}'
                )
        for module in _MODULES:
            target = self._of_file(module)
            if not self._allows(source, target, 'file', 'read'):
                yield (
                    f'SELinux does not let the hook ({source}) read '
                    f'{module}, whose label is {target}: {_WAY_OUT}'
                )

    def _is_there(self, path: Path) -> bool:
        try:
            self._of_file(path)
        except FileNotFoundError:
            return False
        return True

    def _may_run(self, source: str, program: str) -> bool:
        if not self._allows(source, program, 'file', 'execute'):
            return False
        target = self._domain(source, program)
        if target == source:
            return self._allows(source, program, 'file', 'execute_no_trans')
        return self._allows(
            source, target, 'process', 'transition'
        ) and self._allows(target, program, 'file', 'entrypoint')

    def _domain(self, source: str, program: str) -> str:
        return selinux.domain(source, program, self._read, self._ask)

    def _allows(
        self, source: str, target: str, kind: str, permission: str
    ) -> bool:
        return selinux.allows(
            source, target, kind, permission, self._read, self._ask
        )


def give(path: Path, label: str) -> None:
    """Give a file a label.

    :raises OSError: the policy does not have it, or does not let us
    """
    os.setxattr(path, _ATTRIBUTE, label.encode() + b'\0')


def _type(label: str) -> str:
    return label.split(':')[2]
