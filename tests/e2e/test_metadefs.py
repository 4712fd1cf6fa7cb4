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

"""Glance's catalog has the extra specs of isolation."""

import json
from pathlib import Path
from typing import Any

from lab.run import layout
from tests.e2e import base

_FILE = layout.CHECKOUT / 'etc/nova-isolation/metadefs/compute-isolation.json'
_PATH = '/metadefs/namespaces/OS::Compute::Isolation'


class MetadefsTest(base.TestCase):
    """The file of the tree, loaded as the documentation says."""

    def load(self, file: Path) -> None:
        """Load a file into Glance's database, as after an upgrade."""
        configuration = self.cloud.layout.etc / 'glance' / 'glance-api.conf'
        result = self.cloud.supervisor.output(
            [
                layout.BIN / 'glance-manage',
                '--config-file',
                configuration,
                'db_load_metadefs',
                file,
                # merge, prefer_new
                'True',
                'True',
            ],
            300,
        )
        self.assertEqual(0, result.returncode, result.stderr)

    def of_flavors(self) -> dict[str, Any]:
        """What Horizon asks for where the metadata of a flavor is edited."""
        answer = self.api.image.get(
            _PATH, params={'resource_type': 'OS::Nova::Flavor'}
        )
        answer.raise_for_status()
        return dict(answer.json()['properties'])

    def test_shown_for_flavors_replaced_and_taken(self) -> None:
        document = json.loads(_FILE.read_text('utf-8'))
        wanted = {
            f'isolation:{name}': value
            for name, value in document['properties'].items()
        }
        older = json.loads(_FILE.read_text('utf-8'))
        older['properties']['svirt']['description'] = 'An older release.'
        file = self.cloud.layout.data / 'older.json'
        file.write_text(json.dumps(older), encoding='utf-8')
        self.load(file)
        found = self.of_flavors()
        self.assertEqual(
            'An older release.', found['isolation:svirt']['description']
        )
        self.load(_FILE)
        self.assertEqual(wanted, self.of_flavors())
        taken = 0
        for key, described in wanted.items():
            for word in described.get('enum', ()):
                # Nova takes each value that is offered.
                self.flavor({key: word})
                taken += 1
        self.assertGreaterEqual(taken, 7)
