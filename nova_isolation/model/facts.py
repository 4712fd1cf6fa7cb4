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

"""The facts: what a compute host measured of itself, as one small document.

The document travels as one JSON string in the ``stats`` of Nova's compute
node. Nova reads those of all hosts on every request, so it is held under
:data:`MAX_BYTES`. It holds nothing that tells two alike hosts apart, neither
a name nor a time, so that alike hosts have equal documents and the scheduler
decides once for all of them. When the facts were measured is a stat of its
own (:data:`TIME_STAT`).

::

    {"v": 1, "svirt": {...}, "qemu": {...}, "hypervisor": null, ...}

``v`` is the schema. Every other key is the name of a mechanism and its value
what that mechanism measured, in a form that is the mechanism's own
(:mod:`nova_isolation.model.typed_section`), or null: the mechanism could not
measure, or
:func:`violated`: a guest that runs on the host is not confined by it as its
flavor asks, so the host offers it to no new guest.
"""

from collections.abc import Mapping
import dataclasses
import json
import types

from nova_isolation.model import errors
from nova_isolation.model import reasons

#: The schema that this release writes, and the newest that it reads.
VERSION = 1

#: No document is larger; bytes of UTF-8.
MAX_BYTES = 1024

#: The key of the document in the compute node's stats.
STAT = 'isolation_facts'

#: The key of the time of measuring: seconds since the epoch, whole, as text.
TIME_STAT = 'isolation_measured_at'

#: The stat with the host's ``[isolation] mode``.
MODE_STAT = 'isolation_mode'

_VIOLATED = 'violated'


class FactsError(errors.IsolationError):
    """A document cannot be used.

    :ivar reason: why
    :ivar found: what was found instead, for the message
    """

    def __init__(self, reason: reasons.Reason, found: str) -> None:
        super().__init__(found)
        self.reason = reason
        self.found = found


@dataclasses.dataclass(frozen=True)
class Facts:
    """A document that was read.

    :ivar sections: name of a mechanism -> what it measured, as JSON values
    """

    sections: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How old facts may be.

    :ivar max_age: seconds after which facts no longer count
    :ivar clock_skew: seconds by which they may seem to come from the future
    """

    max_age: float = 180.0
    clock_skew: float = 30.0

    def accepts(self, age: float | None) -> bool:
        """Whether facts of an age, in seconds, count."""
        return age is not None and -self.clock_skew <= age <= self.max_age


def dumps(sections: Mapping[str, object]) -> str:
    """Write a document.

    :param sections: name of a mechanism -> what it measured, or None
    :returns: the same text for the same facts
    :raises ValueError: it would be larger than :data:`MAX_BYTES`, or a
        section is not JSON
    """
    try:
        text = json.dumps(
            {**sections, 'v': VERSION},
            sort_keys=True,
            separators=(',', ':'),
            allow_nan=False,
        )
    except (TypeError, RecursionError) as error:
        raise ValueError(f'the facts are no JSON: {error}') from error
    if len(text) > MAX_BYTES:
        sizes = {n: len(json.dumps(s)) for n, s in sections.items()}
        raise ValueError(
            f'the facts take {len(text)} bytes, at most {MAX_BYTES} are '
            f'allowed; by mechanism: {sizes}. Shorten [isolation] '
            'certifications or svirt_types.'
        )
    return text


def loads(text: object) -> Facts:
    """Read a document.

    :param text: the document as it came; None for none
    :raises FactsError: it is missing, not well formed, or newer
    """
    if text is None or text == '':
        raise FactsError(reasons.FACTS_MISSING, 'no facts')
    if not isinstance(text, str):
        raise _malformed(f'a {type(text).__name__} instead of text')
    size = len(text.encode(errors='surrogatepass'))
    if size > MAX_BYTES:
        raise _malformed(f'{size} bytes, more than {MAX_BYTES}')
    try:
        document = json.loads(
            text, object_pairs_hook=_no_twins, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise _malformed(f'not JSON: {error}') from None
    if not isinstance(document, dict):
        raise _malformed('not a JSON object')
    version = document.pop('v', None)
    if type(version) is not int or version < 1:
        raise _malformed(f'schema {version!r}')
    if version > VERSION:
        raise FactsError(
            reasons.FACTS_NEWER,
            f'schema {version}, known are those up to {VERSION}',
        )
    return Facts(types.MappingProxyType(document))


def violated(by: str = '') -> dict[str, str]:
    """What stands in the place of a section that a running guest violates.

    :param by: whose violation it is, for the host's own decisions; alike
        hosts publish alike documents, so what is published names nobody
    """
    return {_VIOLATED: by}


def violated_by(section: object) -> str | None:
    """Whose violation a section tells of.

    :param section: as it came
    :returns: what :func:`violated` was given; None: it tells of none
    """
    if isinstance(section, dict) and set(section) == {_VIOLATED}:
        by = section[_VIOLATED]
        return by if isinstance(by, str) else ''
    return None


def age(stats: Mapping[str, object], now: float) -> float | None:
    """How old the facts are.

    :param stats: the stats of a compute node
    :param now: seconds since the epoch
    :returns: seconds, negative for the future; None where the time is
        missing or malformed
    """
    text = stats.get(TIME_STAT)
    # float() and int() take more than we write: 'nan' compares false with
    # everything, and ' 1_0 ' is nobody's time.
    if (
        not isinstance(text, str)
        or not (text.isascii() and text.isdecimal())
        or len(text) > 12
    ):
        return None
    return now - int(text)


def _malformed(found: str) -> FactsError:
    return FactsError(reasons.FACTS_MALFORMED, found)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON leaves open which of two equal keys counts: neither does.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError('a key stands twice')
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f'{name} is no JSON')
