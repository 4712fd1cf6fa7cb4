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

"""How values are shown to people; machine-readable formats get them as they
are.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import typing

from cliff import columns
import yaml

from nova_isolation.model import traits
from nova_isolation.model import vocabulary

#: Words of one extra spec that a list shows; more are counted.
_WORDS = 3

#: Names of hosts that one line shows; more are counted.
_HOSTS = 8


class Column(columns.FormattableColumn[typing.Any]):
    """A value that sorts by what is shown."""

    def __lt__(self, other: typing.Any) -> bool:
        return self.__class__ == other.__class__ and (
            self.human_readable() < other.human_readable()
        )


class Nested(Column):
    """Mappings and lists, one item on a line."""

    def human_readable(self) -> str:
        """See the base class."""
        if self._value is None:
            return ''
        if not isinstance(self._value, dict | list):
            return str(self._value)
        if not self._value:
            return ''
        text: str = yaml.safe_dump(
            self._value, sort_keys=False, allow_unicode=True, width=1000
        )
        return text.rstrip('\n')


class ExtraSpecs(Column):
    """Extra specs, one on a line, as ``key=value``."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(f'{k}={v}' for k, v in (self._value or {}).items())


class State(Column):
    """Why Nova would not use a host; '' where it would."""

    def human_readable(self) -> str:
        """See the base class."""
        return self._value or 'ok'


class Sentences(Column):
    """Sentences, one after the other."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(f'- {one}' for one in self._value)


class Benefits(Column):
    """What a profile buys, and against whom."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(
            f'- {one["what"]}\n  Against: {one["against"]}'
            for one in self._value
        )


class Traits(Column):
    """Traits of isolation, one on a line, without their prefix."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(
            one.removeprefix(traits.PREFIX) for one in self._value or ()
        )


class Offers(Column):
    """What a host offers, in short."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(
            f'{_short(key)}={",".join(words)}'
            if len(words) <= _WORDS
            else f'{_short(key)}: {len(words)} words'
            for key, words in (self._value or {}).items()
        )


class Refuses(Column):
    """Why a host refuses, in short: the reason code of each extra spec."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(
            f'{_short(key)}: {_of(why, "code")}'
            for key, why in (self._value or {}).items()
        )


class Refusals(Column):
    """Why a host refuses, with what to do."""

    def human_readable(self) -> str:
        """See the base class."""
        return '\n'.join(
            f'{key}={_of(why, "value")}: wanted {_of(why, "wanted")}, found '
            f'{_of(why, "found")} [{_of(why, "code")}]\n'
            f'  {_of(why, "remedy")}'
            for key, why in (self._value or {}).items()
        )


class Answers(Column):
    """The answers of hosts about a flavor; hosts that say the same are one
    paragraph.
    """

    def human_readable(self) -> str:
        """See the base class."""
        groups: dict[str, list[str]] = {}
        for host in self._value:
            groups.setdefault(_answer(host), []).append(str(host.get('host')))
        return '\n'.join(
            f'{names(hosts)}: {answer}' for answer, hosts in groups.items()
        )


class Lacking(Column):
    """Which traits hosts lack; hosts that lack the same are one paragraph."""

    def human_readable(self) -> str:
        """See the base class."""
        groups: dict[str, list[str]] = {}
        for host in self._value:
            state = f', and the host {host["state"]}' if host['state'] else ''
            lacking = ', '.join(host['lacking'])
            said = f'cannot: no trait for {lacking}' if lacking else 'unknown'
            groups.setdefault(said + state, []).append(host['host'])
        return '\n'.join(
            f'{names(hosts)}: {said}' for said, hosts in groups.items()
        )


def _answer(host: Mapping[str, typing.Any]) -> str:
    accepted = host.get('accepted')
    lines = ['accepted' if accepted else 'refused']
    if host.get('state'):
        joint = 'but' if accepted else 'and'
        lines[0] += f', {joint} the host {host["state"]}'
    for unmet in host.get('unmet') or ():
        key = unmet.get('key')
        lines.append(
            f'  - {f"{key}: " if key else ""}wanted {unmet.get("wanted")}, '
            f'found {unmet.get("found")} [{unmet.get("code")}]'
        )
        if unmet.get('remedy'):
            lines.append(f'    {unmet["remedy"]}')
    return '\n'.join(lines)


def names(hosts: Iterable[str]) -> str:
    """Return the names of hosts for one line."""
    found = sorted(hosts)
    text = ', '.join(found[:_HOSTS])
    more = len(found) - _HOSTS
    return text + (f' and {more} more hosts' if more > 0 else '')


def _short(key: str) -> str:
    return key.removeprefix(vocabulary.NAMESPACE)


def _of(why: object, key: str) -> object:
    return why.get(key) if isinstance(why, dict) else why
