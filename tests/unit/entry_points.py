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

"""Entry points of another package, laid out as pip would."""

import os
import pathlib
import textwrap

import fixtures
from stevedore import extension

from nova_isolation.attestation import provider

#: The provider of nova_isolation.testing, which has no entry point.
FIXTURE_PROVIDER = (
    'fixture = nova_isolation.testing.fixture_provider:FixtureProvider'
)


def lay_out(folder, name, group, *entry_points, module=None):
    """Lay a distribution into a folder that is to be in sys.path.

    :param module: the text of a module of that name, if any
    """
    info = pathlib.Path(folder) / f'{name}-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n'
    )
    lines = [f'[{group}]', *entry_points]
    (info / 'entry_points.txt').write_text('\n'.join(lines) + '\n')
    record = ''
    if module is not None:
        (info.parent / f'{name}.py').write_text(textwrap.dedent(module))
        record = f'{name}.py,,\n'
    (info / 'RECORD').write_text(record)


class FixtureProvider(fixtures.Fixture):
    """The provider ``fixture`` for this process and its children.

    :ivar folder: to be in PYTHONPATH of another process
    """

    def _setUp(self):
        self.folder = self.useFixture(fixtures.TempDir()).path
        lay_out(
            self.folder,
            'nova_isolation_fixture_provider',
            provider.ENTRY_POINTS,
            FIXTURE_PROVIDER,
        )
        self.useFixture(fixtures.PythonPathEntry(self.folder))
        self.useFixture(
            fixtures.EnvironmentVariable(
                'PYTHONPATH',
                os.pathsep.join(
                    filter(
                        None, (self.folder, os.environ.get('PYTHONPATH', ''))
                    )
                ),
            )
        )
        # stevedore looks only once at the entry points of a process.
        self.addCleanup(self._forget)
        self._forget()

    def _forget(self):
        extension.ExtensionManager.ENTRY_POINT_CACHE.pop(
            provider.ENTRY_POINTS, None
        )
