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

"""The security label of a guest.

A label of SELinux is ``user:role:type:sensitivity:categories``. A label of
AppArmor is the name of a profile.

The libvirt hook reads this module, so it imports nothing that takes long.
"""

from __future__ import annotations

import functools
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Iterator
    from collections.abc import Mapping

    from nova_isolation.model import reasons
    from nova_isolation.model import requirements

_LABEL = re.compile(
    r'(?P<user>[^:\s]+):(?P<role>[^:\s]+):(?P<type>[^:\s]+):'
    r'(?P<low>s[0-9]+(?::[c0-9.,]+)?)(?:-(?P<high>s[0-9]+(?::[c0-9.,]+)?))?'
)


def base(type_: str) -> str:
    """Return the baselabel of a guest, to which libvirt appends categories.

    :param type_: the SELinux type
    """
    return f'system_u:system_r:{type_}:s0'


def profile(uuid: str) -> str:
    """Return the name of the AppArmor profile of a guest.

    The name is that of libvirt's src/security/security_apparmor.c.

    :param uuid: the UUID of the domain
    """
    return f'libvirt-{uuid}'


class Label:
    """A parsed label of SELinux.

    :ivar type: the SELinux type
    :ivar categories: the numbers of the categories that a process with this
        label may reach
    :ivar is_range: whether the label has a range of levels
        (``s0-s0:c0.c1023``). Only services have such a label; libvirt never
        gives one to a guest that it confines.
    """

    __slots__ = ('categories', 'is_range', 'type')

    def __init__(
        self, type_: str, categories: frozenset[int], is_range: bool
    ) -> None:
        self.type = type_
        self.categories = categories
        self.is_range = is_range


# The result is cached because each guest is compared with all other guests of
# its host.
@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Label:
    """Parse a label of SELinux.

    :raises ValueError: the text is not a label of SELinux
    """
    match = _LABEL.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not an SELinux label')
    level = match['high'] or match['low']
    return Label(
        match['type'],
        _categories(level.partition(':')[2]),
        match['high'] is not None,
    )


def _categories(text: str) -> frozenset[int]:
    """Return the numbers of categories such as ``c1,c5.c8``."""
    result: set[int] = set()
    for part in text.split(',') if text else ():
        ends = re.fullmatch(r'c([0-9]{1,4})(?:\.c([0-9]{1,4}))?', part)
        if ends is None:
            raise ValueError(f'{part!r} is not an MCS category')
        first = int(ends[1])
        result.update(range(first, int(ends[2] or first) + 1))
    return frozenset(result)


def is_confined(label: Label, types: Collection[str] | None = None) -> bool:
    """Return whether a label confines one guest, as libvirt's labels do.

    :param label: the label
    :param types: the allowed types; None: any type
    """
    return (
        (types is None or label.type in types)
        and not label.is_range
        and bool(label.categories)
    )


def check(
    requirement: requirements.Requirement,
    label: str,
    process: str,
    types: Collection[str],
    others: Mapping[str, str],
) -> Iterator[reasons.Unmet]:
    """Return what is wrong with the label of a started guest.

    :param requirement: the requirement that a wrong label violates
    :param label: the label that libvirt reports
    :param process: the label that the kernel reports
    :param types: the allowed types
    :param others: name -> label of every other running guest
    """
    # The hook needs no words.
    from nova_isolation.mechanisms.svirt import reason_codes

    wanted = f'type {" or ".join(types) or "(none allowed)"}, own categories'
    if label != process:
        yield requirement.unmet(
            reason_codes.LABEL, f'libvirt: {label}, kernel: {process}', wanted
        )
        return
    try:
        mine = parse(process)
    except ValueError as error:
        yield requirement.unmet(reason_codes.LABEL, str(error), wanted)
        return
    if not is_confined(mine, types):
        yield requirement.unmet(reason_codes.LABEL, process, wanted)
        return
    for name, text in sorted(others.items()):
        if _reach(mine, text):
            yield requirement.unmet(
                reason_codes.CLASH, f'{name} has {text}', wanted
            )


def _reach(mine: Label, text: str) -> bool:
    """Return whether the categories of one guest include those of the other.

    The MCS constraints of refpolicy (policy/mcs) let a process reach objects
    whose categories are included in its own. A label that cannot be parsed
    counts as one that reaches all objects.
    """
    try:
        other = parse(text)
    except ValueError:
        return True
    return (
        mine.categories <= other.categories
        or other.categories <= mine.categories
    )
