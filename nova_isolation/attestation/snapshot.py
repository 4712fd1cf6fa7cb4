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

"""What is known about the attestation of all hosts, at one moment."""

from collections.abc import Mapping
import dataclasses
import json
import math
import types
import typing

from nova_isolation.model import errors

#: The schema of the text.
VERSION = 1

#: The hosts are named by their compute services, ...
BY_HOST = 'host'
#: ... or by the UUIDs of their compute nodes.
BY_NODE = 'node'


class SnapshotError(errors.IsolationError, ValueError):
    """A text is not a snapshot."""


class Verdict(typing.NamedTuple):
    """What a verifier reports about one host.

    :ivar document: the
        :class:`~nova_isolation.mechanisms.attested.attestation_result.AttestationResult`
        as text
    :ivar good_at: when its last good quote was verified: seconds since the
        epoch by the verifier's clock; None: never
    :ivar reported_at: when the verifier last reported about the host, likewise
    :ivar agent: the agent on the host
    :ivar verifier: the verifier that reported
    """

    document: str
    good_at: float | None
    reported_at: float | None
    agent: str
    verifier: str


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What is known about all hosts. Never changed, only replaced.

    :ivar by: by what the hosts are named, :data:`BY_HOST` or :data:`BY_NODE`
    :ivar verdicts: host -> verdict
    :ivar trouble: which verifiers could not be asked, and why, in words; ''
        for none. Their verdicts are those of an earlier answer.
    :ivar serial: the provider's own name for this state
    """

    by: str = BY_HOST
    verdicts: Mapping[str, Verdict] = dataclasses.field(
        default_factory=lambda: types.MappingProxyType({})
    )
    trouble: str = ''
    serial: str = ''


def check(found: object) -> Snapshot:
    """Return what a provider has returned, if it is a snapshot.

    :raises TypeError, ValueError: it, or a part of it, is none
    """
    if not isinstance(found, Snapshot):
        raise TypeError(f'{found!r} is not a Snapshot')
    for text in (found.trouble, found.serial):
        _text(text)
    if found.by not in (BY_HOST, BY_NODE):
        raise ValueError(f'by {found.by!r}')
    for name, one in found.verdicts.items():
        if not isinstance(one, Verdict):
            raise TypeError(f'{one!r} is not a Verdict')
        for text in (name, one.document, one.agent, one.verifier):
            _text(text)
        for moment in (one.good_at, one.reported_at):
            _moment(moment)
    return found


def dumps(snapshot: Snapshot) -> str:
    """Return the snapshot as text, without its serial."""
    numbers: dict[str, int] = {}
    hosts = {
        name: [
            numbers.setdefault(one.document, len(numbers)),
            one.good_at,
            one.reported_at,
            one.agent,
            one.verifier,
        ]
        for name, one in snapshot.verdicts.items()
    }
    return json.dumps(
        {
            'v': VERSION,
            'by': snapshot.by,
            'documents': list(numbers),
            'hosts': hosts,
            'trouble': snapshot.trouble,
        },
        separators=(',', ':'),
        allow_nan=False,
    )


def loads(text: str | bytes, serial: str = '') -> Snapshot:
    """Read a snapshot. One wrong entry makes the whole text wrong.

    :param serial: see :class:`Snapshot`
    :raises SnapshotError: the text is not a snapshot
    """
    try:
        value = json.loads(text)
        if type(value['v']) is not int or value['v'] != VERSION:
            raise SnapshotError(
                f'wanted a snapshot of schema {VERSION}, found schema '
                f'{value["v"]!r}'
            )
        by, trouble = value['by'], value['trouble']
        if by not in (BY_HOST, BY_NODE) or not isinstance(trouble, str):
            raise ValueError(f'by {by!r}, trouble {trouble!r}')
        documents = [_text(one) for one in value['documents']]
        verdicts = {
            name: _verdict(documents, row)
            for name, row in value['hosts'].items()
        }
    except SnapshotError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise SnapshotError(
            f'the text is not a snapshot: {type(error).__name__}: {error}'
        ) from None
    return Snapshot(by, types.MappingProxyType(verdicts), trouble, serial)


def _verdict(documents: list[str], row: list[typing.Any]) -> Verdict:
    number, good_at, reported_at, agent, verifier = row
    if type(number) is not int or number < 0:
        raise ValueError(f'document {number!r}')
    return Verdict(
        documents[number],
        _moment(good_at),
        _moment(reported_at),
        _text(agent),
        _text(verifier),
    )


def _moment(value: object) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(
        typing.cast(float, value)
    ):
        raise ValueError(f'the time {value!r}')
    return typing.cast(float, value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not a text')
    return value
