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

"""The templates. Everything that they show is escaped."""

import base64
from collections.abc import Iterable
import functools
import hashlib
from importlib import resources
import re
import typing

import jinja2
import markupsafe

from nova_isolation.model import printable
from nova_isolation.page import hosts
from nova_isolation.page import refusals

#: The longest text that is shown, in characters.
_MAX_LENGTH = 100_000
_FILES = resources.files('nova_isolation.page')


@functools.cache
def static(name: str) -> str:
    """Return the text of a file of ``static``.

    :param name: ``page.css`` or ``page.js``
    """
    return (_FILES / 'static' / name).read_text('utf-8')


def digest(text: str) -> str:
    """Return the SHA-256 digest of a text, as a Content-Security-Policy has
    it.
    """
    sha256 = hashlib.sha256(text.encode()).digest()
    return 'sha256-' + base64.b64encode(sha256).decode()


def render(name: str, **values: typing.Any) -> str:
    """Render a template.

    :param name: the file in ``templates``
    :param values: what it shows
    """
    return _environment().get_template(name).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        # Not only files of some endings.
        autoescape=True,
        finalize=_shown,
        loader=jinja2.FunctionLoader(_load),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        breakable=_breakable,
        count=_count,
        short=lambda key: str(key).removeprefix(refusals.PREFIX),
        token=_token,
        tokens=lambda tokens: ' '.join(_token(token) for token in tokens),
        offers=hosts.token,
        twice=lambda values: [(value, value) for value in values],
    )
    return environment


def _load(name: str) -> str:
    return (_FILES / 'templates' / name).read_text('utf-8')


def _shown(value: object) -> object:
    """One line, whoever wrote it; markup has been looked at."""
    if isinstance(value, str) and not isinstance(value, markupsafe.Markup):
        return printable.one_line(value, _MAX_LENGTH)
    return value


def _token(text: object) -> str:
    """One word, by which the script filters rows."""
    return re.sub(r'\s+', '-', str(text))


def _breakable(text: object) -> markupsafe.Markup:
    """A name that may be broken after its parts."""
    parts: Iterable[str] = re.split(r'(?<=[._])', str(_shown(text)))
    return markupsafe.Markup('<wbr>').join(parts)


def _count(number: float | None) -> str:
    return '?' if number is None else f'{number:,.0f}'
