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

"""The page of roads names for each road tests that exist, and all tests."""

import pathlib
import re

from oslotest import base

from tests.unit import named_tests

_ROOT = pathlib.Path(__file__).parents[2]
_PAGE = _ROOT / 'doc/source/reference/roads.rst'
_NAME = re.compile(r'``((?:functional|e2e)\.[\w.]+)``')


class RoadsTest(base.BaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.named = set(_NAME.findall(_PAGE.read_text()))

    def test_named_tests_exist(self) -> None:
        self.assertGreater(len(self.named), 25)
        self.assertEqual(set(), named_tests.missing(self.named))

    def test_tests_of_roads_are_named(self) -> None:
        found: set[str] = set()
        for path in (_ROOT / 'tests/functional').glob('test_road_*.py'):
            found |= named_tests.tests_in(path)
        self.assertEqual(set(), found - self.named)

    def test_every_road_has_a_test(self) -> None:
        tables, _, listed = _PAGE.read_text().partition('.. _road-tests:')
        roads = [
            ' '.join(row.partition('\n     - ')[0].split())
            for row in tables.split('\n   * - ')[1:]
        ]
        roads = [road for road in roads if road != 'Road']
        self.assertGreater(len(roads), 25)
        self.assertEqual(len(roads), len(set(roads)))
        for road in roads:
            # A term of the list, and below it at least one test.
            self.assertRegex(
                listed,
                rf'(?m)^{re.escape(road)}\n   \| {_NAME.pattern}$',
            )

    def test_tables_say_who_decides(self) -> None:
        tables, _, _ = _PAGE.read_text().partition('.. _road-tests:')
        for table in tables.split('.. list-table::')[1:]:
            header, *rows = table.split('\n   * - ')[1:]
            self.assertIn('Who decides', header)
            for row in rows:
                # The road, who decides, what becomes of the server.
                self.assertEqual(3, len(row.split('\n     - ')), row)
