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

"""MariaDB, with a data folder, a socket and a port of its own."""

from lab.config import site as sites
from lab.run import errors
from lab.run import supervisor as supervisors

NAME = 'mariadb'
_SECONDS = 300.0
DATABASES = (
    'keystone',
    'placement',
    'glance',
    'neutron',
    'nova_api',
    'nova_cell0',
    'nova_cell1',
)


def start(supervisor: supervisors.Supervisor, site: sites.Site) -> None:
    """Make the data folder, start the server, make empty databases."""
    data = site.layout.data / 'mariadb'
    socket = site.layout.run / 'mariadb.sock'
    supervisor.run(
        'mariadb-install',
        [
            'mariadb-install-db',
            '--no-defaults',
            '--user=root',
            f'--datadir={data}',
            '--auth-root-authentication-method=socket',
            '--skip-test-db',
        ],
        seconds=_SECONDS,
    )
    daemon = supervisor.start(
        NAME,
        [
            'mariadbd',
            '--no-defaults',
            '--user=root',
            f'--datadir={data}',
            f'--socket={socket}',
            f'--bind-address={sites.LOCALHOST}',
            f'--port={site.ports["mariadb"]}',
            '--max-connections=400',
            '--skip-log-bin',
            '--skip-name-resolve',
            '--performance-schema=OFF',
            # Data may be lost in a crash of this machine.
            '--innodb-flush-log-at-trx-commit=0',
            '--innodb-doublewrite=0',
            '--innodb-flush-method=nosync',
        ],
    )
    supervisor.wait('MariaDB', socket.exists, _SECONDS, daemon)
    client = ['mariadb', '--no-defaults', '--user=root', f'--socket={socket}']
    supervisor.wait(
        'MariaDB',
        lambda: supervisor.output(client, text='select 1').returncode == 0,
        _SECONDS,
        daemon,
    )
    # Nova and Neutron test with this character set. With four bytes for each
    # character their longest indexes exceed InnoDB's limit.
    statements = [
        f'create database {name} character set utf8mb3' for name in DATABASES
    ]
    statements.append(
        f"grant all on *.* to 'lab'@'{sites.LOCALHOST}' "
        f"identified by '{site.passwords['mariadb']}'"
    )
    result = supervisor.output(client, text=';\n'.join(statements))
    if result.returncode:
        raise errors.LabError(f'MariaDB: {result.stderr}')
