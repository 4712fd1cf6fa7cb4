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


"""The root folder of the machine during the build, and programs run in it.

The programs run on this machine, because the emulated one is thirty times
slower. Each program runs in mount and process namespaces of its own, so no
mount and no process outlives it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from lab.run import supervisor as supervisors

#: $1 is the root; then folders and files of this machine to show at the same
#: path; then "--" and the command.
_ENTER = """
set -eu
root=$1
shift
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then
        mkdir -p "$root$1"
    else
        mkdir -p "$root${1%/*}"
        [ -e "$root$1" ] || : >"$root$1"
    fi
    mount --bind "$1" "$root$1"
    shift
done
shift
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"""
#: A prefix that gives a command mount and process namespaces of its own.
CONTAINED: tuple[str, ...] = (
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--propagation',
    'private',
)


class Tree:
    """A root folder."""

    def __init__(self, supervisor: supervisors.Supervisor, root: Path) -> None:
        self._supervisor = supervisor
        self.root = root

    def path(self, name: str | Path) -> Path:
        """The path on this machine of an absolute path of the other one."""
        return self.root / str(name).lstrip('/')

    def write(self, name: str, text: str) -> None:
        """Write a file that everybody may read."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')

    def run(
        self,
        step: str,
        command: Sequence[str | Path],
        seconds: float,
        environment: Mapping[str, str] | None = None,
        shown: Iterable[Path] = (),
    ) -> None:
        """Run a program of the machine, with its output in ``log/STEP.log``.

        :param shown: files and folders of this machine to mount at the same
            paths
        :raises LabError: when the program fails or does not end
        """
        self._supervisor.run(
            step,
            [
                *CONTAINED,
                'sh',
                '-c',
                _ENTER,
                'sh',
                self.root,
                *shown,
                '--',
                *command,
            ],
            seconds,
            {'DEBIAN_FRONTEND': 'noninteractive', **(environment or {})},
        )
