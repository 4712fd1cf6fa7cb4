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

"""Alter envelopes at random; none of them may be accepted.

Usage: python -m tools.fuzz_evidence [NUMBER] [SEED]

An envelope is altered as bytes, as JSON, and inside of what is signed. Bytes
that still are the same JSON values do not count as altered. The exit status
is 1 where an altered envelope was accepted, or something else than
BadEvidence was raised.
"""

import base64
import collections
from collections.abc import Callable
import dataclasses
import importlib
import json
import random
import sys
import typing

from cryptography.hazmat.primitives.asymmetric import utils

from nova_isolation.evidence import envelope
from nova_isolation.evidence import errors
from nova_isolation.evidence import statement as statements
from nova_isolation.evidence import statement_form

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_samples: typing.Any = importlib.import_module('tests.unit.evidence.samples')

#: An alteration of the bytes of an envelope.
Alteration = Callable[[random.Random, bytes], bytes]


def make() -> tuple[bytes, typing.Any]:
    """Return an envelope, and the key that opens it."""
    signer = _samples.signer()
    return envelope.seal(_samples.OPERATOR, signer), signer.public_key


def _flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return (
        data[:place]
        + bytes([data[place] ^ 1 << rng.randrange(8)])
        + data[place + 1 :]
    )


def _insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randint(1, 4)) + data[place:]


def _delete(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randint(1, 8) :]


def _swap(rng: random.Random, data: bytes) -> bytes:
    first, second = sorted(rng.sample(range(len(data) + 1), 2))
    return data[:first] + data[second:] + data[first:second]


def _member(rng: random.Random, data: bytes) -> bytes:
    """Change, add or remove a member of the envelope."""
    value = json.loads(data)
    where = rng.choice([value, value['signatures'][0]])
    name = rng.choice([*where, 'more'])
    if rng.random() < 0.3 and name in where:
        del where[name]
    else:
        where[name] = rng.choice(
            [None, '', [], {}, 0, 1.5, True, 'x', value['payload'], [{}]]
        )
    return json.dumps(value).encode()


def _twice(rng: random.Random, data: bytes) -> bytes:
    """Repeat the signature, or a member."""
    value = json.loads(data)
    if rng.random() < 0.5:
        value['signatures'] *= 2
        return json.dumps(value).encode()
    name = rng.choice(list(value))
    more = json.dumps({name: value[name]}).encode()
    return more[:-1] + b',' + data[1:]


def _payload(rng: random.Random, data: bytes) -> bytes:
    """Change what is signed; the base64 stays right."""
    value = json.loads(data)
    inner = base64.b64decode(value['payload'])
    change = rng.choice([_flip, _insert, _delete, _swap])
    value['payload'] = base64.b64encode(change(rng, inner)).decode()
    return json.dumps(value).encode()


def _said(rng: random.Random, data: bytes) -> bytes:
    """Change one member of the predicate to another valid value."""
    value = json.loads(data)
    stated = statement_form.loads(base64.b64decode(value['payload']))
    other: dict[str, typing.Any] = rng.choice(
        [
            {'mode': statements.Mode.AUDIT},
            {'nonce': f'{rng.getrandbits(64):016x}'},
            {'nonce': None},
            {'occasion': statements.Occasion.WATCH},
            {'key': statements.KeyKind.TPM},
            {'finished': '2026-11-26T12:00:02Z'},
            {'proofs': ()},
        ]
    )
    value['payload'] = base64.b64encode(
        statement_form.dumps(dataclasses.replace(stated, **other))
    ).decode()
    return json.dumps(value).encode()


def _signature(rng: random.Random, data: bytes) -> bytes:
    """Change the signature; the base64 stays right."""
    value = json.loads(data)
    one = value['signatures'][0]
    raw = base64.b64decode(one['sig'])
    r, s = utils.decode_dss_signature(raw)
    one['sig'] = base64.b64encode(
        rng.choice(
            [
                _flip(rng, raw),
                _delete(rng, raw),
                _insert(rng, raw),
                raw + b'\0',
                # These verify, or did in other libraries.
                utils.encode_dss_signature(r, _ORDER - s),
                utils.encode_dss_signature(r + _ORDER, s),
                utils.encode_dss_signature(r, s + _ORDER),
                utils.encode_dss_signature(0, 0),
                utils.encode_dss_signature(rng.getrandbits(256), s),
            ]
        )
    ).decode()
    return json.dumps(value).encode()


def _base64(rng: random.Random, data: bytes) -> bytes:
    """Write the same bytes in another base64."""
    value = json.loads(data)
    where, name = rng.choice(
        [(value, 'payload'), (value['signatures'][0], 'sig')]
    )
    text = where[name]
    bare = text.rstrip('=')
    letters = (
        'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    )
    where[name] = rng.choice(
        [
            text + '\n',
            '!' + text,
            text + '=',
            bare + '==' if text == bare else bare,
            bare[:-1] + rng.choice(letters) + text[len(bare) :],
            text.replace('+', '-').replace('/', '_') + ' ',
        ]
    )
    return json.dumps(value).encode()


ALTERATIONS: tuple[Alteration, ...] = (
    _flip,
    _insert,
    _delete,
    _swap,
    _member,
    _twice,
    _payload,
    _said,
    _signature,
    _base64,
)


def _same(one: bytes, other: bytes) -> bool:
    """Whether two texts are the same JSON to a strict reader."""
    try:
        found = json.loads(
            other.decode(), object_pairs_hook=lambda pairs: pairs
        )
        return bool(
            found == json.loads(one, object_pairs_hook=lambda pairs: pairs)
        )
    except (ValueError, RecursionError):
        return False


def run(
    number: int, seed: int
) -> tuple[list[bytes], collections.Counter[str]]:
    """Alter envelopes.

    :param number: how many altered ones are opened
    :param seed: of the random choices
    :returns: those that were accepted, and how often each code was given
    :raises Exception: what was raised instead of BadEvidence
    """
    rng = random.Random(seed)  # noqa: S311  # nosec B311
    data, key = make()
    accepted: list[bytes] = []
    codes: collections.Counter[str] = collections.Counter()
    opened = 0
    while opened < number:
        altered = rng.choice(ALTERATIONS)(rng, data)
        if rng.random() < 0.1:
            altered = rng.choice(ALTERATIONS[:4])(rng, altered)
        if _same(data, altered):
            continue
        opened += 1
        try:
            envelope.open_envelope(altered, [key])
            accepted.append(altered)
        except errors.BadEvidence as error:
            codes[error.code.value] += 1
    return accepted, codes


def main() -> int:
    """The program; see above."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    accepted, codes = run(number, seed)
    for code, count in sorted(codes.items()):
        print(f'{count:8} {code}')
    print(f'{number} altered envelopes, {len(accepted)} accepted')
    for one in accepted[:10]:
        print(one)
    return bool(accepted)


if __name__ == '__main__':
    sys.exit(main())
