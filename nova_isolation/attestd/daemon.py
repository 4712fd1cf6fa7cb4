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
"""The daemon: asks the verifiers, and tells those who ask it."""

import asyncio
import contextlib
import logging
import resource
import signal
import ssl
import time
import typing

from nova_isolation.attestation import refresher
from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import api
from nova_isolation.attestd import hub
from nova_isolation.attestd import listener
from nova_isolation.attestd import watched
from nova_isolation.attestd import webhook

LOG = logging.getLogger(__name__)

#: Who may use the webhook at once: verifiers are few.
_MAX_VERIFIERS = 100


class Daemon:
    """All that can be wrong with the configuration is found out first."""

    def __init__(self, options: typing.Any, attestation: typing.Any) -> None:
        """:param options: the group ``[attestd]``
        :param attestation: the group ``[isolation_attestation]``
        :raises nova_isolation.attestation.provider.ProviderError: nobody can
            be asked
        :raises nova_isolation.attestd.listener.ListenerError: nobody can be
            told
        """
        if options.port == options.webhook_port:
            raise listener.ListenerError(
                f'[attestd] port and webhook_port are both {options.port}'
            )
        self._options = options
        self._attestation = attestation
        self._provider = watched.Watched(service.load(attestation))
        self._context = listener.tls(
            _required(options, 'cert_file'),
            _required(options, 'key_file'),
            options.client_ca_file,
        )
        self._webhook_context: ssl.SSLContext | None = None
        if options.webhook_port:
            self._webhook_context = listener.tls(
                _required(options, 'webhook_cert_file'),
                _required(options, 'webhook_key_file'),
                _required(options, 'webhook_ca_file'),
            )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        :raises nova_isolation.attestd.listener.ListenerError: the ports
            cannot be had
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        asyncio.run(self._run())

    async def _run(self) -> None:
        pages = hub.Hub()

        def publish(known: snapshot.Snapshot) -> None:
            # Before the first success there is only trouble to tell.
            if self._provider.succeeded_at is not None:
                pages.publish(known)

        asked = refresher.Refresher(
            self._provider,
            max_age=self._attestation.max_age,
            clock_skew=self._attestation.clock_skew,
            on_change=publish,
        )
        listeners = self._listeners(pages, asked)
        with contextlib.ExitStack() as stack:
            served = [
                (
                    one,
                    [
                        stack.enter_context(
                            listener.bind(self._options.bind, port)
                        )
                    ],
                )
                for port, one in listeners.items()
            ]
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, ended.set)
            asked.start()
            tasks = [
                asyncio.create_task(one.serve(sockets))
                for one, sockets in served
            ]
            LOG.info(
                'Listens on %s, ports %s',
                self._options.bind,
                ', '.join(map(str, listeners)),
            )
            end = asyncio.create_task(ended.wait())
            try:
                await asyncio.wait(
                    [*tasks, end], return_when=asyncio.FIRST_COMPLETED
                )
                LOG.info('Ends')
            finally:
                end.cancel()
                pages.close()
                for one in listeners.values():
                    one.should_exit = True
                await asyncio.gather(asyncio.to_thread(asked.stop), *tasks)

    def _listeners(
        self, pages: hub.Hub, asked: refresher.Refresher
    ) -> dict[int, listener.Listener]:
        """By their ports."""
        options = self._options
        result = {}
        if self._webhook_context:
            result[options.webhook_port] = listener.Listener(
                webhook.Webhook(asked.revoke).app(),
                self._webhook_context,
                _MAX_VERIFIERS,
            )
        result[options.port] = listener.Listener(
            api.Api(pages, lambda: self._health(asked)).app(),
            self._context,
            options.max_clients,
        )
        return result

    def _health(self, asked: refresher.Refresher) -> dict[str, object]:
        """For monitors: when verifiers were last asked with success."""
        at = self._provider.succeeded_at
        return {
            'age': None if at is None else round(time.monotonic() - at, 3),
            'hosts': len(asked.snapshot.verdicts),
            'trouble': asked.snapshot.trouble,
        }


def _required(options: typing.Any, name: str) -> str:
    value: str = options[name]
    if not value:
        raise listener.ListenerError(
            f'[attestd] {name} is not set; wanted a PEM file, for there is no '
            'port without TLS, and no webhook for who shows no certificate'
        )
    return value
