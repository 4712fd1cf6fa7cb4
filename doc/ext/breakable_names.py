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

"""Let long names break where a reader would break them.

Extra specs, reason codes and names of tests are longer than many columns of
a table. In HTML a literal may then be broken after ``.``, ``,``, ``:``, ``/``
and ``_``, and not in the middle of a word.
"""

import re

from docutils import nodes
from sphinx import application
from sphinx.util import typing as sphinx_typing

_LONG = 13
_PART = re.compile(r'[^.:/_,]*[.:/_,]+|[^.:/_,]+')


def let_break(
    app: application.Sphinx, doctree: nodes.document, page: str
) -> None:
    """Put an opportunity to break after each part of long literals."""
    if app.builder.format != 'html':
        return
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        if len(text) < _LONG or len(literal.children) != 1:
            continue
        if not isinstance(literal.children[0], nodes.Text):
            continue
        literal.clear()
        for number, part in enumerate(_PART.findall(text)):
            if number:
                literal += nodes.raw('', '<wbr>', format='html')
            literal += nodes.Text(part)


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.connect('doctree-resolved', let_break)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
