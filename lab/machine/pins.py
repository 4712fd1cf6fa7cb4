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


"""Which of the pinned versions the machine gets.

constraints.txt also pins what only tests, linters and the documentation
need. A new version of these is no reason to build the machine again.
"""

from collections.abc import Iterable
from importlib import metadata

from packaging import requirements
from packaging import utils


def needed(constraints: str, roots: Iterable[str]) -> list[str]:
    """The lines of constraints.txt that some packages lead to.

    What a package needs is read from its installed metadata. Conditions on
    the platform are passed over: the machine may have another Python, so a
    line too many is found rather than one too few.

    :param constraints: the text of constraints.txt
    :param roots: the requirements to begin with, as in requirements.txt
    :returns: the lines, in the order of the file
    """
    pins = {}
    for line in constraints.splitlines():
        name, separator, _version = line.partition('==')
        if separator:
            pins[utils.canonicalize_name(name)] = line
    found: set[str] = set()
    waiting = [requirements.Requirement(root) for root in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name = utils.canonicalize_name(wanted.name)
        # One package may be wanted with and without its extras.
        key = (name, frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        if name in pins:
            found.add(name)
            waiting += _requirements(name, wanted.extras)
    return [line for name, line in pins.items() if name in found]


def _requirements(
    name: str, extras: Iterable[str]
) -> list[requirements.Requirement]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        # It is pinned and not for this platform.
        return []
    parsed = [requirements.Requirement(line) for line in lines]
    return [
        item
        for item in parsed
        if item.marker is None
        or 'extra' not in str(item.marker)
        or any(item.marker.evaluate({'extra': extra}) for extra in extras)
    ]
