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

"""Maps both cells of Nova with one import of it.

    nova_cells.py NOVA_CONF CELL1_URL CELL0_URL TRANSPORT_URL

This program calls the functions of ``nova-manage cell_v2 map_cell0`` and
``cell_v2 create_cell``.
"""

import os
import sys

# Before Nova is imported: as in nova_schema.py.
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = '1'

# It is first: with it Nova forbids eventlet, which the others may import.
from nova.cmd import manage

# isort: split
from nova import config
from nova import objects


def main() -> int:
    """Map the cells.

    :returns: 0 when both are mapped
    """
    conf, cell1_url, cell0_url, transport = sys.argv[1:]
    objects.register_all()
    config.parse_args(['nova-manage', '--config-file', conf])
    cells = manage.CellV2Commands()
    return (
        cells.map_cell0(cell0_url)
        or cells.create_cell('cell1', cell1_url, transport)
        or 0
    )


if __name__ == '__main__':
    sys.exit(main())
