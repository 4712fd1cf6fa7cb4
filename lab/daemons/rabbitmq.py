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

"""RabbitMQ with its port mapper, and a view of its queues."""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import functools
import json
import secrets

import amqp

from lab.config import rabbitmq_users
from lab.config import site as sites
from lab.run import layout as layouts
from lab.run import ports as port_blocks
from lab.run import records
from lab.run import supervisor as supervisors

NAME = 'rabbitmq'
MAPPER = 'epmd'
#: Not Debian's wrapper, which switches to another user.
_SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'


def start(supervisor: supervisors.Supervisor, site: sites.Site) -> None:
    """Start both and wait until they accept connections."""
    data = site.layout.data / 'rabbitmq'
    etc = site.layout.etc / 'rabbitmq'
    ports = site.ports
    layouts.write(etc / 'enabled_plugins', '[].\n')
    definitions = layouts.write(
        etc / 'definitions.json',
        json.dumps(rabbitmq_users.definitions(site, secrets.token_bytes(4))),
    )
    layouts.write(
        etc / 'rabbitmq.conf',
        f'load_definitions = {definitions}\nloopback_users = none\n',
    )
    data.mkdir()
    # By default Erlang starts a port mapper for the whole machine.
    mapper = supervisor.start(
        MAPPER,
        ['epmd', '-port', str(ports['epmd']), '-address', sites.LOCALHOST],
        {'ERL_EPMD_RELAXED_COMMAND_CHECK': '1'},
    )
    supervisor.wait(
        'epmd', lambda: port_blocks.listening(ports['epmd']), 120, mapper
    )
    daemon = supervisor.start(
        NAME,
        [_SERVER],
        {
            'HOME': str(data),
            'RABBITMQ_NODENAME': f'lab-{ports.base}@localhost',
            'RABBITMQ_NODE_IP_ADDRESS': sites.LOCALHOST,
            'RABBITMQ_NODE_PORT': str(ports['amqp']),
            'RABBITMQ_DIST_PORT': str(ports['rabbit-dist']),
            'RABBITMQ_MNESIA_BASE': str(data / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(data / 'log'),
            'RABBITMQ_LOGS': '-',
            'RABBITMQ_PID_FILE': str(data / 'pid'),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_CONFIG_FILE': str(etc / 'rabbitmq'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(etc / 'enabled_plugins'),
            'ERL_EPMD_PORT': str(ports['epmd']),
            'ERL_EPMD_ADDRESS': sites.LOCALHOST,
            # One scheduler thread, which does not spin when it is idle.
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none'
            ),
        },
    )
    supervisor.wait(
        'RabbitMQ', lambda: port_blocks.listening(ports['amqp']), 400, daemon
    )


class Queues:
    """The queues on which Nova's services receive calls and send events.

    A service whose state in the API is "up" need not answer: the state stays
    "up" for [DEFAULT] service_down_time after the service has ended.
    """

    def __init__(
        self, supervisor: supervisors.Supervisor, site: sites.Site
    ) -> None:
        self._supervisor = supervisor
        self._site = site

    def wait_served(
        self,
        queues: Iterable[str],
        seconds: float,
        daemon: records.Daemon | None = None,
    ) -> None:
        """Wait until each of the queues has a consumer."""
        for queue in queues:
            self._supervisor.wait(
                f'a consumer of {queue}',
                functools.partial(self.consumers, queue),
                seconds,
                daemon,
                every=0.2,
            )

    def wait_deserted(self, queue: str, seconds: float) -> None:
        """Wait until the queue has no consumer."""
        self._supervisor.wait(
            f'no consumer of {queue}',
            lambda: self.consumers(queue) == 0,
            seconds,
        )

    def consumers(self, queue: str) -> int:
        """The number of consumers of a queue; 0 if there is no such queue."""
        with self._channel() as channel:
            try:
                declared = channel.queue_declare(queue=queue, passive=True)
            except amqp.exceptions.NotFound:
                return 0
            return int(declared.consumer_count)

    def take(self, queue: str) -> list[str]:
        """Take all messages of a queue; none if there is no such queue."""
        found: list[str] = []
        with self._channel() as channel:
            try:
                while message := channel.basic_get(queue, no_ack=True):
                    found.append(str(message.body))
            except amqp.exceptions.NotFound:
                pass
        return found

    @contextlib.contextmanager
    def _channel(self) -> Iterator[amqp.Channel]:
        site = self._site
        connection = amqp.Connection(
            f'{sites.LOCALHOST}:{site.ports["amqp"]}',
            userid='lab',
            password=site.passwords['rabbitmq'],
            connect_timeout=10,
            read_timeout=10,
            write_timeout=10,
        )
        with contextlib.closing(connection):
            connection.connect()
            yield connection.channel()
