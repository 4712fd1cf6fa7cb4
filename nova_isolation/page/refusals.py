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

"""Why requirements are not met."""

from collections import Counter
from collections.abc import Iterable
import dataclasses
import functools

from nova_isolation.model import printable
from nova_isolation.page import reading

#: What each extra spec of isolation begins with.
PREFIX = 'isolation:'

_FIELDS = ('value', 'code', 'wanted', 'found', 'remedy')


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why one requirement is not met.

    :ivar key: the extra spec, or '' where it is about the host as a whole
    :ivar value: the value that is refused; '' where ``wanted`` says it
    :ivar code: the reason code
    :ivar wanted: what a flavor asks for
    :ivar found: what was found instead
    :ivar remedy: what the admin can do
    """

    key: str
    value: str
    code: str
    wanted: str
    found: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Why:
    """Why some requirements are not met, all for the same reason.

    :ivar keys: the extra specs, without ``isolation:``
    :ivar found: what was found
    :ivar code: the reason code
    :ivar remedy: what the admin can do
    """

    keys: str
    found: str
    code: str
    remedy: str


def read(unmet: reading.Json, key: str = '') -> Refusal:
    """Read why a requirement is not met.

    :param unmet: the JSON object with code, wanted, found and remedy
    :param key: the extra spec, where the object does not name it
    """
    named = unmet.get('key') or unmet.get('requirement') or key
    return _read(str(named), *(str(unmet.get(name, '')) for name in _FIELDS))


# A thousand hosts refuse for the same few reasons.
@functools.lru_cache(maxsize=4096)
def _read(key: str, *said: str) -> Refusal:
    value, code, wanted, found, remedy = map(printable.one_line, said)
    return Refusal(
        printable.one_line(key),
        value,
        code or reading.UNKNOWN,
        wanted or reading.UNKNOWN,
        found or reading.UNKNOWN,
        remedy,
    )


def together(refusals: Iterable[Refusal], asked: int = 0) -> tuple[Why, ...]:
    """Put together what was refused for the same reason.

    :param asked: how many requirements there are; 0 where that is not known
    """
    keys: dict[tuple[str, str, str], list[str]] = {}
    for item in refusals:
        keys.setdefault((item.found, item.code, item.remedy), []).append(
            item.key.removeprefix(PREFIX)
        )
    return tuple(
        Why(
            'all' if len(names) == asked > 1 else ', '.join(names),
            *reason,
        )
        for reason, names in keys.items()
    )


def codes(
    refused: Iterable[Iterable[Refusal | Why]],
) -> dict[str, tuple[str, int]]:
    """Return the reason codes with remedy and number, the most first.

    :param refused: for each host, what it refuses
    """
    remedies: dict[str, str] = {}
    counted: Counter[str] = Counter()
    for refusals in refused:
        found = {refusal.code: refusal.remedy for refusal in refusals}
        remedies.update(found)
        counted.update(found.keys())
    return {
        code: (remedies[code], count) for code, count in counted.most_common()
    }
