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

"""Run the tests of the examples that the documentation shows.

The doctests of each example are run. Where an example has a file of its
package (``NAME.toml``) and tests (``test_NAME.py``), the tests are run too,
with the example laid out as pip would install it.

A failure is a warning of Sphinx, which ends a build with ``-W``.
"""

import doctest
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib

from sphinx import application
from sphinx import errors
from sphinx.util import logging
from sphinx.util import typing as sphinx_typing

LOG = logging.getLogger(__name__)

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_EXAMPLES = _ROOT / 'doc' / 'examples'


def check(app: application.Sphinx) -> None:
    """Run them all."""
    for path in sorted(_EXAMPLES.glob('*.py')):
        if not path.name.startswith('test_'):
            _run_doctests(path)
    for path in sorted(_EXAMPLES.glob('*.toml')):
        _run_tests(path)


def _run_doctests(path: pathlib.Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise errors.ExtensionError(f'{path} cannot be imported')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = doctest.testmod(module)
    tested = path.with_name(f'test_{path.name}').exists()
    if results.failed or not (results.attempted or tested):
        LOG.warning(
            '%s: %d of %d doctests failed',
            path.name,
            results.failed,
            results.attempted,
        )


def _run_tests(path: pathlib.Path) -> None:
    """Run the tests of one package in a process of their own."""
    project = tomllib.loads(path.read_text(encoding='utf-8'))['project']
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder)
        for name in (f'{path.stem}.py', f'test_{path.stem}.py'):
            shutil.copy(path.with_name(name), site)
        info = site / f'{path.stem}-1.0.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {project["name"]}\nVersion: 1.0\n'
        )
        (info / 'entry_points.txt').write_text(
            ''.join(
                f'[{group}]\n'
                + ''.join(
                    f'{name} = {value}\n' for name, value in ones.items()
                )
                for group, ones in project['entry-points'].items()
            )
        )
        run = subprocess.run(  # noqa: S603
            [sys.executable, '-m', 'unittest', f'test_{path.stem}'],
            cwd=site,
            env={
                **os.environ,
                'PYTHONPATH': f'{site}{os.pathsep}{_ROOT}',
                # stevedore keeps what it has found.
                'XDG_CACHE_HOME': str(site / 'cache'),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if run.returncode or '\nRan 0 ' in run.stderr:
        LOG.warning('test_%s.py failed: %s', path.stem, run.stderr)


def setup(app: application.Sphinx) -> sphinx_typing.ExtensionMetadata:
    """Called by Sphinx."""
    app.connect('builder-inited', check)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
