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

If SELinux does not let libvirt execute the hook, the hook fails for every
guest, because libvirt looks at the mode bits alone (virFileIsExecutable). The
kernel can be asked before the file is installed.
"""

from collections.abc import Callable
from collections.abc import Iterator
import os
from pathlib import Path
import shutil
import subprocess  # nosec B404: to ask libselinux

from nova_isolation.hook import advice
from nova_isolation.model import errors
from nova_isolation.probes import selinux

#: The daemons that run hooks for guests of QEMU.
_DAEMONS = (Path('/usr/sbin/libvirtd'), Path('/usr/sbin/virtqemud'))
#: The programs that the script runs, beside Python.
_PROGRAMS = (Path('/bin/sh'), Path('/bin/cat'))
#: Two of the files that Python then reads: a module of its own and one of
#: ours.
_MODULES = (Path(os.__file__), Path(__file__))

_WAY_OUT = (
    'no tagged guest would start. Give it its label (restorecon), or install '
    'nova-isolation below /opt or /usr'
)
_ATTRIBUTE = 'security.selinux'
#: Folders that the PATH of root may lack (su, cron).
_FOLDERS = ('/usr/sbin', '/sbin')
_SECONDS = 60


class LabelError(errors.IsolationError):
    """A label cannot be determined, or does not let libvirt run the hook; the
    message says why.
    """


def find_program(name: str) -> str | None:
    """The path of a program of the host; None where there is no such program.

    :param name: its name
    """
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), *_FOLDERS])
    return shutil.which(name, path=path)


def text(path: str) -> str:
    """The text of a file."""
    return Path(path).read_text(encoding='utf-8')


def of_file(path: Path) -> str:
    """The label of a file. Symbolic links are followed.

    :raises OSError: the file has no label, or does not exist
    """
    return os.getxattr(path, _ATTRIBUTE).decode().rstrip('\0')


def of_policy(path: Path) -> str:
    """The label that the policy has for a regular file of that path.

    :raises OSError: the program matchpathcon is not installed, or does not
        answer
    """
    program = find_program('matchpathcon')
    if program is None:
        raise OSError(
            'the program matchpathcon is not installed; '
            + advice.install('matchpathcon')
        )
    # -N: the kernel does not know the names that mcstransd gives to levels.
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
    # The answer is "<<none>>" where the policy has no label.
    if result.returncode or label.count(':') < 2:
        raise OSError(
            f'{" ".join(command)}: {result.stderr or label or "no answer"}'
        )
    return label


class Labels:
    """The SELinux labels of the hook and of what it runs, on this host."""

    def __init__(
        self,
        read: Callable[[str], str] = text,
        ask: Callable[[str, str], str] = selinux.ask,
        of_file: Callable[[Path], str] = of_file,
        of_policy: Callable[[Path], str] = of_policy,
    ) -> None:
        """:param read: reads the text of a file

        :param ask: writes a question to a file of selinuxfs and reads the
            answer
        :param of_file: reads the label of a file
        :param of_policy: looks up the label that the policy has for a path
        """
        self._read = read
        self._ask = ask
        self._of_file = of_file
        self._of_policy = of_policy

    def wanted(self, path: Path) -> str | None:
        """The label that the hook should have.

        :param path: where libvirt looks for the hook
        :returns: None where SELinux is disabled
        :raises LabelError: the label cannot be determined
        """
        try:
            mode = selinux.mode(self._read)
            if mode == 'disabled':
                return None
            if mode == 'unmounted':
                raise OSError(
                    'the kernel runs SELinux, but /sys/fs/selinux is not '
                    'mounted here; run this command on the host and not in a '
                    'container, or mount selinuxfs there'
                )
            return self._of_policy(path)
        except (OSError, ValueError) as error:
            raise LabelError(
                f'the SELinux label that {path} should have cannot be '
                f'determined: {error}'
            ) from None

    def fits(self, path: Path) -> bool:
        """Whether the hook has the type that the policy has for it.

        :param path: the hook
        :raises LabelError: one of the two cannot be determined
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

        :param path: where libvirt looks for the hook
        :param python: the interpreter that runs the check
        :raises LabelError: SELinux does not let libvirt run it, or that
            cannot be determined
        """
        label = self.wanted(path)
        if label is None:
            return
        try:
            for fault in self._faults(path, label, python):
                raise LabelError(fault)
        except (OSError, ValueError) as error:
            raise LabelError(
                f'whether SELinux lets libvirt run {path} cannot be '
                f'determined: {error}'
            ) from None

    def _faults(self, path: Path, label: str, python: Path) -> Iterator[str]:
        init = self._read('/proc/1/attr/current').strip('\0\n ')
        daemons = [daemon for daemon in _DAEMONS if self._is_there(daemon)]
        if not daemons:
            raise ValueError(
                f'neither {" nor ".join(map(str, _DAEMONS))} is installed'
            )
        for daemon in daemons:
            source = self._domain(init, self._of_file(daemon))
            if not self._may_run(source, label):
                yield (
                    f'SELinux does not let {daemon} ({source}) execute '
                    f'{path}, whose label is {label}: no guest would start '
                    'any more. Load the policy module nova_isolation.cil, or '
                    'give the file such a label: semanage fcontext -a -t '
                    f"bin_t '{path}' (if there is no semanage, "
                    f'{advice.install("semanage")})'
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
    """Set the label of a file.

    :raises OSError: the policy does not know the label, or does not let this
        process set it
    """
    os.setxattr(path, _ATTRIBUTE, label.encode() + b'\0')


def _type(label: str) -> str:
    return label.split(':')[2]
