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

"""The files that build an emulator by a recipe, for a folder of their own."""

import pathlib
import shlex

from nova_isolation.mechanisms.qemu import recipe

#: The name of the script among the files.
SCRIPT = 'build.sh'

#: The name of the program that it makes.
PROGRAM = 'qemu-system-x86_64'

#: What Debian's packages the build needs beside QEMU's sources.
PACKAGES = (
    'gcc', 'libaio-dev', 'libc6-dev', 'libfdt-dev', 'libglib2.0-dev',
    'libnuma-dev', 'libpixman-1-dev', 'libseccomp-dev', 'make', 'meson',
    'ninja-build', 'pkg-config', 'python3-venv', 'zlib1g-dev',
)  # fmt: skip

_DEVICES = 'devices.mak'
_START = 'start.S'

_TEMPLATE = """\
#!/bin/bash
# Build a hardened QEMU @RELEASE@ for x86-64, without:
# @ABSENT@.
# Made by "nova-isolation-manage qemu recipe".
#
# usage: build.sh SOURCE FOLDER
#   SOURCE  Debian's unpacked sources ("apt-get source qemu"), changed here
#   FOLDER  where it is built; the result is FOLDER/@PROGRAM@
#
# Debian's packages for it: @PACKAGES@
set -euo pipefail
export PATH=/usr/bin:/bin
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"

version=$(cat "$source/VERSION")
case $version in
@RELEASE@.*) ;;
*) echo "$source is QEMU $version; wanted @RELEASE@" >&2; exit 1 ;;
esac

# change FILE COMMAND AFTER: change a file that lacks the text AFTER.
change() {
    grep -qF "$3" "$source/$1" || sed -i "$2" "$source/$1"
    grep -qF "$3" "$source/$1" || {
        echo "$source/$1 does not have what the recipe changes" >&2
        exit 1
    }
}
@CHANGES@
cp "$here/devices.mak" \
    "$source/configs/devices/x86_64-softmmu/@DEVICES@.mak"
gcc -c "$here/start.S" -o start.o
"$source/configure" \
@CONFIGURE@
make "-j${JOBS:-$(nproc)}" qemu-system-x86_64
strip -o @PROGRAM@.new qemu-system-x86_64
mv @PROGRAM@.new @PROGRAM@
"""


def files(wanted: recipe.Recipe) -> dict[str, str]:
    """Return the files of a recipe.

    :returns: name -> text; :data:`SCRIPT` is for bash(1) and needs the others
        beside it
    """
    return {
        SCRIPT: _script(wanted),
        _DEVICES: ''.join(f'{line}\n' for line in wanted.devices),
        _START: (pathlib.Path(__file__).parent / _START).read_text('ascii'),
    }


def _script(wanted: recipe.Recipe) -> str:
    text = _TEMPLATE
    for name, value in (
        ('RELEASE', wanted.release),
        ('ABSENT', ', '.join(wanted.absent) or 'nothing by name'),
        ('PACKAGES', ' '.join(PACKAGES)),
        ('DEVICES', recipe.DEVICES),
        ('PROGRAM', PROGRAM),
        (
            'CHANGES',
            ''.join(
                'change ' + shlex.join((one.file, one.command, one.after))
                + '\n'
                for one in wanted.changes
            ),
        ),
        ('CONFIGURE', ' \\\n'.join(map(_argument, wanted.configure))),
    ):  # fmt: skip
        text = text.replace(f'@{name}@', value)
    return text


def _argument(option: str) -> str:
    """Return an argument for the shell, which replaces $PWD in it."""
    return (
        '    "' + option + '"'
        if '$' in option
        else ('    ' + shlex.quote(option))
    )
