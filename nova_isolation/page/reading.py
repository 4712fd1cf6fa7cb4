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

"""How a part of the API's JSON is read: absent and odd parts are not known.

The file of ``openstack isolation audit --html`` may be made from the answers
of another release, so nothing here raises, and what is not said counts for
nothing.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import datetime
import typing

from nova_isolation.model import printable

#: What stands where nothing is known.
UNKNOWN = 'not known'

Json = Mapping[str, typing.Any]


def text(of: object, key: str, otherwise: str = '') -> str:
    """Return a text as one printable line.

    :param of: a JSON object
    :param key: of which key
    :param otherwise: what is returned where the object has no such text
    """
    value = of.get(key) if isinstance(of, Mapping) else None
    if value is None or value == '' or isinstance(value, (dict, list)):
        return otherwise
    return printable.one_line(value)


def texts(of: object, key: str) -> tuple[str, ...]:
    """Return a list of texts; () where the object has none."""
    value = of.get(key) if isinstance(of, Mapping) else None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(printable.one_line(item) for item in value)


def number(of: object, key: str) -> float | None:
    """Return a number, or None where the object has none."""
    value = of.get(key) if isinstance(of, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def flag(of: object, key: str) -> bool:
    """Return whether a value is ``true``; everything else is not."""
    return isinstance(of, Mapping) and of.get(key) is True


def part(of: object, key: str) -> Json:
    """Return an object in the object; {} where there is none."""
    value = of.get(key) if isinstance(of, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def parts(of: object, key: str) -> Iterator[Json]:
    """Return the objects of a list in the object."""
    value = of.get(key) if isinstance(of, Mapping) else None
    for item in value if isinstance(value, (list, tuple)) else ():
        if isinstance(item, Mapping):
            yield item


def pairs(of: object, key: str) -> tuple[tuple[str, str], ...]:
    """Return the keys and values of an object in the object, sorted."""
    return tuple(
        (printable.one_line(name), printable.one_line(value))
        for name, value in sorted(part(of, key).items())
    )


def age(seconds: float | None) -> str:
    """Return an age for people, such as ``45 s``, ``3 min`` or ``2 days``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f'{-seconds:.0f} s in the future'
    for unit, length, below in (
        ('s', 1, 120),
        ('min', 60, 7200),
        ('h', 3600, 172800),
    ):
        if seconds < below:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds / 86400:.0f} days'


def moment(of: object, key: str) -> str:
    """Return a time of ISO 8601 for people, in UTC.

    A text that is no such time is returned as it is.
    """
    said = text(of, key)
    try:
        when = datetime.datetime.fromisoformat(said.replace('Z', '+00:00'))
    except ValueError:
        return said
    if when.tzinfo is not None:
        when = when.astimezone(datetime.timezone.utc)
    return when.strftime('%Y-%m-%d %H:%M:%S UTC')
