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

"""Run the doctests of the examples that the documentation shows.

A failure is a warning of Sphinx, which ends a build with ``-W``.
"""

import doctest
import importlib.util
import pathlib

from sphinx import application
from sphinx import errors
from sphinx.util import logging
from sphinx.util import typing as sphinx_typing

LOG = logging.getLogger(__name__)

_EXAMPLES = pathlib.Path(__file__).parents[1] / 'examples'


def check(app: application.Sphinx) -> None:
    """Run them all."""
    for path in sorted(_EXAMPLES.glob('*.py')):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise errors.ExtensionError(f'{path} cannot be imported')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        results = doctest.testmod(module)
        if results.failed or not results.attempted:
            LOG.warning(
                '%s: %d of %d doctests failed',
                path.name,
                results.failed,
                results.attempted,
            )


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.connect('builder-inited', check)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
