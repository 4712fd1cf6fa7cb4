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

"""The extra specs of the ``isolation:`` namespace.

Each row of the vocabulary describes one extra spec and belongs to a
mechanism, of this tree or of another package
(:attr:`nova_isolation.mechanisms.base.Mechanism.extra_specs`). The parser,
the validators of Nova's API and the documentation are made from the
:class:`Vocabulary` of the loaded mechanisms.

The key names its owner: every key of the mechanism NAME is ``isolation:NAME``
or begins with ``isolation:NAME_``. So the owner is known even where the
mechanism failed to load and its rows are missing.

The libvirt hook reads the rows without the rest of this package: a module that
takes long to import is imported here by the function that needs it, and a row
is no dataclass.
"""

from __future__ import annotations

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping
    from collections.abc import Sequence

#: The prefix of every extra spec of this project.
NAMESPACE = 'isolation:'

_NAME = NAMESPACE.rstrip(':')

#: Characters that look like a colon, or like nothing, or like an i without its
#: dot, and that Unicode does not map to one.
_ALIKE = str.maketrans(
    {
        **dict.fromkeys(
            '\u02d0\u02f8\u0589\u05c3\u0703\u0704\u0903\u0a83\u16ec\u1803\u1809'
            '\u205a\u2236\ua4fd\ua789\ufe30',
            ':',
        ),
        **dict.fromkeys('\u115f\u1160\u3164\uffa0', ''),
        '\u2800': ' ',
        '\u0131': 'i',
        **dict.fromkeys('\u00b7\u2010\u2011\u2012\u2013\u2014\u2212', '-'),
    }
)

#: What is written in a key by mistake, where it has a colon or a "_".
_SEPARATORS = '[-._/=+ ]+'

#: The pattern of one word that is a name, as programmers know it.
IDENTIFIER = '[A-Za-z_][A-Za-z0-9_]*'

#: The prefixes of keys that belong to features of later releases. Such keys
#: are refused, so that a flavor never promises what no mechanism enforces.
RESERVED = ('isolation:memory',)

#: Nova's own limit for a value (nova/api/openstack/compute/schemas).
MAX_VALUE = 255


class ExtraSpec:
    """One row of the vocabulary. It does not change.

    :ivar key: the extra spec, with its namespace
    :ivar condition: a clause that completes "the guest runs only where ..."
    :ivar example: a valid value
    :ivar values: the allowed words; where they are empty, ``pattern`` applies
    :ivar pattern: a regular expression for one word, where ``values`` is
        empty
    :ivar several: True: the value is a comma-separated list of words; False:
        the value is one word
    :ivar requires: (key, value) pairs that the flavor must have as well
    :ivar compatible: (key, words) pairs: where the flavor has this key as
        well, the value of this key must have one of these words
    """

    key: str
    condition: str
    example: str
    values: tuple[str, ...]
    pattern: str
    several: bool
    requires: tuple[tuple[str, str], ...]
    compatible: tuple[tuple[str, tuple[str, ...]], ...]

    def __init__(
        self,
        key: str,
        condition: str,
        example: str,
        values: tuple[str, ...] = (),
        pattern: str = '',
        several: bool = False,
        requires: tuple[tuple[str, str], ...] = (),
        compatible: tuple[tuple[str, tuple[str, ...]], ...] = (),
    ) -> None:
        """See the class. :class:`Vocabulary` checks the values."""
        vars(self).update(
            key=key,
            condition=condition,
            example=example,
            values=values,
            pattern=pattern,
            several=several,
            requires=requires,
            compatible=compatible,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f'a row does not change: {name}')

    def __repr__(self) -> str:
        own = ', '.join(f'{k}={v!r}' for k, v in vars(self).items())
        return f'ExtraSpec({own})'

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def is_boolean(self) -> bool:
        """Whether the only value is ``true``.

        Letter case does not matter then, as for Nova's own booleans. Nova's
        other words for true (1, yes, on) are not taken.
        """
        return self.values == ('true',)

    @property
    def word(self) -> str:
        """A regular expression for one word of the value."""
        if self.is_boolean:
            return '(?:[Tt][Rr][Uu][Ee])'
        if self.values:
            import re

            return '(?:' + '|'.join(map(re.escape, self.values)) + ')'
        return f'(?:{self.pattern})'

    @property
    def expression(self) -> str:
        """A regular expression for the whole value, for ``fullmatch``."""
        return f'{self.word}(?:,{self.word})*' if self.several else self.word

    @property
    def allowed(self) -> str:
        """A description of the allowed values, for a message."""
        words = ', '.join(self.values) if self.values else f'/{self.pattern}/'
        if self.several:
            return f'a comma-separated list of: {words}'
        return words if len(self.values) == 1 else f'one of: {words}'

    def parse(self, text: object) -> tuple[str, ...]:
        """Split a value into its words.

        :param text: the value as Nova stores it
        :returns: the words of the value, sorted, each once; ``true`` in lower
            case
        :raises ValueError: the value is not a string, is empty, too long or
            not allowed; the message names the allowed values
        """
        if (
            not isinstance(text, str)
            or len(text) > MAX_VALUE
            or not self._allows(text)
        ):
            raise ValueError(self.allowed)
        if self.is_boolean:
            text = text.lower()
        return tuple(sorted(set(text.split(','))))

    def _allows(self, text: str) -> bool:
        """Whether :attr:`expression` matches the whole text."""
        if not self.values and self.pattern != IDENTIFIER:
            import re

            return re.fullmatch(self.expression, text) is not None
        # The same without a regular expression, whose module and compilation
        # take longer than a whole check of the libvirt hook.
        words = text.split(',') if self.several else [text]
        if not self.values:
            return all(one.isascii() and one.isidentifier() for one in words)
        if self.is_boolean and text.isascii():
            words = [word.lower() for word in words]
        return all(word in self.values for word in words)

    def missing(
        self, present: Mapping[str, Sequence[str]]
    ) -> list[tuple[str, str]]:
        """List what the flavor must have beside this extra spec and has not.

        :param present: key -> words, of the flavor's valid extra specs
        :returns: (key, value) pairs
        """
        return [
            (key, value)
            for key, value in self.requires
            if key not in present or ','.join(present[key]) != value
        ]

    def clashing(
        self, present: Mapping[str, Sequence[str]]
    ) -> list[tuple[str, tuple[str, ...]]]:
        """List what the flavor has that no host can meet beside this one.

        :param present: key -> words, of the flavor's valid extra specs
        :returns: (key, the words of which the flavor must have one)
        """
        return [
            (key, words)
            for key, words in self.compatible
            if key in present and not set(words) & set(present[key])
        ]


