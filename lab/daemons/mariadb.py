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
NOVA_DATABASES = ('nova_api', 'nova_cell0', 'nova_cell1')
DATABASES = ('keystone', 'placement', 'glance', 'neutron', *NOVA_DATABASES)


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
    client = _client(site)
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
    statements += _reading_account(site)
    root(supervisor, site, ';\n'.join(statements))


def root(
    supervisor: supervisors.Supervisor, site: sites.Site, statement: str
) -> str:
    """Run a statement as the administrator of MariaDB.

    :returns: its rows, with tabs between the columns and no header
    :raises LabError: when MariaDB refuses it
    """
    return _ask(supervisor, [*_client(site), '--skip-column-names'], statement)


def dump(
    supervisor: supervisors.Supervisor, site: sites.Site, database: str
) -> str:
    """The statements that fill an empty database as this one is.

    :raises LabError: when MariaDB does not tell
    """
    client = _client(site, 'mariadb-dump')
    return _ask(supervisor, [*client, '--routines', database])


def load(
    supervisor: supervisors.Supervisor,
    site: sites.Site,
    database: str,
    statements: str,
) -> None:
    """Fill an empty database with what :func:`dump` has told.

    :raises LabError: when MariaDB refuses it
    """
    _ask(supervisor, [*_client(site), database], statements)


def _ask(
    supervisor: supervisors.Supervisor, argv: list[str], text: str = ''
) -> str:
    result = supervisor.output(argv, _SECONDS, text)
    if result.returncode:
        raise errors.LabError(f'MariaDB: {result.stderr}')
    return result.stdout


def _client(site: sites.Site, program: str = 'mariadb') -> list[str]:
    socket = site.layout.run / 'mariadb.sock'
    return [program, '--no-defaults', '--user=root', f'--socket={socket}']


def _reading_account(site: sites.Site) -> list[str]:
    """The account of nova-isolation-api.

    doc/source/install/read-only-account.rst has the same statements. In the
    name of a database that is granted, "_" stands for any character.
    """
    account = f"'{sites.OPERATOR_API}'@'{sites.LOCALHOST}'"
    password = site.passwords[f'{sites.OPERATOR_API}-mariadb']
    return [
        f"create user {account} identified by '{password}'",
        *(
            f'grant select on `{name}`.* to {account}'
            for name in (one.replace('_', r'\_') for one in NOVA_DATABASES)
        ),
    ]
