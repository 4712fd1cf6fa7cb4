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

The libvirt hook reads this module, so it imports nothing that takes long, and
there is no regular expression: their module takes longer to import than all
the rest of a check.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


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
def parse(text: str) -> Label:
    """Parse a label of SELinux.

    :raises ValueError: the text is not a label of SELinux
    """
    user, _, rest = text.partition(':')
    role, _, rest = rest.partition(':')
    type_, _, levels = rest.partition(':')
    low, dash, high = levels.partition('-')
    if not (
        all(map(_is_name, (user, role, type_)))
        and _is_level(low)
        and (_is_level(high) or not dash)
    ):
        raise ValueError(f'{text!r} is not an SELinux label')
    _, _, categories = (high or low).partition(':')
    return Label(type_, _categories(categories), bool(dash))


def _is_name(text: str) -> bool:
    """Return whether a text may be a user, a role or a type."""
    return bool(text) and not any(map(str.isspace, text))


def _is_level(text: str) -> bool:
    """Return whether a text is a sensitivity, perhaps with categories.

    Of the categories only the characters are looked at.
    """
    sensitivity, colon, categories = text.partition(':')
    return (
        sensitivity.startswith('s')
        and _is_number(sensitivity[1:])
        and bool(colon) == bool(categories)
        and not categories.strip('c0123456789.,')
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _categories(text: str) -> frozenset[int]:
    """Return the numbers of categories such as ``c1,c5.c8``.

    :raises ValueError: the text is not a list of categories
    """
    result: set[int] = set()
    for part in text.split(',') if text else ():
        first, dot, last = part.partition('.')
        result.update(
            range(_category(first), _category(last if dot else first) + 1)
        )
    return frozenset(result)


def _category(text: str) -> int:
    """Return the number of a category such as ``c5``.

    :raises ValueError: the text is not a category
    """
    number = text.removeprefix('c')
    if number == text or len(number) > 4 or not _is_number(number):
        raise ValueError(f'{text!r} is not an MCS category')
    return int(number)


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
