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

"""The script that libvirt runs: its text, and how it is installed.

libvirt runs every executable file of ``hooks/qemu.d``, or in dom0 of Xen
``hooks/libxl.d``, with four arguments (guest, operation, sub-operation, extra)
and the domain's XML on standard input: https://libvirt.org/hooks.html,
read together with src/util/virhook.c of libvirt 9.0. libvirt finds out whether
there are hooks at all when it starts or reloads (SIGHUP), and which ones at
each call.
"""

import contextlib
import os
from pathlib import Path
import shlex
import site
import sys
import tempfile

from nova_isolation.hook import check
from nova_isolation.hook import plain_specs
from nova_isolation.hook import selinux_label
from nova_isolation.model import errors
from nova_isolation.model import vocabulary

#: The folder of hooks, compiled into libvirt (LIBVIRT_HOOK_DIR).
FOLDER = Path('/etc/libvirt/hooks')

#: The operations that the hook does not check. libvirt calls "start" before
#: each start that it has called "prepare" for, and has made the label by then
#: (qemuProcessLaunch, libxlDomainStartPerform), so one check is enough. It
#: would kill a running guest (reconnect, attach). And the guest was checked
#: when it started (started), or has ended. The hook checks all other
#: operations: those that libvirt calls today (start, migrate, restore) and new
#: ones.
PASSED_OVER = (
    'prepare',
    'started',
    'reconnect',
    'attach',
    'stopped',
    'release',
)

#: The file that tells dom0 of Xen; libvirt goes by it too.
XEN_CAPABILITIES = Path('/proc/xen/capabilities')

_MARK = '# The libvirt hook of nova-isolation.'

# The shell looks for extra specs of ours first: that is quick, and no untagged
# guest depends on what is installed. It looks at the elements <extraSpec> and
# not at what tenants choose, such as the names of servers and projects. XML
# allows "<" only where a tag begins (Nova writes neither comments nor CDATA),
# so the text between two "<" has one whole tag. The shell cannot read
# references and knows only the letters of ASCII: where a tag has others, or
# where there is a document type, Python looks. So the patterns cover all
# spellings that vocabulary.is_ours() accepts. An extra spec of ours that asks
# nothing of the XML (plain_specs) is enough for the shell where it is written
# as libvirt writes it, with nothing between the value and the closing tag, and
# as long as the version is installed that wrote the script; on Xen the XML of
# every tagged guest is looked at.
# The script writes nothing to standard output: for migrate and restore libvirt
# would take that for the XML of the guest.
# Nova may show what the script writes to standard error to the owner of the
# server, so that is a verdict and never a traceback. The details of a check
# that failed go to the system log, also what the shell says of a Python that
# was killed; they go to standard error where the fifth argument is "verbose"
# (libvirt gives four). Only the word of the check lets a tagged guest start,
# and not an exit status, which any module can set.
_TEXT = """\
#!/bin/sh
{mark}
# Written by "nova-isolation-hook install"; "nova-isolation-hook remove"
# removes it.
case "$2" in
{passed_over}) exit 0 ;;
esac
LC_ALL=C
shown() {{ printf '%s' "$1" | tr -c '[:print:]' '?'; }}
# Whether an extra spec has a known value and asks nothing of the XML.
is_plain() {{
    rest=${{1#* name=\\"}}
    key=${{rest%%\\"*}}
    value=${{rest#*\\">}}
    [ "$1" = "$name name=\\"$key\\">$value" ] || return 1
    [ "${{#value}}" -le {longest} ] || return 1
    case "$key\\"$value" in
{plain}
    *) return 1 ;;
    esac
    while :; do
        word=${{value%%,*}}
        case "$words" in
        *",$word,"*) ;;
        *) return 1 ;;
        esac
        [ "$value" != "$word" ] || return 0
        value=${{value#*,}}
    done
}}
needs_check() {{
    case "$xml" in
    *'<!DOCTYPE'*) return 0 ;;
    *extraSpec*) ;;
    *) return 1 ;;
    esac
    case "$xml" in
    *"<domain type='xen"* | *'<domain type="xen'*) compare= ;;
    *) compare=yes ;;
    esac
    [ -e {installation} ] || compare=
    set -f
    IFS='<'
    closing=
    for part in $xml; do
        if [ "$closing" ]; then
            case "$part" in
            "$closing"*) closing= ;;
            *) break ;;
            esac
        fi
        name=${{part%%[[:space:]/>]*}}
        case "$name" in
        *extraSpec) ;;
        *) continue ;;
        esac
        case "$part" in
        *[Ii][Ss][Oo][Ll][Aa][Tt][Ii][Oo][Nn]* | *'&'[!algq]* | \
            *[![:space:]!-~]*)
            if [ "$compare" ] && is_plain "$part"; then
                closing="/$name>"
                continue
            fi
            unset IFS
            return 0
            ;;
        esac
    done
    unset IFS
    [ "$closing" ]
}}
# Writes the details of a failure, which standard input has, for the admin.
# Where there are none, it starts no program.
tell_admin() {{
    IFS= read -r first || [ -n "$first" ] || return 0
    details=$({{
        printf '%s\\n' "$first"
        cat
    }} | tr -c '[:print:]\\n' '?')
    if [ "$verbose" = verbose ]; then
        printf '%s\\n' "$details" >&2
    else
        printf '%s\\n' "$(shown "$guest"): $details" |
            timeout 10 logger -t nova-isolation-hook >/dev/null 2>&1
    fi
}}
guest=$1
verbose=$5
# exec: without it the shell starts one process more.
xml=$(exec cat) || exit 1
if [ -z "$xml" ]; then
    guest=$(shown "$guest")
    printf '%s\\n' "nova-isolation: libvirt gave no XML of the guest \
$guest" >&2
    exit 1
fi
needs_check || exit 0
python={python}
if [ ! -x "$python" ]; then
    guest=$(shown "$guest")
    printf '%s\\n' "the interpreter $python is gone" | tell_admin
    printf '%s\\n' "{refusal} the tagged guest $guest start: the Python that \
would check the guest is gone. Install nova-isolation again on the host and \
run nova-isolation-hook install." >&2
    exit 1
fi
verdict=$(
    {{
        {{
            printf '%s\\n' "$xml" | "$python" -I -S -c {program} "$@"
        }} 2>&1 >&3 3>&- | tell_admin 3>&-
    }} 3>&1
)
case "$verdict" in
{go}) exit 0 ;;
'{refusal}'*) printf '%s\\n' "$verdict" >&2 ;;
*)
    guest=$(shown "$guest")
    printf '%s\\n' "{refusal} the tagged guest $guest start: the guest could \
not be checked. The admin of the host finds the cause with journalctl -t \
nova-isolation-hook, or with nova-isolation-hook status." >&2
    ;;
esac
exit 1
"""

