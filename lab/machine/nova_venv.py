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


"""Installs Nova, and what this project requires, in a root folder."""

from pathlib import Path
import shutil

from lab.machine import recipe
from lab.machine import sources
from lab.machine import tree as trees
from lab.run import layout as layouts
from lab.run import supervisor as supervisors

_SECONDS = 3600
#: The folder of the lists for pip on the machine, during the build.
_PIP = '/var/tmp/nova'  # noqa: S108  # nosec B108
#: The run-time dependencies of this project and of Nova's compute service.
#: libvirt-python is Debian's: it has to fit the machine's libvirt.
_NOVA = """
set -eu
python3 -m venv --system-site-packages "$1"
"$1/bin/pip" install --quiet --no-compile --constraint "$2/constraints.txt" \
    --requirement "$2/requirements.txt" nova
"$1/bin/pip" check
# Files that do not compile (templates, old syntax) are never imported.
"$1/bin/python" -m compileall -q -j 0 "$1/lib" || true
"""


def install(supervisor: supervisors.Supervisor, tree: trees.Tree) -> None:
    """Make the venv, and copy Nova's configuration files out of it.

    :raises LabError: when pip fails
    """
    variables = sources.environment(supervisor)
    cache = Path(
        variables.setdefault('PIP_CACHE_DIR', str(layouts.cache() / 'pip'))
    )
    cache.mkdir(parents=True, exist_ok=True)
    for path in (recipe.CONSTRAINTS, recipe.REQUIREMENTS):
        tree.write(f'{_PIP}/{path.name}', path.read_text('utf-8'))
    tree.run(
        'nova',
        ['sh', '-c', _NOVA, 'sh', recipe.VENV, _PIP],
        _SECONDS,
        {
            **variables,
            'PIP_ROOT_USER_ACTION': 'ignore',
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        },
        [*sources.paths(variables), cache],
    )
    shutil.rmtree(tree.path(_PIP))
    shutil.copytree(
        tree.path(recipe.VENV / 'etc' / 'nova'),
        tree.path(recipe.CONFIGURATION),
    )
