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

"""Makes all tables of Nova at once, with one import of Nova.

    nova_schema.py NOVA_CONF CELL0_CONF

CELL0_CONF has the options of cell0 that differ from NOVA_CONF. This program
calls the functions of ``nova-manage api_db sync`` and ``db sync
--local_cell``, in three forks side by side: an import of Nova takes longer
than each of them.
"""

from collections.abc import Callable
import os
import sys
import traceback

# Before Nova is imported: a thread pool of eventlet does not survive a fork.
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = '1'

# It is first: with it Nova forbids eventlet, which the others may import.
from nova.cmd import manage

# isort: split
from nova import config
from nova import objects


def main() -> int:
    """Run the three jobs.

    :returns: 0 when all succeeded
    """
    conf, cell0_conf = sys.argv[1:]
    objects.register_all()

    def api() -> int:
        config.parse_args(['nova-manage', '--config-file', conf])
        return manage.ApiDbCommands().sync() or 0

    def cell(*confs: str) -> int:
        config.parse_args(
            [
                'nova-manage',
                *(word for path in confs for word in ('--config-file', path)),
            ]
        )
        return manage.DbCommands().sync(local_cell=True) or 0

    children = [
        fork(api),
        fork(lambda: cell(conf)),
        fork(lambda: cell(conf, cell0_conf)),
    ]
    return max(
        os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        for child in children
    )


def fork(job: Callable[[], int]) -> int:
    """Start ``job`` in a child process, whose id is returned."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        status = job()
    except BaseException:
        # No exception in a fork may return into the code of the parent.
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


if __name__ == '__main__':
    sys.exit(main())