class Vocabulary:
    """The extra specs of the mechanisms of this process.

    :ivar rows: key -> row of this key
    """

    rows: Mapping[str, ExtraSpec]

    def __init__(
        self,
        owned: Mapping[str, Iterable[ExtraSpec]],
        failed: Iterable[str] = (),
    ) -> None:
        """:param owned: name of a mechanism -> rows of this mechanism
        :param failed: names of mechanisms that failed to load; their rows
            are unknown
        :raises ValueError: a row is outside the namespace, is reserved, does
            not begin with the name of its mechanism, exists twice, or does
            not allow its own example, or has companions that are no texts
        """
        rows: dict[str, ExtraSpec] = {}
        self._owners: dict[str, str] = {}
        self._loaded = frozenset(owned)
        self._failed = frozenset(failed) - self._loaded
        for name, specs in owned.items():
            for spec in specs:
                self._check(name, spec)
                if spec.key in rows:
                    raise ValueError(f'{spec.key!r} already has an owner')
                rows[spec.key] = spec
                self._owners[spec.key] = name
        self.rows = types.MappingProxyType(rows)

    @staticmethod
    def _check(name: str, spec: ExtraSpec) -> None:
        if not spec.key.startswith(NAMESPACE) or spec.key == NAMESPACE:
            raise ValueError(f'{spec.key!r} is not in {NAMESPACE!r}')
        if is_reserved(spec.key):
            raise ValueError(f'{spec.key!r} is reserved')
        if not is_named_after(spec.key, name):
            raise ValueError(
                f'{spec.key!r} does not begin with {NAMESPACE + name!r}'
            )
        # A malformed regular expression is found here, before a flavor is
        # parsed.
        spec.parse(spec.example)
        if any(',' in word for word in spec.values):
            raise ValueError(f'{spec.key!r} allows a word with a comma')
        # So are companions that are no texts.
        companions = [*spec.requires]
        for key, words in spec.compatible:
            companions += [(key, word) for word in words]
        for key, value in companions:
            if not (isinstance(key, str) and isinstance(value, str)):
                raise ValueError(
                    f'{spec.key!r} has the companion {key!r} with {value!r}; '
                    'wanted two texts'
                )

    def owner(self, key: str) -> str:
        """Return the name of the mechanism that owns a key.

        :raises KeyError: no loaded mechanism owns the key
        """
        return self._owners[key]

    def of(self, mechanism: str) -> tuple[ExtraSpec, ...]:
        """Return the rows of a mechanism, in the mechanism's own order."""
        return tuple(
            row
            for key, row in self.rows.items()
            if self._owners[key] == mechanism
        )

    def near_miss(self, key: str) -> str | None:
        """Return the extra spec that a key outside the namespace may mean.

        ``isolation.svirt`` and ``isolation_svirt`` have no namespace, so they
        belong to nobody and this project does not enforce them. Whoever sees
        such a key says so.

        :returns: the extra spec, e.g. ``isolation:svirt``; None where the
            key is in a namespace, or is like no extra spec of ours
        """
        plain = without_colon(key)
        if not plain:
            return None
        import re

        return next(
            (k for k in self.rows if re.fullmatch(misspelling(k), plain)), None
        )

    def meant(self, key: str) -> str | None:
        """Return the extra spec that a key which is not enforced may mean.

        Whoever reports about flavors points out what this returns: a key
        without a namespace (:meth:`near_miss`), which Nova's API also
        refuses, and a key of a mistyped one (:func:`mistyped`).

        :returns: the extra spec; None where the key is ours, or is like no
            extra spec of ours
        """
        return self.near_miss(key) or mistyped(key, self.rows)

    def unavailable_owner(self, key: str) -> str | None:
        """Return the mechanism that owns a key and failed to load.

        :returns: the name; None where the key is named after a loaded
            mechanism, or is not named after any mechanism
        """
        owner = named_after(key, self._loaded | self._failed)
        return owner if owner in self._failed else None


