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

"""Conversion of a mechanism's part of the facts to a typed object and back.

A mechanism's part of the facts document is called a section here. In Python a
section is a frozen dataclass. Its fields are ``str``, ``int``, ``bool`` or
``tuple[str, ...]``, or one of these ``| None``, where None means unknown.
Reading is strict: a missing, unknown or wrongly typed field makes the whole
section malformed, because a reader that skips a field would have to guess its
value.
"""

from collections.abc import Hashable
from collections.abc import Mapping
import dataclasses
import functools
import types
import typing

from nova_isolation.model import facts
from nova_isolation.model import reasons

T = typing.TypeVar('T')


def write(section: typing.Any) -> dict[str, object]:
    """Return a section as JSON values.

    :param section: a dataclass as described above
    """
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(section)
        for value in (getattr(section, field.name),)
    }


def read(kind: type[T], value: object) -> T:
    """Return the typed section of JSON values.

    :param kind: the dataclass
    :param value: the JSON values from the document
    :raises nova_isolation.model.facts.FactsError: the value does not match
        the dataclass
    """
    # mypy does not know that a type is hashable.
    names = _hints(typing.cast(Hashable, kind))
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise facts.FactsError(
            reasons.FACTS_MALFORMED, f'not a section {kind.__name__}'
        )
    return kind(
        **{
            name: _field(kind.__name__, name, hint, value[name])
            for name, hint in names.items()
        }
    )


@functools.cache
def _hints(kind: type) -> dict[str, typing.Any]:
    """Return field name -> type of the field.

    The result is cached because the look-up takes most of the time of a read.
    """
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _field(owner: str, name: str, hint: object, value: object) -> object:
    """Return the value of a field.

    :raises nova_isolation.model.facts.FactsError: the value has another type
    """
    allowed = (
        typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    )
    for kind in allowed:
        if typing.get_origin(kind) is tuple:
            if isinstance(value, list) and all(
                type(word) is str for word in value
            ):
                return tuple(value)
        elif type(value) is kind:
            return value
    raise facts.FactsError(
        reasons.FACTS_MALFORMED, f'{owner}.{name} is {value!r}'
    )
