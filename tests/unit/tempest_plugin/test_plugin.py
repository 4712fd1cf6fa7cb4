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

"""Tests of the Tempest plugin, as far as they need no Tempest.

Tempest runs the plugin itself on the lab cloud: tools/test.sh tempest.
"""

import ast
from pathlib import Path
import re

import fixtures

from tests.unit import base

_CHECKOUT = Path(__file__).resolve().parent.parent.parent.parent
_FOLDER = _CHECKOUT / 'tempest-plugin'
_PAGE = _CHECKOUT / 'doc/source/admin/tempest.rst'


class PluginTest(base.TestCase):
    """The package beside ours."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.PythonPathEntry(str(_FOLDER)))
        from nova_isolation_tempest_plugin import config
        from nova_isolation_tempest_plugin.tests.whitebox import guest

        self.config, self.guest = config, guest

    def test_it_needs_nothing_of_ours(self):
        imported = set()
        for file in _FOLDER.rglob('*.py'):
            for node in ast.walk(ast.parse(file.read_text('utf-8'))):
                if isinstance(node, ast.ImportFrom):
                    imported.add(node.module.partition('.')[0])
                elif isinstance(node, ast.Import):
                    imported |= {n.name.partition('.')[0] for n in node.names}
        self.assertIn('tempest', imported)
        self.assertEqual(
            {'nova_isolation_tempest_plugin'},
            {name for name in imported if name.startswith('nova')},
        )

    def test_each_option_is_documented(self):
        page = _PAGE.read_text('utf-8')
        for group, options in self.config.OPTIONS.items():
            self.assertIn(f'[{group.name}]', page)
            for option in options:
                self.assertRegex(
                    page,
                    re.compile(f'^``{option.name}``', re.MULTILINE),
                )

    def test_extra_specs(self):
        self.assertEqual(
            {'isolation:svirt': 'any', 'a': 'b=c'},
            self.config.extra_specs(['isolation:svirt=any', 'a=b=c']),
        )
        for wrong in ('isolation:svirt', '=any', 'isolation:svirt='):
            self.assertRaisesText(
                ValueError,
                'is not KEY=VALUE',
                self.config.extra_specs,
                [wrong],
            )

    def categories(self, label):
        """The categories of a label, as a guest has it."""
        return set(self.guest.Guest('', '', label, 2, 'running').categories)

    def test_categories(self):
        start = 'system_u:system_r:svirt_t:s0'
        self.assertEqual({'c1', 'c20'}, self.categories(f'{start}:c1,c20'))
        self.assertEqual(
            {'c1', 'c2', 'c3', 'c9'}, self.categories(f'{start}:c1.c3,c9')
        )
        self.assertEqual(set(), self.categories(start))
        self.assertEqual(set(), self.categories('libvirt-1234 (enforce)'))
