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

"""What is wrong with the label of a started guest.

Each guest is compared with all others, so a label is parsed only once.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import functools

from nova_isolation.mechanisms.svirt import reason_codes
from nova_isolation.mechanisms.svirt import security_label
from nova_isolation.model import reasons
from nova_isolation.model import requirements

_parse = functools.lru_cache(maxsize=4096)(security_label.parse)


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
    wanted = f'type {" or ".join(types) or "(none allowed)"}, own categories'
    if label != process:
        yield requirement.unmet(
            reason_codes.LABEL, f'libvirt: {label}, kernel: {process}', wanted
        )
        return
    try:
        mine = _parse(process)
    except ValueError as error:
        yield requirement.unmet(reason_codes.LABEL, str(error), wanted)
        return
    if not security_label.is_confined(mine, types):
        yield requirement.unmet(reason_codes.LABEL, process, wanted)
        return
    for name in sorted(one for one in others if _reach(mine, others[one])):
        yield requirement.unmet(
            reason_codes.CLASH, f'{name} has {others[name]}', wanted
        )


def _reach(mine: security_label.Label, text: str) -> bool:
    """Return whether the categories of one guest include those of the other.

    The MCS constraints of refpolicy (policy/mcs) let a process reach objects
    whose categories are included in its own. A label that cannot be parsed
    counts as one that reaches all objects.
    """
    try:
        other = _parse(text)
    except ValueError:
        return True
    return (
        mine.categories <= other.categories
        or other.categories <= mine.categories
    )
