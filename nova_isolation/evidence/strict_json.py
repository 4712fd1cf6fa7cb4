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

"""JSON that has one meaning for every reader, and one form for its writer."""

from collections.abc import Iterable
import json
import typing

from nova_isolation.evidence import errors

#: How deep objects and lists may lie in each other.
MAX_DEPTH = 16


def dumps(value: object) -> bytes:
    """Return the one form of a JSON value: sorted, without spaces, ASCII.

    :raises ValueError: the value has a number that JSON cannot hold
    """
    return json.dumps(
        value, sort_keys=True, separators=(',', ':'), allow_nan=False
    ).encode('ascii')


def loads(data: bytes, limit: int) -> typing.Any:
    """Read JSON.

    Refused is what readers understand differently: an object that names a
    member twice, NaN and infinities, bytes that are not UTF-8.

    :param data: the text, UTF-8
    :param limit: the most bytes that are read
    :raises nova_isolation.evidence.errors.BadEvidence: see above; or the text
        is too long, too deep, or no JSON
    """
    if len(data) > limit:
        raise errors.BadEvidence(
            errors.Code.SIZE,
            f'wanted at most {limit} bytes, found {len(data)}',
        )
    try:
        value = json.loads(
            data.decode('utf-8'),
            object_pairs_hook=_no_twins,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise errors.BadEvidence(
            errors.Code.JSON, f'wanted JSON, found {error}'
        ) from None
    if _deeper_than(value, MAX_DEPTH):
        raise errors.BadEvidence(
            errors.Code.JSON,
            f'wanted JSON of at most {MAX_DEPTH} levels, found a deeper one',
        )
    return value


def _no_twins(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f'the member {name!r} twice')
        found[name] = value
    return found


def _no_constant(name: str) -> typing.NoReturn:
    raise ValueError(name)


def _deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        inner: Iterable[object] = value.values()
    elif isinstance(value, list):
        inner = value
    else:
        return False
    return not levels or any(_deeper_than(one, levels - 1) for one in inner)
