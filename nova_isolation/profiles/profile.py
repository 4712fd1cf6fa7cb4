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

"""A profile: extra specs under one name, and what they buy.

A profile is a YAML file. Its name is that of the file::

    summary: One sentence.
    buys:
      - what: what the admin gets for it
        against: whom it protects against
    lacks:
      - what nobody should expect of it
    extra_specs:
      isolation:svirt: selinux

All values are texts: YAML's own words for booleans and numbers are not
interpreted, so ``true`` and ``60`` need no quotation marks.
"""

from collections.abc import Mapping
import dataclasses
import re
import types
import typing

import yaml

from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.model import requirements
from nova_isolation.model import vocabulary

#: The names of profiles; they are also arguments of a command.
NAME = re.compile('[a-z0-9][a-z0-9-]{0,63}')

#: The longest text of a profile, in characters.
MAX_TEXT = 65536

_KEYS = ('summary', 'buys', 'lacks', 'extra_specs')


class ProfileError(errors.IsolationError):
    """A profile cannot be used. The text names it and says what to do."""


@dataclasses.dataclass(frozen=True)
class Benefit:
    """What a profile buys.

    :ivar what: what the admin gets
    :ivar against: whom or what this protects against
    """

    what: str
    against: str


@dataclasses.dataclass(frozen=True)
class Profile:
    """A valid profile.

    :ivar name: the name
    :ivar source: where the profile is from: a path, or ``shipped``
    :ivar summary: one sentence
    :ivar buys: what the extra specs buy; never empty
    :ivar lacks: sentences that say what they do not buy; never empty
    :ivar extra_specs: the extra specs of a flavor, valid together; never
        empty
    """

    name: str
    source: str
    summary: str
    buys: tuple[Benefit, ...]
    lacks: tuple[str, ...]
    extra_specs: Mapping[str, str]


class _Loader(yaml.BaseLoader):
    """Makes texts of all values, and refuses a key that is there twice."""

    def construct_mapping(
        self, node: typing.Any, deep: bool = False
    ) -> dict[typing.Any, typing.Any]:
        """See the base class."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f'it has {twice[0]!r} twice')
        mapping: dict[typing.Any, typing.Any] = super().construct_mapping(
            node, deep
        )
        return mapping


def parse(
    name: str, source: str, text: str, known: vocabulary.Vocabulary
) -> Profile:
    """Return the profile of a YAML text.

    :param name: the name of the profile
    :param source: where the text is from, for messages
    :param text: the YAML text
    :param known: the vocabulary that the extra specs must be of
    :raises ProfileError: the profile is not valid
    """
    try:
        if not NAME.fullmatch(name):
            raise ValueError(
                'its name is not made of lower-case letters, digits and "-"'
            )
        return _parse(name, source, text, known)
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        why = ' '.join(str(error).split())
        raise ProfileError(
            f'The profile {name!r} ({source}) is not valid: {why}. Correct '
            'the file.'
        ) from error


def _parse(
    name: str, source: str, text: str, known: vocabulary.Vocabulary
) -> Profile:
    if len(text) > MAX_TEXT:
        raise ValueError(f'it is longer than {MAX_TEXT} characters')
    # Derived from BaseLoader, which makes nothing but texts, lists and
    # mappings.
    document = yaml.load(text, _Loader)  # noqa: S506  # nosec B506
    if not isinstance(document, dict) or set(document) != set(_KEYS):
        raise ValueError(f'wanted exactly the keys {", ".join(_KEYS)}')
    buys = document['buys']
    if not isinstance(buys, list) or not all(
        isinstance(one, dict) and set(one) == {'what', 'against'}
        for one in buys
    ):
        raise ValueError('"buys" is no list of "what" and "against"')
    lacks = document['lacks']
    if not isinstance(lacks, list):
        raise ValueError('"lacks" is no list of sentences')
    if not buys or not lacks:
        raise ValueError('"buys" and "lacks" must not be empty')
    return Profile(
        name,
        source,
        _words(document['summary']),
        tuple(
            Benefit(_words(one['what']), _words(one['against']))
            for one in buys
        ),
        tuple(map(_words, lacks)),
        _extra_specs(document['extra_specs'], known),
    )


def _words(value: object) -> str:
    """Return a text of the profile as one line.

    :raises ValueError: it is no text, or empty
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'{value!r} is in the place of a sentence')
    return printable.one_line(' '.join(value.split()))


def _extra_specs(
    value: object, known: vocabulary.Vocabulary
) -> Mapping[str, str]:
    """Return the extra specs of a profile.

    :raises ValueError: they are not valid together
    """
    if not isinstance(value, dict) or not value:
        raise ValueError('"extra_specs" is no mapping of extra specs')
    for key in value:
        if not isinstance(key, str) or not vocabulary.is_ours(key):
            raise ValueError(
                f'{key!r} is no extra spec in {vocabulary.NAMESPACE!r}'
            )
    parsed = requirements.parse(value, known)
    if parsed.problems:
        raise ValueError('; '.join(map(str, parsed.problems)))
    return types.MappingProxyType({key: value[key] for key in sorted(value)})
