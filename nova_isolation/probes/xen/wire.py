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

"""Questions and answers as JSON, between two processes.

Reading is strict: a missing, unknown or wrongly typed field is an error,
because a reader that skips a field would have to guess its value.
"""

import dataclasses
import json
import types
import typing

T = typing.TypeVar('T')


def dumps(value: typing.Any) -> str:
    """Return a dataclass of :mod:`nova_isolation.probes.xen.answers`."""
    return json.dumps(dataclasses.asdict(value))


def loads(kind: type[T], text: str) -> T:
    """Return the dataclass of a text.

    :raises ValueError: the text is none of such a dataclass
    """
    found: T = read(kind, json.loads(text))
    return found


def read(hint: typing.Any, value: typing.Any) -> typing.Any:
    """Return a value of JSON as the type that a hint names.

    :param hint: a dataclass, a tuple, str, int, bool, or one of these or None
    :raises ValueError: the value is of another type
    """
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        (hint,) = (h for h in typing.get_args(hint) if h is not type(None))
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        if isinstance(value, dict) and set(value) == set(hints):
            kind = typing.cast(typing.Any, hint)
            return kind(**{n: read(hints[n], value[n]) for n in hints})
    elif typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if isinstance(value, list):
            if inner[-1] is Ellipsis:
                return tuple(read(inner[0], one) for one in value)
            if len(inner) == len(value):
                return tuple(map(read, inner, value))
    elif type(value) is hint:
        return value
    raise ValueError(f'{value!r:.80} is no {getattr(hint, "__name__", hint)}')
