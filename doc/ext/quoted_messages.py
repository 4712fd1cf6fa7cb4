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

"""Check that messages which the documentation quotes exist in the code.

``:log:`text```
    a part of a message; ``...`` stands for what the code fills in
``message-example``
    a block of messages as a program prints them. Each line that is neither
    empty nor a command (``$``, ``#``) has to be a message of the code. With
    ``:joined:`` the block is one message that is wrapped. The argument is the
    language of the block.

In every block, what follows the reason code of a refusal
(``[isolation.svirt.no_model]``) has to be the remedy of that code, as the
commands print it.

A quote that no string of the code yields is a warning, which ends a build
with ``-W``.
"""

import ast
from collections.abc import Iterator
import functools
import pathlib
import re
import typing

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import application
from sphinx.util import docutils
from sphinx.util import logging
from sphinx.util import typing as sphinx_typing

LOG = logging.getLogger(__name__)

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FOLDERS = ('nova_isolation', 'lab')
#: What the code fills in, in text that is formatted later.
_FIELD = re.compile(r'%(?:\(\w+\))?[-#0-9.]*[sdrif]|\{[^{}]*\}')
_GAP = '...'
#: The reason code of a refusal, as it is printed.
_REASON = re.compile(r'\[(isolation\.[a-z0-9_]+\.[a-z0-9_]+)\]')
#: Texts with fewer fixed characters match too much.
_FIXED = 8


class Templates:
    """The messages of the code.

    :ivar texts: each text, one space between words, with ``...`` for what is
        filled in
    """

    def __init__(self, sources: typing.Iterable[str]) -> None:
        """:param sources: the texts of Python modules"""
        self.texts: frozenset[str] = frozenset(
            text for source in sources for text in _texts(source)
        )
        self._patterns = [
            re.compile(' *' + '.*'.join(map(re.escape, text.split(_GAP))))
            for text in self.texts
            if len(text.replace(_GAP, '').strip()) >= _FIXED
        ]

    def contain(self, quote: str) -> bool:
        """Whether a quote is a part of a message."""
        quote = _one_line(quote)
        return any(quote in text for text in self.texts)

    def yield_(self, line: str) -> bool:
        """Whether a line is what some message looks like when printed."""
        line = _one_line(line)
        return any(pattern.fullmatch(line) for pattern in self._patterns)


def _one_line(text: str) -> str:
    return ' '.join(text.split())


def _texts(source: str) -> Iterator[str]:
    """Each string constant and each f-string of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _one_line(_FIELD.sub(_GAP, node.value))
        elif isinstance(node, ast.JoinedStr):
            yield _one_line(
                ''.join(
                    str(part.value) if isinstance(part, ast.Constant) else _GAP
                    for part in node.values
                )
            )


@functools.cache
def _templates() -> Templates:
    return Templates(
        path.read_text(encoding='utf-8')
        for folder in _FOLDERS
        for path in sorted((_ROOT / folder).rglob('*.py'))
    )


def wrong_remedies(
    text: str, remedies: typing.Mapping[str, str]
) -> Iterator[str]:
    """The reason codes in a block that another text than the remedy follows.

    :param text: the block
    :param remedies: reason code -> remedy
    """
    line = _one_line(text)
    for found in _REASON.finditer(line):
        remedy = remedies.get(found[1])
        rest = line[found.end() :].lstrip()
        if remedy is not None and rest and not rest.startswith(remedy):
            yield found[1]


def check_remedies(app: application.Sphinx, doctree: nodes.document) -> None:
    """Check the remedies in the blocks of a page."""
    from nova_isolation.mechanisms import registry

    remedies = {
        code: reason.remedy for code, reason in registry.get().reasons.items()
    }
    for block in doctree.findall(nodes.literal_block):
        for code in wrong_remedies(block.astext(), remedies):
            LOG.warning(
                'the remedy of %s is another one', code, location=block
            )


class LogRole(docutils.SphinxRole):
    """``log``"""

    def run(
        self,
    ) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """See the base class."""
        if not _templates().contain(self.text):
            LOG.warning(
                'no message of the code contains %r',
                self.text,
                location=self.get_location(),
            )
        return [nodes.literal(self.rawtext, self.text)], []


class MessageExample(docutils.SphinxDirective):
    """``message-example``"""

    has_content = True
    optional_arguments = 1
    option_spec: typing.ClassVar[dict[str, typing.Any]] = {
        'joined': directives.flag
    }

    def run(self) -> list[nodes.Node]:
        """See the base class."""
        lines = [
            line
            for line in self.content
            if line.strip() and not line.startswith(('$ ', '# '))
        ]
        if 'joined' in self.options:
            lines = [' '.join(lines)]
        for line in lines:
            if not _templates().yield_(line):
                LOG.warning(
                    'no message of the code looks like %r',
                    line,
                    location=self.get_location(),
                )
        text = '\n'.join(self.content)
        block = nodes.literal_block(text, text)
        block['language'] = self.arguments[0] if self.arguments else 'text'
        return [block]


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.add_role('log', LogRole())
    app.add_directive('message-example', MessageExample)
    app.connect('doctree-read', check_remedies)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
