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

"""Tables of the documentation that are made from the code.

Directives, all without content:

``isolation-vocabulary``
    the extra specs of the mechanisms that are installed
``isolation-reserved``
    the names that are refused until a later release
``isolation-catalogue``
    the components of QEMU (:mod:`nova_isolation.mechanisms.qemu.catalogue`)
``isolation-groups``
    their groups (:mod:`nova_isolation.mechanisms.qemu.groups`)
``isolation-certifications``
    what certifications presuppose
    (:mod:`nova_isolation.mechanisms.certification.mechanism`)
``isolation-reasons``
    the reason codes of the mechanisms that are installed, and the general ones
    (:mod:`nova_isolation.model.reasons`). Each row is a target:
    ``#isolation-svirt-no-model``.
``isolation-api-calls``
    the calls of the HTTP API (:mod:`nova_isolation.service.app`)
``isolation-api-errors``
    the errors of the HTTP API (:mod:`nova_isolation.service.errors`)
"""

import abc
from collections.abc import Iterator
from collections.abc import Sequence
import inspect
import types
import typing

from docutils import nodes
from sphinx import application
from sphinx.util import docutils
from sphinx.util import typing as sphinx_typing

from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms.certification import mechanism
from nova_isolation.mechanisms.qemu import catalogue
from nova_isolation.mechanisms.qemu import groups
from nova_isolation.model import reasons
from nova_isolation.model import vocabulary
from nova_isolation.report import audit_kinds
from nova_isolation.service import app as service_app
from nova_isolation.service import errors

#: What stands in one cell, one line.
Cell = Sequence[nodes.Node]


def _text(text: str) -> Cell:
    return [nodes.Text(text)]


def _words(words: Sequence[str]) -> Cell:
    """The words as literals, with commas between them."""
    result: list[nodes.Node] = []
    for word in words:
        if result:
            result.append(nodes.Text(', '))
        result.append(nodes.literal('', word))
    return result


class _Table(docutils.SphinxDirective, abc.ABC):
    """A table.

    :cvar head: the titles of the columns
    :cvar widths: how wide the columns are, relative to one another
    :cvar sources: the modules that the table is made from
    """

    head: typing.ClassVar[tuple[str, ...]]
    widths: typing.ClassVar[tuple[int, ...]]
    sources: typing.ClassVar[tuple[types.ModuleType, ...]]

    @abc.abstractmethod
    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """Each row: its target, '' for none, and its cells."""

    def run(self) -> list[nodes.Node]:
        """The table as a node."""
        for source in self.sources:
            # So that a changed table is built again.
            self.env.note_dependency(inspect.getfile(source))
        group = nodes.tgroup(cols=len(self.head))
        for width in self.widths:
            group += nodes.colspec(colwidth=width)
        head = nodes.thead()
        head += self._row('', [_text(title) for title in self.head])
        group += head
        body = nodes.tbody()
        for target, cells in self.rows():
            body += self._row(target, cells)
        group += body
        table = nodes.table(classes=['colwidths-given'])
        table += group
        return [table]

    def _row(self, target: str, cells: Sequence[Cell]) -> nodes.row:
        row = nodes.row()
        for number, cell in enumerate(cells):
            paragraph = nodes.paragraph('', '', *cell)
            if target and not number:
                paragraph['ids'].append(nodes.make_id(target))
            row += nodes.entry('', paragraph)
        return row


