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

"""The file that libvirt runs: what is in it, and putting it in its place.

libvirt runs every executable file of ``hooks/qemu.d`` with four arguments
(guest, operation, sub-operation, extra) and the domain's XML on standard
input: https://libvirt.org/hooks.html, read together with src/util/virhook.c
of libvirt 9.0. Whether there are hooks at all it finds out when it starts or
reloads (SIGHUP); which ones, at each call.
"""

import contextlib
import os
from pathlib import Path
import shlex
import site
import sys
import tempfile

from nova_isolation.hook import selinux_label
from nova_isolation.model import errors

#: libvirt has it compiled in (LIBVIRT_HOOK_DIR).
FOLDER = Path('/etc/libvirt/hooks')

#: The operations that are not judged: a running guest would be killed
#: (reconnect, attach), was judged when it started (started), or has ended.
#: What else libvirt calls (prepare, start, migrate, restore), or may call
#: one day, is judged.
PASSED_OVER = ('started', 'reconnect', 'attach', 'stopped', 'release')

_MARK = '# The libvirt hook of nova-isolation.'

# The first look is this shell's: it is quick, and no untagged guest depends
# on what is installed. All spellings that vocabulary.is_ours() takes are
# looked for. Nothing goes to standard output: for migrate and restore
# libvirt would take it for the XML of the guest.
_TEXT = """\
#!/bin/sh
{mark}
# Written by "nova-isolation-hook install"; "nova-isolation-hook remove"
# takes it away.
case "$2" in
{passed_over}) exit 0 ;;
esac
xml=$(cat) || exit 1
case "$xml" in
*xtraSpec*[Ii][Ss][Oo][Ll][Aa][Tt][Ii][Oo][Nn]:*) ;;
?*) exit 0 ;;
*)
    echo "nova-isolation: there is no XML of the guest $1" >&2
    exit 1
    ;;
esac
python={python}
if [ ! -x "$python" ]; then
    echo "nova-isolation does not let the tagged guest $1 start:" \\
        "$python, which would judge it, is gone. Install nova-isolation" \\
        "anew and run nova-isolation-hook install." >&2
    exit 1
fi
printf '%s\\n' "$xml" | "$python" -I -S -c {program} "$@" >&2
"""

# Python's site module takes a fifth of the time of a verdict; the folders of
# packages are written down instead.
_PROGRAM = (
    'import sys; sys.path += {folders}; '
    'from nova_isolation.hook import check; sys.exit(check.main())'
)


class HookError(errors.IsolationError):
    """It cannot be done; the message says why."""


class Script:
    """The file on one host.

    :ivar path: where it is, or would be
    :ivar text: what this installation writes into it
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        python: str = sys.executable,
        labels: selinux_label.Labels | None = None,
    ) -> None:
        """:param folder: where libvirt looks for hooks

        :param python: the interpreter that judges
        :param labels: in place of those of this host
        """
        self._folder = folder
        self._python = Path(python)
        self._labels = labels or selinux_label.Labels()
        folders = [p for p in site.getsitepackages() if os.path.isdir(p)]
        # After an admin's own, which may still change the XML of a migration.
        self.path = folder / 'qemu.d' / '50-nova-isolation'
        self.text = _TEXT.format(
            mark=_MARK,
            passed_over=' | '.join(PASSED_OVER),
            python=shlex.quote(python),
            program=shlex.quote(_PROGRAM.format(folders=folders)),
        )

    def found(self) -> str | None:
        """What is in the file; None: there is none.

        :raises HookError: it is not ours, or cannot be read
        """
        if not os.path.lexists(self.path):
            return None
        try:
            content = self.path.read_text(encoding='utf-8', errors='replace')
        except OSError as error:
            raise HookError(f'{self.path} cannot be read: {error}') from None
        if self.path.is_symlink() or _MARK not in content.splitlines():
            raise HookError(
                f'{self.path} is no file of nova-isolation: move it away'
            )
        return content

    def is_current(self) -> bool:
        """Whether the file is there as this installation writes it.

        :raises HookError: as :meth:`found`
        :raises LabelError: what label it should have cannot be found out
        """
        return (
            self.found() == self.text
            and os.access(self.path, os.X_OK)
            and self._labels.fits(self.path)
        )

    def check(self) -> None:
        """See that libvirt may run it, once it is there.

        :raises LabelError: it may not
        """
        self._labels.check(self.path, self._python)

    def others(self) -> list[Path]:
        """The other hooks that libvirt runs for guests of QEMU."""
        return [
            path
            for path in (
                self._folder / 'qemu',
                *sorted(self.path.parent.glob('*')),
            )
            if path != self.path
            and path.is_file()
            and os.access(path, os.X_OK)
        ]

    def install(self) -> bool:
        """Put the file in its place.

        :returns: whether there was anything to do
        :raises HookError: there is no libvirt, or a file that is not ours, or
            it cannot be written
        :raises LabelError: libvirt may not run it; nothing was done
        """
        self.check()
        if self.is_current():
            return False
        if not self._folder.parent.is_dir():
            raise HookError(
                f'there is no {self._folder.parent}: install libvirt first'
            )
        try:
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            raise HookError(
                f'{self.path} cannot be written: {error}'
            ) from None
        return True

    def remove(self) -> bool:
        """Take the file away.

        :returns: whether there was one
        :raises HookError: it is not ours, or cannot be removed
        """
        if self.found() is None:
            return False
        try:
            self.path.unlink()
        except OSError as error:
            raise HookError(
                f'{self.path} cannot be removed: {error}'
            ) from None
        return True

    def _write(self) -> None:
        # First above its folder, all of which libvirt runs at any time.
        handle, name = tempfile.mkstemp(
            dir=self._folder, prefix='.nova-isolation-'
        )
        try:
            with os.fdopen(handle, 'w', encoding='utf-8') as file:
                file.write(self.text)
                os.fchmod(handle, 0o755)  # nosec B103: it is a program
                wanted = self._labels.wanted(self.path)
                if wanted is not None:
                    selinux_label.give(Path(name), wanted)
                file.flush()
                os.fsync(handle)
            os.replace(name, self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
