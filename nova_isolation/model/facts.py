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

"""The facts document: what a compute host has measured about itself.

The document travels as one JSON string in the ``stats`` of Nova's compute
node. Nova reads the stats of all hosts on every request, so the document is
limited to :data:`MAX_BYTES`. It contains nothing that distinguishes two alike
hosts, neither a name nor a time: alike hosts have equal documents, and the
scheduler decides once for all of them. The time of the measurement is a stat
of its own (:data:`TIME_STAT`).

::

    {"v": 1, "svirt": {...}, "qemu": {...}, "hypervisor": null, ...}

``v`` is the schema. Every other key is the name of a mechanism. Its value is
one of four things:

* what that mechanism measured, in a form that the mechanism defines
  (:mod:`nova_isolation.model.typed_section`);
* null, where the mechanism could not measure the host;
* the result of :func:`unseen`, where the host cannot see what the mechanism
  needs for a verification;
* the result of :func:`violated`, where a running guest is not confined by
  that mechanism as its flavor asks. The host then accepts no new guest that
  needs the mechanism.
"""

from collections.abc import Mapping
import dataclasses
import functools
import json
import types

from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.model import reasons

#: The schema that this release writes, and the newest schema that it reads.
VERSION = 1

#: The largest size of a document, in bytes of UTF-8.
MAX_BYTES = 1024

#: The most digits of a time, in seconds since the epoch.
_MAX_TIME = 12

#: The key of the document in the compute node's stats.
STAT = 'isolation_facts'

#: The key of the time of the measurement: whole seconds since the epoch, as
#: text.
TIME_STAT = 'isolation_measured_at'

#: The stat with the host's ``[isolation] mode``.
MODE_STAT = 'isolation_mode'

_VIOLATED = 'violated'

_UNSEEN = 'unseen'


class FactsError(errors.IsolationError):
    """A facts document cannot be used.

    :ivar reason: why the document cannot be used
    :ivar found: what was found instead, for the message
    """

    def __init__(self, reason: reasons.Reason, found: str) -> None:
        # The document is another host's.
        self.found = printable.one_line(found)
        super().__init__(self.found)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Facts:
    """A facts document that was read.

    :ivar sections: name of a mechanism -> what that mechanism measured, as
        JSON values
    """

    sections: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Freshness:
    """The limits for the age of facts.

    :ivar max_age: seconds after which facts no longer count
    :ivar clock_skew: seconds by which facts may be dated in the future
    """

    max_age: float = 180.0
    clock_skew: float = 30.0

    def accepts(self, age: float | None) -> bool:
        """Return whether facts of this age, in seconds, count."""
        return age is not None and -self.clock_skew <= age <= self.max_age

    def band(self, age: float | None) -> object:
        """Return how an age, in seconds, stands to the limits.

        Facts that differ only in their age, and are in the same band, are
        refused for the same reasons.
        """
        return self.accepts(age) or (age is not None, age is None or age < 0)


def dumps(sections: Mapping[str, object]) -> str:
    """Write a facts document.

    :param sections: name of a mechanism -> what that mechanism measured, or
        None
    :returns: the same text for the same facts
    :raises ValueError: the document would be larger than :data:`MAX_BYTES`,
        or a section cannot be written as JSON
    """
    try:
        text = json.dumps(
            {**sections, 'v': VERSION},
            sort_keys=True,
            separators=(',', ':'),
            allow_nan=False,
        )
    except (TypeError, RecursionError) as error:
        raise ValueError(
            f'the facts cannot be written as JSON: {error}'
        ) from error
    if len(text) > MAX_BYTES:
        sizes = {n: len(json.dumps(s)) for n, s in sections.items()}
        largest = max(sizes, key=lambda name: sizes[name])
        raise ValueError(
            f'the facts take {len(text)} bytes, at most {MAX_BYTES} are '
            f'allowed; by mechanism: {sizes}. Shorten the lists in the '
            f'options of mechanism {largest}.'
        )
    return text


#: The codes with which :func:`loads` refuses a document.
UNREADABLE = frozenset(
    reason.code
    for reason in (
        reasons.FACTS_MISSING,
        reasons.FACTS_MALFORMED,
        reasons.FACTS_NEWER,
    )
)


def loads(text: object) -> Facts:
    """Read a facts document.

    :param text: the document as it was received; None where the host
        published no document
    :raises FactsError: the document is missing, malformed, or has a newer
        schema; the code is one of :data:`UNREADABLE`
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
            f'schema {version}, but this release reads up to {VERSION}',
        )
    return Facts(types.MappingProxyType(document))


def violated(by: str = '') -> dict[str, str]:
    """Return the replacement for a section that a running guest violates.

    :param by: the guest and its violation, for the decisions of the host
        itself. Empty in a published document, because alike hosts must
        publish equal documents.
    """
    return {_VIOLATED: by}


def violated_by(section: object) -> str | None:
    """Return the violation that a section reports.

    :param section: the section as it was received
    :returns: the argument of :func:`violated`; None where the section
        reports no violation
    """
    if isinstance(section, dict) and set(section) == {_VIOLATED}:
        by = section[_VIOLATED]
        return by if isinstance(by, str) else ''
    return None


def unseen(reason: reasons.Reason) -> dict[str, str]:
    """Return the replacement for a section whose proofs could not be seen.

    :param reason: why the host cannot verify guests by this mechanism
    """
    return {_UNSEEN: reason.code}


def unseen_by(section: object) -> str | None:
    """Return the reason code of a section that :func:`unseen` made.

    :param section: the section as it was received
    :returns: the code, as another host wrote it; None where the section is
        not of this form
    """
    if isinstance(section, dict) and set(section) == {_UNSEEN}:
        code = section[_UNSEEN]
        return code if isinstance(code, str) else ''
    return None


def age(stats: Mapping[str, object], now: float) -> float | None:
    """Return the age of the facts.

    :param stats: the stats of a compute node
    :param now: seconds since the epoch
    :returns: seconds, negative for the future; None where the time is
        missing or malformed
    """
    text = stats.get(TIME_STAT)
    # What is longer is no time, and need not be kept.
    if not isinstance(text, str) or len(text) > _MAX_TIME:
        return None
    measured = _seconds(text)
    return None if measured is None else now - measured


# Many hosts were measured within the same seconds.
@functools.lru_cache(maxsize=1024)
def _seconds(text: str) -> int | None:
    """Return a time in the form in which this project writes it.

    float() and int() accept more than that: 'nan' compares false with
    everything, and ' 1_0 ' is not a time.

    :returns: seconds since the epoch; None: it has another form
    """
    return int(text) if text.isascii() and text.isdecimal() else None


def _malformed(found: str) -> FactsError:
    return FactsError(reasons.FACTS_MALFORMED, found)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON does not define which of two equal keys counts, so a document with
    # two equal keys is refused.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError('a key occurs twice')
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f'{name} is not JSON')
