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

"""Each module of the end-to-end tests belongs to one of their two workers.

stestr runs a test of no worker never, and one of two workers twice.
"""

from pathlib import Path
import re
import unittest

import yaml

_FOLDER = Path(__file__).parents[1] / 'e2e'


class WorkersTest(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        workers = yaml.safe_load((_FOLDER / 'workers.yaml').read_text())
        self.workers = [one['worker'] for one in workers]
        self.modules = sorted(
            f'tests.e2e.{path.stem}.' for path in _FOLDER.glob('test_*.py')
        )

    def test_each_module_has_one_worker(self) -> None:
        self.assertEqual(2, len(self.workers))
        self.assertLess(10, len(self.modules))
        for module in self.modules:
            found = [
                number
                for number, regexes in enumerate(self.workers)
                if any(re.search(regex, module) for regex in regexes)
            ]
            self.assertEqual(1, len(found), f'{module}: workers {found}')

    def test_each_worker_has_modules(self) -> None:
        for regexes in self.workers:
            self.assertTrue(
                [
                    module
                    for module in self.modules
                    if any(re.search(regex, module) for regex in regexes)
                ]
            )