class VocabularyTable(_Table):
    """``isolation-vocabulary``"""

    head = ('Extra spec', 'Value', 'The guest runs only where', 'Example')
    widths = (22, 26, 36, 16)
    sources = (vocabulary,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for spec in registry.get().vocabulary.rows.values():
            yield (
                spec.key,
                (
                    _words([spec.key]),
                    _value(spec),
                    [*_text(spec.condition), *_beside(spec)],
                    _words([spec.example]),
                ),
            )


def _value(spec: vocabulary.ExtraSpec) -> Cell:
    """What a value may be, in words."""
    start = 'comma list of ' if spec.several else ''
    if spec.values == groups.WORDS:
        return _text(f'{start}components and groups, see below')
    if not spec.values:
        return [*_text(f'{start}text that matches '), *_words([spec.pattern])]
    if not spec.several and len(spec.values) > 1:
        start = 'one of '
    return [*_text(start), *_words(spec.values)]


def _beside(spec: vocabulary.ExtraSpec) -> Iterator[nodes.Node]:
    """What must and what must not stand beside an extra spec."""
    for key, value in spec.requires:
        yield from _text('. Needs ')
        yield from _words([f'{key}={value}'])
    for key, words in spec.compatible:
        yield from _text('. Beside ')
        yield from _words([key])
        yield from _text(' only with ')
        yield from _words(words)


class ReservedTable(_Table):
    """``isolation-reserved``"""

    head = ('Extra specs that begin with',)
    widths = (100,)
    sources = (vocabulary,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for start in vocabulary.RESERVED:
            yield '', [_words([start])]


class CatalogueTable(_Table):
    """``isolation-catalogue``"""

    head = (
        'Component',
        'QOM types that reveal it',
        'What builds it: symbols of Kconfig, features of configure',
    )
    widths = (18, 50, 32)
    sources = (catalogue,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for component, row in catalogue.CATALOGUE.items():
            built = [*row.kconfig, *filter(None, [row.feature])]
            yield '', (_words([component]), _words(row.types), _words(built))


class GroupTable(_Table):
    """``isolation-groups``"""

    head = ('Group', 'Components')
    widths = (20, 80)
    sources = (groups,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for group, members in groups.GROUPS.items():
            yield '', (_words([group]), _words(members))
        yield '', (_words([groups.ALL]), _text('every component'))


class CertificationTable(_Table):
    """``isolation-certifications``"""

    head = ('Certification', 'Measured preconditions')
    widths = (30, 70)
    sources = (mechanism,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for name, conditions in mechanism.CERTIFICATIONS.items():
            yield '', (_words([name]), _words(conditions) or _text('none'))


class ReasonTable(_Table):
    """``isolation-reasons``"""

    head = ('Code', 'Meaning', 'Remedy')
    widths = (30, 35, 35)
    sources = (reasons,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for code, reason in registry.get().reasons.items():
            yield (
                code,
                (
                    _words([code]),
                    _text(reason.meaning),
                    _text(reason.remedy),
                ),
            )


class CallTable(_Table):
    """``isolation-api-calls``"""

    head = ('Call', 'What it does', 'Policy', 'Parameters')
    widths = (28, 36, 20, 16)
    sources = (service_app,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for call in service_app.endpoints():
            yield (
                '',
                (
                    _words([f'{call.method} {call.path}']),
                    _text(call.summary),
                    _words([call.policy] if call.policy else []),
                    _words([one.name for one in call.parameters]),
                ),
            )


class ErrorTable(_Table):
    """``isolation-api-errors``"""

    head = ('Code', 'Status', 'Meaning')
    widths = (36, 10, 54)
    sources = (errors,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for code, kind in errors.KINDS.items():
            yield (
                code,
                (
                    _words([code]),
                    _text(str(kind.status)),
                    _text(kind.meaning),
                ),
            )


class AuditTable(_Table):
    """``isolation-audit-kinds``"""

    head = ('Code', 'Severity', 'Meaning', 'Remedy')
    widths = (30, 10, 30, 30)
    sources = (audit_kinds,)

    def rows(self) -> Iterator[tuple[str, Sequence[Cell]]]:
        """See the base class."""
        for code, kind in audit_kinds.KINDS.items():
            yield (
                code,
                (
                    _words([code]),
                    _text(kind.severity),
                    _text(kind.meaning),
                    _text(kind.remedy),
                ),
            )


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive('isolation-vocabulary', VocabularyTable)
    app.add_directive('isolation-reserved', ReservedTable)
    app.add_directive('isolation-catalogue', CatalogueTable)
    app.add_directive('isolation-groups', GroupTable)
    app.add_directive('isolation-certifications', CertificationTable)
    app.add_directive('isolation-reasons', ReasonTable)
    app.add_directive('isolation-api-calls', CallTable)
    app.add_directive('isolation-api-errors', ErrorTable)
    app.add_directive('isolation-audit-kinds', AuditTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
