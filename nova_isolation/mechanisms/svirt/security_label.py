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

"""The label of a guest.

SELinux: ``user:role:type:sensitivity:categories``. AppArmor: a profile.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import functools
import re

from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.model import reasons
from nova_isolation.model import requirements

_LABEL = re.compile(
    r'(?P<user>[^:\s]+):(?P<role>[^:\s]+):(?P<type>[^:\s]+):'
    r'(?P<low>s[0-9]+(?::[c0-9.,]+)?)(?:-(?P<high>s[0-9]+(?::[c0-9.,]+)?))?'
)


def base(type_: str) -> str:
    """The baselabel of a guest, to which libvirt appends categories.

    :param type_: the SELinux type
    """
    return f'system_u:system_r:{type_}:s0'


def profile(uuid: str) -> str:
    """The name of AppArmor's profile of a guest.

    From libvirt's src/security/security_apparmor.c.

    :param uuid: of the domain
    """
    return f'libvirt-{uuid}'


@dataclasses.dataclass(frozen=True)
class Label:
    """A label taken apart.

    :ivar type: the SELinux type
    :ivar categories: the numbers of the categories it may reach
    :ivar is_range: whether it spans levels (``s0-s0:c0.c1023``), as only
        services do, never a guest that libvirt confined
    """

    type: str
    categories: frozenset[int]
    is_range: bool


# Each guest is compared with all others of its host.
@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Label:
    """Take a label apart.

    :raises ValueError: it is none
    """
    match = _LABEL.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is no SELinux label')
    level = match['high'] or match['low']
    return Label(
        match['type'],
        _categories(level.partition(':')[2]),
        match['high'] is not None,
    )


def _categories(text: str) -> frozenset[int]:
    """The numbers in ``c1,c5.c8``."""
    result: set[int] = set()
    for part in text.split(',') if text else ():
        ends = re.fullmatch(r'c([0-9]{1,4})(?:\.c([0-9]{1,4}))?', part)
        if ends is None:
            raise ValueError(f'{part!r} is no category')
        first = int(ends[1])
        result.update(range(first, int(ends[2] or first) + 1))
    return frozenset(result)


def is_confined(label: Label, types: Collection[str] | None = None) -> bool:
    """Whether a label is such as libvirt gives to one guest alone.

    :param types: the types that would do; None: any
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
    """What is wrong with the label of a started guest.

    :param requirement: the one that a wrong label violates
    :param label: as libvirt reports it
    :param process: as the kernel reports it
    :param types: the types that would do
    :param others: name -> label of every other running guest
    """
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
    """Whether either of two guests dominates the categories of the other.

    The MCS constraints of refpolicy (policy/mcs) let a process reach what
    its own categories include. A label that cannot be read reaches all.
    """
    try:
        other = parse(text)
    except ValueError:
        return True
    return (
        mine.categories <= other.categories
        or other.categories <= mine.categories
    )