# Python's site module would take a fifth of the time of a check, so the script
# names the folders of packages itself.
# Only the verdict goes to standard output, whatever a mechanism prints.
_PROGRAM = (
    'import sys; sys.path += {folders}; '
    'out = sys.stdout; sys.stdout = sys.stderr; '
    'out.reconfigure(errors="backslashreplace"); '
    'from nova_isolation.hook import check; '
    'sys.exit(check.main(out))'
)


class HookError(errors.IsolationError):
    """The hook cannot be installed, removed or read; the message says why."""


class Script:
    """The hook's script on one host.

    :ivar path: where the script is, or would be
    :ivar text: the text that this installation writes
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        python: str = sys.executable,
        labels: selinux_label.Labels | None = None,
        xen: Path = XEN_CAPABILITIES,
        installation: str | None = None,
    ) -> None:
        """:param folder: where libvirt looks for hooks

        :param python: the interpreter that runs the check
        :param labels: SELinux labels; those of this host by default
        :param xen: the file that tells dom0 of Xen
        :param installation: what is there as long as this version is
            installed; found by default
        """
        if installation is None:
            installation = plain_specs.installation()
        self._folder = folder
        self._python = Path(python)
        self._labels = labels or selinux_label.Labels()
        folders = [p for p in site.getsitepackages() if os.path.isdir(p)]
        # 50: after hooks of the admin, which may still change the XML of a
        # guest that arrives by migration.
        self._driver = 'libxl' if _is_dom0(xen) else 'qemu'
        self.path = folder / f'{self._driver}.d' / '50-nova-isolation'
        self.text = _TEXT.format(
            mark=_MARK,
            passed_over=' | '.join(PASSED_OVER),
            python=shlex.quote(python),
            program=shlex.quote(_PROGRAM.format(folders=folders)),
            go=check.GO,
            refusal=check.REFUSAL,
            plain=plain_specs.cases(),
            installation=shlex.quote(installation),
            longest=vocabulary.MAX_VALUE,
        )

    def found(self) -> str | None:
        """Read the installed script.

        :returns: its text; None where there is no such file
        :raises HookError: another program wrote the file, or it cannot be
            read
        """
        if not os.path.lexists(self.path):
            return None
        try:
            content = self.path.read_text(encoding='utf-8', errors='replace')
        except OSError as error:
            raise HookError(f'{self.path} cannot be read: {error}') from None
        if self.path.is_symlink() or _MARK not in content.splitlines():
            raise HookError(
                f'{self.path} was not written by nova-isolation: move the '
                'file away'
            )
        return content

    def is_current(self) -> bool:
        """Whether the script is installed as this installation writes it.

        :raises HookError: as :meth:`found`
        :raises LabelError: the SELinux label that the script should have
            cannot be determined
        """
        return (
            self.found() == self.text
            and os.access(self.path, os.X_OK)
            and self._labels.fits(self.path)
        )

    def check(self) -> None:
        """Check that libvirt may run the script, once it is installed.

        :raises LabelError: SELinux does not let libvirt run it
        """
        self._labels.check(self.path, self._python)

    def others(self) -> list[Path]:
        """The other hooks that libvirt runs for guests of this host."""
        return [
            path
            for path in (
                self._folder / self._driver,
                *sorted(self.path.parent.glob('*')),
            )
            if path != self.path
            and path.is_file()
            and os.access(path, os.X_OK)
        ]

    def install(self) -> bool:
        """Install the script, or replace one that is not current.

        :returns: whether there was anything to do
        :raises HookError: libvirt is not installed, another program wrote
            the file, or the file cannot be written
        :raises LabelError: SELinux does not let libvirt run the script;
            nothing was changed
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
        """Remove the script.

        :returns: whether there was one
        :raises HookError: another program wrote the file, or it cannot be
            removed
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
        # The new file is made outside of that folder: libvirt runs every file
        # there at any time.
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


def _is_dom0(capabilities: Path) -> bool:
    try:
        return 'control_d' in capabilities.read_text(encoding='utf-8')
    except OSError:
        return False