def is_named_after(key: str, mechanism: str) -> bool:
    """Return whether a mechanism of this name may own a key."""
    start = NAMESPACE + mechanism
    return key == start or key.startswith(f'{start}_')


def named_after(key: str, mechanisms: Iterable[str]) -> str | None:
    """Return the mechanism after which a key is named.

    :param mechanisms: names of mechanisms
    :returns: the longest name that fits; None where no name fits
    """
    fitting = [n for n in mechanisms if is_named_after(key, n)]
    return max(fitting, key=len, default=None)


def is_reserved(key: str) -> bool:
    """Return whether a key belongs to a feature of a later release."""
    return key.startswith(RESERVED)


def without_colon(key: str) -> str:
    """Return a key that begins like the namespace and has no colon.

    :returns: the key in lower case with single blanks, or '' where the key
        is another one. Only such a key may be a near miss
        (:meth:`Vocabulary.near_miss`).
    """
    plain = ' '.join(_plain(key).split())
    return '' if ':' in plain or not plain.startswith(_NAME) else plain


def misspelling(name: str) -> str:
    """Return a regular expression for spellings of a name.

    It matches the name in capitals, with blanks around it, and with other
    characters in the place of ``:`` and ``_``. It has no colon itself.

    :param name: an extra spec, or the namespace without its colon
    """
    letters = ''.join(
        f'[{c}{c.upper()}]' if c.isalpha() else _SEPARATORS if c in ':_' else c
        for c in name
    )
    return f' *{letters} *'


def is_ours(key: str) -> bool:
    """Return whether a key is meant for this project.

    The namespace alone decides, which is what is before the first colon.
    Letter case, blanks around it, invisible characters and other forms of the
    same letters and colons do not matter: a key that an admin plainly meant
    for this project is refused as unknown and is not ignored. Namespaces of
    others, such as ``isolation_foo:bar``, are not ours.
    """
    namespace, colon, _ = _plain(key).partition(':')
    return bool(colon) and namespace.strip() == _NAME


def mistyped(key: str, known: Iterable[str]) -> str | None:
    """Return the extra spec that a key of another namespace may mean.

    ``isolatiom:svirt`` has a namespace that is nobody's, as far as is known
    here, and one letter from ours. It belongs to others all the same: it is
    pointed out to admins, and refused nowhere.

    :param key: a key of a flavor
    :param known: the extra specs of this project
    :returns: the extra spec that is most alike; None where the namespace is
        ours, missing, or not alike
    """
    namespace, colon, rest = _plain(key).partition(':')
    space = namespace.strip()
    if not colon or space == _NAME or abs(len(space) - len(_NAME)) > 1:
        return None
    # Imported here because it is seldom needed.
    import difflib

    if not difflib.get_close_matches(space, (_NAME,), cutoff=0.85):
        return None
    near = difflib.get_close_matches(NAMESPACE + rest, known, n=1)
    return near[0] if near else NAMESPACE + rest


def _plain(key: str) -> str:
    """Return a key in lower case, as ASCII where its characters allow."""
    if key.isascii() and key.isprintable():
        return key.lower()
    import unicodedata

    text = unicodedata.normalize('NFKD', key.translate(_ALIKE)).casefold()
    return ''.join(
        letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter)[0] not in 'CM'
    )
