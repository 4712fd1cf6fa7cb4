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

"""Mount and UTS namespaces in which a folder of this machine is a host.

Users other than root have to reach the programs there, which may be in a
folder of root's, such as /root. Such a folder is covered by an empty one that
everybody may search, and only what is needed is mounted in it.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import stat

#: $1 is the host name, and $2 an empty folder. Then there are "WHAT WHERE"
#: pairs to mount; "--"; pairs of a folder to cover and a path below it to
#: leave there; "--"; the command. A command without its namespaces must not
#: run.
_ENTER = """
set -eu
hostname "$1"
scratch=$2
shift 2
while [ "$1" != -- ]; do
    if [ ! -e "$2" ] && [ -d "$1" ]; then
        mkdir -p "$2"
    elif [ ! -e "$2" ]; then
        : >"$2"
    fi
    mount --bind "$1" "$2"
    shift 2
done
shift
covered=
cover() {
    [ -z "$covered" ] || mount --rbind "$scratch" "$covered"
}
while [ "$1" != -- ]; do
    if [ "$1" != "$covered" ]; then
        cover
        mount -t tmpfs -o mode=755 lab "$scratch"
        covered=$1
    fi
    mkdir -p "$scratch${2#"$1"}"
    mount --bind "$2" "$scratch${2#"$1"}"
    shift 2
done
shift
cover
cd /
exec "$@"
"""


def inside(
    name: str,
    scratch: Path,
    mounts: Mapping[Path, Path],
    reached: Iterable[Path],
    command: Sequence[str | Path],
) -> list[str | Path]:
    """The command line that runs ``command`` in namespaces of its own.

    :param name: the host name
    :param scratch: an empty folder below one of those in ``reached``
    :param mounts: a path of this machine to mount -> where to mount it
    :param reached: the folders that users other than root have to reach; in
        a folder that is covered, nothing else is seen
    """
    left: list[Path] = []
    for folder, paths in covers(reached).items():
        for path in paths:
            left += [folder, path]
    return [
        *unshared(_ENTER),
        name,
        scratch,
        *(path for pair in mounts.items() for path in pair),
        '--',
        *left,
        '--',
        *command,
    ]


def unshared(script: str, *more: str) -> list[str | Path]:
    """The command line that runs a script in namespaces of its own.

    They are those of mounts and of the host name. The script's arguments are
    to follow.

    :param more: options of unshare(1)
    """
    return [
        *('unshare', '--mount', '--uts', *more, '--propagation', 'private'),
        *('sh', '-c', script, 'sh'),
    ]


def covers(reached: Iterable[Path]) -> dict[Path, list[Path]]:
    """The folders that not everybody may search.

    :param reached: absolute paths that have to be reached
    :returns: each topmost such folder above the paths -> the paths below it
    """
    found: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(reached):
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & stat.S_IXOTH:
                found.setdefault(parent, []).append(path)
                break
    return found
