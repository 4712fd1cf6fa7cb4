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

"""The accounts of nova-isolation-api can do no more than they need to."""

from collections.abc import Iterator
import contextlib

import amqp
import sqlalchemy
from sqlalchemy import exc

from lab.config import site as sites
from lab.daemons import mariadb
from tests.e2e import base

_API = 'nova_api'
_CELL = 'nova_cell1'


class DatabaseTest(base.TestCase):
    """MariaDB lets the service read Nova's databases, and nothing else."""

    def run_statement(self, database: str, text: str) -> list[object]:
        """Run a statement as the service's account, which may fail."""
        engine = sqlalchemy.create_engine(
            self.cloud.site.operator_database(database)
        )
        self.addCleanup(engine.dispose)
        with engine.begin() as connection:
            return list(connection.execute(sqlalchemy.text(text)))

    def assertDenied(self, database: str, text: str) -> None:
        """MariaDB refuses a statement because the account may not do it."""
        with self.assertRaises(exc.OperationalError, msg=text) as caught:
            self.run_statement(database, text)
        # ER_DBACCESS_DENIED, ER_TABLEACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED
        self.assertIn(caught.exception.orig.args[0], (1044, 1142, 1227), text)

    def test_reads_nova(self) -> None:
        for name in mariadb.NOVA_DATABASES:
            self.assertTrue(
                self.run_statement(name, 'select * from alembic_version')
            )
        hosts = self.run_statement(_CELL, 'select host from compute_nodes')
        self.assertTrue(hosts)

    def test_changes_nothing(self) -> None:
        for database in mariadb.NOVA_DATABASES:
            for text in (
                'insert into alembic_version values ("x")',
                'update alembic_version set version_num = "x"',
                'delete from alembic_version',
                'truncate alembic_version',
                'drop table alembic_version',
                'alter table alembic_version add x int',
                'create table lab (x int)',
                'create temporary table lab (x int)',
                'lock tables alembic_version write',
                'select 1 into outfile "/tmp/lab"',
                f'grant select on {database}.* to lab2',
            ):
                self.assertDenied(database, text)

    def test_reads_nothing_else(self) -> None:
        for table in (
            'keystone.password',
            'glance.images',
            'placement.traits',
            'mysql.user',
        ):
            self.assertDenied(_API, f'select * from {table}')

    def test_finds_no_password_of_a_writer(self) -> None:
        found = self.run_statement(
            _API,
            'select database_connection, transport_url from cell_mappings',
        )
        passwords = self.cloud.site.passwords
        for name in ('mariadb', 'rabbitmq'):
            self.assertNotIn(passwords[name], str(found))
        self.assertIn('{password}', str(found))

    def test_the_service_has_no_other_account(self) -> None:
        text = self.cloud.layout.isolation_api_conf.read_text('utf-8')
        passwords = self.cloud.site.passwords
        for name in ('mariadb', 'rabbitmq', 'admin', 'nova', 'placement'):
            self.assertNotIn(passwords[name], text)
        used = mariadb.root(
            self.cloud.supervisor,
            self.cloud.site,
            'select db from information_schema.processlist where user = '
            f"'{sites.OPERATOR_API}'",
        ).split()
        self.assertIn(_CELL, used)


class QueueTest(base.TestCase):
    """RabbitMQ lets the service call compute hosts, and nothing else."""

    @contextlib.contextmanager
    def channel(self) -> Iterator[amqp.Channel]:
        site = self.cloud.site
        connection = amqp.Connection(
            f'{sites.LOCALHOST}:{site.ports["amqp"]}',
            userid=sites.OPERATOR_API,
            password=site.passwords[f'{sites.OPERATOR_API}-rabbitmq'],
            confirm_publish=True,
            connect_timeout=10,
            read_timeout=10,
            write_timeout=10,
        )
        connection.connect()
        with contextlib.closing(connection):
            yield connection.channel()

    def send(self, exchange: str, key: str) -> None:
        with self.channel() as channel:
            channel.basic_publish(
                amqp.Message('lab'), exchange=exchange, routing_key=key
            )

    def test_calls_compute_hosts_only(self) -> None:
        # There is no such host, so nobody gets the message.
        self.send('nova', 'compute.lab-nobody')
        for exchange, key in (
            ('nova', 'conductor'),
            ('nova', 'scheduler'),
            ('nova', 'compute'),
            ('', 'conductor'),
            ('neutron', 'compute.lab-nobody'),
        ):
            with self.assertRaises(
                (amqp.AccessRefused, amqp.NotFound), msg=f'{exchange} {key}'
            ):
                self.send(exchange, key)

    def test_listens_to_nobody(self) -> None:
        for queue in (f'compute.{base.HARDENED}', 'conductor'):
            with (
                self.assertRaises(amqp.AccessRefused),
                self.channel() as channel,
            ):
                channel.basic_get(queue)
        with self.assertRaises(amqp.AccessRefused), self.channel() as channel:
            channel.queue_bind('reply_lab', 'nova', f'compute.{base.PLAIN}')
        with self.assertRaises(amqp.AccessRefused), self.channel() as channel:
            channel.queue_declare('lab')
