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
"""nova-isolation-api: answers over HTTP what an operator asks about isolation.

The program reads Nova's databases, with an account that may only read, and
calls the decision that the scheduler calls. Its configuration is a file of its
own, because nova.conf has accounts that may write.
"""

from collections.abc import Callable

from nova import config as nova_config
from nova import objects
from nova import rpc
import nova.conf
from nova.db.api import api as api_database
from nova.db.main import api as main_database

from nova_isolation.cloud import cells
from nova_isolation.cloud import flavors
from nova_isolation.cloud import live_servers
from nova_isolation.cloud import reader
from nova_isolation.cmd import daemon_command
from nova_isolation.report import audit
from nova_isolation.service import opts

CONF = nova.conf.CONF

#: Seconds that placement may take, unless [placement] timeout says otherwise.
_PLACEMENT_SECONDS = 10

#: The reading of a cell may take this part of [isolation_api]
#: picture_max_age, so that a cell that hangs makes no picture too old.
_CELL_PART = 4

_PROGRAM = daemon_command.Program(
    'nova-isolation-api', '/etc/nova-isolation-api/api.conf', 'api'
)


def main(arguments: list[str] | None = None) -> int:
    """Run the service.

    :param arguments: instead of those of the command line
    :returns: 0 after SIGTERM or SIGINT; 2 if the service cannot work as
        configured
    """
    nova_config.set_lib_defaults()
    return daemon_command.run(_PROGRAM, CONF, arguments, _load)


def _load() -> Callable[[], None]:
    from nova_isolation.service import daemon

    def serve() -> None:
        # A placement that hangs must not keep the cloud from being read.
        CONF.set_default('timeout', _PLACEMENT_SECONDS, 'placement')
        # Also registers options that Nova's cell mappings need.
        rpc.init(CONF)
        main_database.configure(CONF)
        api_database.configure(CONF)
        objects.register_all()
        options = opts.register(CONF)
        cell_connection = options.cell_connection
        daemon.Daemon(
            CONF,
            reader.CloudReader(
                cell_connection, options.picture_max_age / _CELL_PART
            ).read,
            live_servers.LiveServers(lambda: cells.every(cell_connection)),
            flavors.find,
            audit.Configuration(_filters()),
        ).run()

    return serve


def _filters() -> tuple[str, ...] | None:
    """Return the filters of nova-scheduler; None: the file names none.

    Nova's default says nothing about a scheduler with another file.
    """
    location = CONF.get_location('enabled_filters', 'filter_scheduler')
    if not location.location.is_user_controlled:
        return None
    return tuple(CONF.filter_scheduler.enabled_filters)
