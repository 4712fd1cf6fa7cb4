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

"""Tables of what the driver for Xen does.

Directives, both without content:

``xen-support``
    each operation, and what becomes of it for each kind of guest
``xen-support-tests``
    the tests that show it, a definition list
"""

import pathlib

from docutils import nodes
from sphinx import application
from sphinx.util import docutils
from sphinx.util import typing as sphinx_typing
import support_table

_PATH = pathlib.Path(__file__).parents[1] / 'source/admin/xen-support.ini'

_TITLES = {'pv': 'PV', 'pvh': 'PVH', 'hvm': 'HVM'}


class _Directive(docutils.SphinxDirective):
    def table(self) -> support_table.Table:
        """The table, which is read anew in each build that changed it."""
        self.env.note_dependency(str(_PATH))
        self.env.note_dependency(support_table.__file__)
        return support_table.read(_PATH)


class Support(_Directive):
    """``xen-support``"""

    def run(self) -> list[nodes.Node]:
        """See the base class."""
        titles = ('Operation', *_TITLES.values(), 'Remark')
        group = nodes.tgroup(cols=len(titles))
        for width in (30, 11, 11, 11, 37):
            group += nodes.colspec(colwidth=width)
        head = nodes.thead()
        head += _row(titles)
        group += head
        body = nodes.tbody()
        for row in self.table().rows:
            body += _row((row.title, *row.cells.values(), row.note))
        group += body
        table = nodes.table(classes=['colwidths-given'])
        table += group
        return [table]


class Tests(_Directive):
    """``xen-support-tests``"""

    def run(self) -> list[nodes.Node]:
        """See the base class."""
        found = nodes.definition_list()
        for row in self.table().rows:
            lines = nodes.line_block()
            for name in dict.fromkeys(
                name for names in row.tests.values() for name in names
            ):
                line = nodes.line()
                line += nodes.literal('', name)
                lines += line
            item = nodes.definition_list_item()
            item += nodes.term('', row.title)
            item += nodes.definition('', lines)
            found += item
        return [found]


def _row(texts: tuple[str, ...]) -> nodes.row:
    row = nodes.row()
    for text in texts:
        row += nodes.entry('', nodes.paragraph('', text))
    return row


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive('xen-support', Support)
    app.add_directive('xen-support-tests', Tests)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
