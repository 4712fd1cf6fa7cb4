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

"""The addresses and passwords of a lab, for all its configuration files."""

import dataclasses
import json
import secrets

from lab.config import ini
from lab.machine import recipe
from lab.run import layout as layouts
from lab.run import ports as port_blocks

LOCALHOST = '127.0.0.1'
REGION = 'RegionOne'
#: The users that services have in Keystone.
SERVICE_USERS = ('glance', 'neutron', 'nova', 'placement')
#: The service for operators, nova-isolation-api: its user in Keystone, its
#: account of MariaDB and its user of RabbitMQ.
OPERATOR_API = 'isolation'
#: 'admin' administers the cloud. The owner and the stranger are members of a
#: project each, and the auditor may read everything. 'mariadb' and 'rabbitmq',
#: also with OPERATOR_API before them, are no users of Keystone.
ADMIN, AUDITOR, OWNER, STRANGER = 'admin', 'auditor', 'owner', 'stranger'
_PASSWORDS = (
    *SERVICE_USERS,
    OPERATOR_API,
    ADMIN,
    AUDITOR,
    OWNER,
    STRANGER,
    'mariadb',
    'rabbitmq',
    f'{OPERATOR_API}-mariadb',
    f'{OPERATOR_API}-rabbitmq',
)
#: The message queue of a cell, as Nova's table of cells has it: each service
#: puts the user of its own [DEFAULT] transport_url in.
CELL_TRANSPORT = 'rabbit://{username}:{password}@{hostname}:{port}/'
#: The same for the database of a cell, but for its name.
CELL_DATABASE = 'mysql+pymysql://{username}:{password}@{hostname}:{port}/'
#: The path in the URL of each HTTP service.
_PATHS = {
    'keystone': '/v3',
    'placement': '',
    'glance': '',
    'neutron': '',
    'nova': '/v2.1',
    OPERATOR_API: '',
}


@dataclasses.dataclass(frozen=True)
class Site:
    """Addresses and passwords of one lab."""

    layout: layouts.Layout
    ports: port_blocks.Ports
    passwords: dict[str, str]
    #: The address at which the servers are reached.
    address: str = LOCALHOST

    @classmethod
    def make(cls, layout: layouts.Layout) -> 'Site':
        """Choose ports and passwords, and write them to the state folder."""
        site = cls(
            layout,
            port_blocks.find(),
            {name: secrets.token_hex(16) for name in _PASSWORDS},
        )
        layouts.write(
            layout.state / 'site.json',
            json.dumps({'base': site.ports.base, 'passwords': site.passwords}),
        )
        return site

    @classmethod
    def load(cls, layout: layouts.Layout) -> 'Site':
        """Read the site of the lab in a state folder."""
        text = (layout.state / 'site.json').read_text(encoding='utf-8')
        values = json.loads(text)
        return cls(
            layout, port_blocks.Ports(values['base']), values['passwords']
        )

    def url(self, service: str) -> str:
        """The URL of an HTTP service, as in the service catalogue."""
        return f'http://{self.address}:{self.ports[service]}{_PATHS[service]}'

    def seen_from_machine(self) -> 'Site':
        """The site with the address that a virtual machine has to use."""
        return dataclasses.replace(self, address=recipe.GATEWAY)

    def database(self, name: str) -> str:
        """SQLAlchemy's URL of a database."""
        return self._database('lab', 'mariadb', name)

    def operator_database(self, name: str) -> str:
        """The same, for the account of nova-isolation-api, which only reads.

        :param name: one of Nova's databases
        """
        return self._database(OPERATOR_API, f'{OPERATOR_API}-mariadb', name)

    def _database(self, account: str, password: str, name: str) -> str:
        return (
            f'mysql+pymysql://{account}:{self.passwords[password]}'
            f'@{LOCALHOST}:{self.ports["mariadb"]}/{name}'
        )

    @property
    def transport(self) -> str:
        """oslo.messaging's URL of the message queue."""
        return self._transport('lab', 'rabbitmq')

    @property
    def operator_transport(self) -> str:
        """The same, for the user of nova-isolation-api."""
        return self._transport(OPERATOR_API, f'{OPERATOR_API}-rabbitmq')

    def _transport(self, user: str, password: str) -> str:
        return (
            f'rabbit://{user}:{self.passwords[password]}'
            f'@{self.address}:{self.ports["amqp"]}/'
        )

    def login(self, user: str) -> dict[str, ini.Value]:
        """The options with which a service logs in to Keystone."""
        return {
            'auth_url': self.url('keystone'),
            'auth_type': 'password',
            'project_domain_name': 'Default',
            'user_domain_name': 'Default',
            'project_name': 'service',
            'username': user,
            'password': self.passwords[user],
        }

    def client(self, user: str) -> dict[str, ini.Value]:
        """The options with which a service is a client of another service."""
        return {
            **self.login(user),
            'region_name': REGION,
            'valid_interfaces': 'internal,public',
        }

    def token_check(self, user: str) -> dict[str, ini.Value]:
        """The options with which a service checks the tokens of callers."""
        return {
            **self.login(user),
            'www_authenticate_uri': self.url('keystone'),
            'interface': 'internal',
            'service_token_roles_required': True,  # nosec B105
            'service_token_roles': 'service',  # nosec B105
        }

    @property
    def locks(self) -> str:
        """The folder for oslo.concurrency's locks."""
        return str(self.layout.data / 'locks')
