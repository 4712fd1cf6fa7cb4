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
"""Tests of nova_isolation.cloud.cells, without a database."""

from nova_isolation.cloud import cells
from tests.unit import base

_MAPPED = 'mysql+pymysql://nova:WRITES@db1.example:3307/nova_c1?charset=utf8'


class ConnectionTest(base.TestCase):
    """With which account a cell is read."""

    def test_account_that_may_only_read(self):
        self.assertEqual(
            'mysql+pymysql://reader:READS@db1.example:3307/nova_c1',
            cells.connection(
                'mysql+pymysql://reader:READS@{hostname}:{port}/{path}',
                _MAPPED,
            ),
        )
        self.assertEqual(
            'mysql+pymysql://r:s@db1.example/nova_c1?charset=utf8',
            cells.connection(
                '{scheme}://r:s@{hostname}/{path}?{query}', _MAPPED
            ),
        )

    def test_template_that_cannot_be_filled_in(self):
        for template in (
            'mysql://r:SECRET@{host}/x',
            'mysql://r:SECRET@{hostname',
            'mysql://r:SECRET@{}/x',
            'mysql://r:SECRET@{hostname.nonesuch}/x',
        ):
            error = self.assertRaises(
                cells.CellConnectionError, cells.connection, template, _MAPPED
            )
            self.assertIn('{hostname}', str(error))
            for secret in ('SECRET', 'WRITES', 'reader'):
                self.assertNotIn(secret, str(error))
