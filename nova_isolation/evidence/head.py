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

"""The signed head of a log: how many entries it has, and their hash."""

import dataclasses
import re
import typing

from securesystemslib import signer as signers

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import merkle
from nova_isolation.evidence import strict_json

#: The payload type of the envelope that has a head.
PAYLOAD_TYPE = 'application/vnd.nova-isolation.log-head+json'

#: The schema of a head.
VERSION = 1

_MAX_BYTES = 512
_HASH = re.compile('[0-9a-f]{64}')


@dataclasses.dataclass(frozen=True)
class Head:
    """What the log says of itself at one moment.

    :ivar size: how many entries it has
    :ivar root: the hash of them all, see
        :mod:`nova_isolation.evidence.merkle`
    :ivar time: when the head was signed, seconds since the epoch by the
        log's clock
    """

    size: int
    root: bytes
    time: int


def seal(head: Head, signer: signers.Signer) -> dict[str, typing.Any]:
    """Sign a head, and return the envelope, JSON values."""
    return envelope.sign(
        strict_json.dumps(
            {
                'root': head.root.hex(),
                'size': head.size,
                'time': head.time,
                'v': VERSION,
            }
        ),
        PAYLOAD_TYPE,
        signer,
    )


def read(
    given: bytes | dict[str, typing.Any], keys: typing.Iterable[signers.Key]
) -> tuple[Head, str]:
    """Verify the signature of a head, and return the head.

    :param given: the envelope, as text or as JSON values
    :param keys: the logs that are trusted, by
        :func:`nova_isolation.evidence.envelope.trusted`
    :returns: the head, and the id of the log's key
    :raises nova_isolation.evidence.errors.BadEvidence: none of the keys has
        signed, or what is signed is no head
    """
    sealed = envelope.read(given, PAYLOAD_TYPE)
    value = strict_json.loads(sealed.payload(keys), _MAX_BYTES)
    if (
        not isinstance(value, dict)
        or set(value) != {'root', 'size', 'time', 'v'}
        or value['v'] != VERSION
        or not all(is_number(value[name]) for name in ('size', 'time'))
        or not is_hash(value['root'])
    ):
        raise errors.BadEvidence(
            errors.Code.RECEIPT, "wanted a log's head, found something else"
        )
    root = bytes.fromhex(value['root'])
    return Head(value['size'], root, value['time']), sealed.key_id


def check_newer(kept: Head, newer: Head, path: list[str]) -> None:
    """Refuse a head of a log that does not contain an older head.

    Nothing was removed, altered or inserted since the older head if this
    returns, and both heads are of one and the same log.

    :param kept: the older head
    :param newer: the newer head
    :param path: the proof of consistency, hexadecimal
    :raises nova_isolation.evidence.errors.BadEvidence: it does not
    """
    if not all(map(is_hash, path)) or not merkle.check_consistency(
        kept.size,
        newer.size,
        kept.root,
        newer.root,
        [bytes.fromhex(one) for one in path],
    ):
        raise errors.BadEvidence(
            errors.Code.FORK,
            f'wanted a log that still has the {kept.size} entries of the head '
            f'{kept.root.hex()}, found one of {newer.size} entries with the '
            f'head {newer.root.hex()} that does not: entries were removed or '
            'altered, or the log shows different entries to different '
            'readers. Keep both heads, they prove it',
        )


def is_hash(value: object) -> bool:
    """Return whether a value is a SHA-256, hexadecimal, lower case."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def is_number(value: object) -> bool:
    """Return whether a value is a whole number that a log may have."""
    return type(value) is int and 0 <= value < 2**53
