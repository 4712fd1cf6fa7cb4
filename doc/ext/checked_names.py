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

"""Check that what the pages name exists.

Each literal that is a path in the repository, a module of this project or a
reason code is looked for. One that does not exist is a warning, which ends a
build with ``-W``. A part in capitals (``nova_isolation/cmd/NAME.py``) or with
a ``*`` is a placeholder, and such a literal is not looked for.
"""

import functools
import pathlib
import re

from docutils import nodes
from sphinx import application
from sphinx.util import logging
from sphinx.util import typing as sphinx_typing

LOG = logging.getLogger(__name__)

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PATH = re.compile(
    r'(?:nova_isolation|nova|contrib|lab|tests|tools|doc|etc/nova-isolation)'
    r'/[\w./-]+'
)
_MODULE = re.compile(r'nova_isolation(?:\.\w+)+')
_CODE = re.compile(r'isolation(?:\.[a-z][a-z0-9_]*){2}')
_PLACEHOLDER = re.compile(r'\b[A-Z]+\b')
#: Installed, or made by a build.
_ELSEWHERE = (
    'doc/build/',
    'etc/nova-isolation/nova-isolation.conf.sample',
    'etc/nova-isolation/api.conf.sample',
    'etc/nova-isolation/attestd.conf.sample',
    'etc/nova-isolation/policy.yaml.sample',
)


def exists(name: str) -> bool:
    """Whether a literal names something that exists, or nothing at all."""
    if _PLACEHOLDER.search(name) and not _MODULE.fullmatch(name):
        return True
    if _PATH.fullmatch(name):
        return name.startswith(_ELSEWHERE) or (_ROOT / name).exists()
    if _MODULE.fullmatch(name):
        return _module_exists(name)
    if _CODE.fullmatch(name):
        return f"'{name}'" in _code()
    return True


def _module_exists(name: str) -> bool:
    """Whether a name is a module, or what a module has at its top."""
    path = _ROOT.joinpath(*name.split('.'))
    if path.is_dir() or path.with_suffix('.py').is_file():
        return True
    module = path.parent.with_suffix('.py')
    if not module.is_file():
        module = path.parent / '__init__.py'
    return module.is_file() and bool(
        re.search(
            rf'^(?:class |def )?{re.escape(path.name)}\b',
            module.read_text(encoding='utf-8'),
            re.MULTILINE,
        )
    )


@functools.cache
def _code() -> str:
    return '\n'.join(
        path.read_text(encoding='utf-8')
        for path in sorted((_ROOT / 'nova_isolation').rglob('*.py'))
    )


def check(app: application.Sphinx, doctree: nodes.document) -> None:
    """Check the literals of a page."""
    for literal in doctree.findall(nodes.literal):
        name = literal.astext()
        if not exists(name):
            LOG.warning('%s does not exist', name, location=literal)


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.connect('doctree-read', check)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
