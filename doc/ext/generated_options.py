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

"""Show the options of a file by the settings that generate its sample.

``generated-options``
    the options of all namespaces of this project that the file in the
    argument names (of ``oslo-config-generator``, relative to the root of the
    repository), so that the page and the sample never differ. ``:besides:``
    names another such file, whose options are shown on another page.
"""

import pathlib
import typing

from docutils import nodes
from docutils import statemachine
from oslo_config import sphinxext
from sphinx import application
from sphinx.util import typing as sphinx_typing

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _namespaces(path: str) -> list[str]:
    """The namespaces of this project in a file, in its order."""
    lines = (_ROOT / path).read_text(encoding='utf-8').splitlines()
    values = (
        value.strip()
        for key, _, value in (line.partition('=') for line in lines)
        if key.strip() == 'namespace'
    )
    return [value for value in values if value.startswith('nova_isolation')]


class GeneratedOptions(sphinxext.ShowOptionsDirective):
    """``generated-options``"""

    required_arguments = 1
    has_content = False
    option_spec: typing.ClassVar[dict[str, typing.Any]] = {'besides': str}

    def run(self) -> list[nodes.Node]:
        """See the base class."""
        names = _namespaces(self.arguments[0])
        if 'besides' in self.options:
            others = _namespaces(self.options['besides'])
            names = [name for name in names if name not in others]
        self.content = statemachine.StringList(names, 'generated-options')
        self.options = {}
        result: list[nodes.Node] = super().run()
        return result


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive('generated-options', GeneratedOptions)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
