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
"""The daemon: asks the verifiers, and answers schedulers and computes."""

import asyncio
import contextlib
import logging
import resource
import signal
import ssl
import time
import typing

from nova_isolation.attestation import opts as attestation_opts
from nova_isolation.attestation import refresher
from nova_isolation.attestation import service
from nova_isolation.attestation import snapshot
from nova_isolation.attestd import api
from nova_isolation.attestd import door
from nova_isolation.attestd import listener
from nova_isolation.attestd import monitored_provider
from nova_isolation.attestd import opts
from nova_isolation.attestd import publisher
from nova_isolation.attestd import webhook
from nova_isolation.attestd.evidence import opts as evidence_opts

if typing.TYPE_CHECKING:
    from nova_isolation.attestd.evidence import service as evidence_service

LOG = logging.getLogger(__name__)

#: How many verifiers may be connected to the webhook at once.
_MAX_VERIFIERS = 100
#: File descriptors for everything but the connections of clients: log,
#: libraries, connections to the verifiers.
_OTHER_FILES = 100


class Daemon:
    """Finds all errors of the configuration before it serves."""

    def __init__(self, conf: typing.Any) -> None:
        """:param conf: the configuration
            (:class:`oslo_config.cfg.ConfigOpts`)

        :raises nova_isolation.attestation.provider.ProviderError: the
            provider cannot work as configured
        :raises nova_isolation.attestd.listener.ListenerError: a port cannot
            be served as configured
        """
        options = opts.register(conf)
        attestation = attestation_opts.register(conf)
        evidence = evidence_opts.register(conf)
        for group in (options, attestation, evidence):
            for name in group:
                # A value of a wrong type is found now, not when it is needed.
                group[name]
        ports = [
            one
            for one in (options.port, options.webhook_port, evidence.port)
            if one
        ]
        if len(set(ports)) != len(ports):
            raise listener.ListenerError(
                '[attestd] port and webhook_port and [evidence] port are '
                f'{", ".join(map(str, ports))}; they must differ'
            )
        if evidence.port and not options.client_ca_file:
            raise listener.ListenerError(
                f'[evidence] port is {evidence.port}, but [attestd] '
                'client_ca_file is not set; wanted the CAs of clients, '
                'because statements are not for everybody'
            )
        self._options = options
        self._attestation = attestation
        self._evidence = evidence
        self._provider = monitored_provider.MonitoredProvider(
            service.load(conf)
        )
        self._context = listener.tls(
            _required(options, 'cert_file'),
            _required(options, 'key_file'),
            options.client_ca_file,
        )
        self._webhook_context: ssl.SSLContext | None = None
        if options.webhook_port:
            if not self._provider.reads_revocations():
                raise listener.ListenerError(
                    f'[attestd] webhook_port is {options.webhook_port}, but '
                    f'the provider {attestation.provider} reads no '
                    'revocation messages; must be 0'
                )
            self._webhook_context = listener.tls(
                _required(options, 'webhook_cert_file'),
                _required(options, 'webhook_key_file'),
                _required(options, 'webhook_ca_file'),
            )
        self._check_descriptors()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        :raises nova_isolation.attestd.listener.ListenerError: a port cannot
            be used
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        asyncio.run(self._run())

    def _check_descriptors(self) -> None:
        """Refuse limits that the system does not allow to reach.

        Without a descriptor no client at all could connect.

        :raises nova_isolation.attestd.listener.ListenerError: they are higher
        """
        _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        ports = [self._options.max_clients]
        if self._webhook_context:
            ports.append(_MAX_VERIFIERS)
        if self._evidence.port:
            ports.append(self._evidence.max_clients)
        wanted = _OTHER_FILES + sum(map(door.descriptors, ports))
        if allowed != resource.RLIM_INFINITY and allowed < wanted:
            raise listener.ListenerError(
                f'[attestd] max_clients is {self._options.max_clients}, for '
                f'which {wanted} file descriptors are needed; found a limit '
                f'of {allowed}. Raise LimitNOFILE of the systemd unit '
                '(ulimit -Hn), or lower max_clients'
            )

    async def _run(self) -> None:
        publications = publisher.Publisher()

        def publish(known: snapshot.Snapshot) -> None:
            # Before the first success there is no snapshot to publish.
            if self._provider.succeeded_at is not None:
                publications.publish(known)

        refreshed = refresher.Refresher(
            self._provider,
            max_age=self._attestation.max_age,
            clock_skew=self._attestation.clock_skew,
            on_change=publish,
        )
        listeners = self._listeners(publications, refreshed)
        with contextlib.ExitStack() as stack:
            evidence = self._evidence_service(refreshed)
            if evidence is not None:
                stack.callback(evidence.close)
                listeners[self._evidence.port] = listener.Listener(
                    evidence.app(),
                    self._context,
                    self._evidence.max_clients,
                )
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
            refreshed.start()
            tasks = [
                asyncio.create_task(one.serve(sockets))
                for one, sockets in served
            ]
            maintenance = (
                None
                if evidence is None
                else asyncio.create_task(evidence.run())
            )
            LOG.info(
                'Daemon listens on %s, ports %s',
                self._options.bind,
                ', '.join(map(str, listeners)),
            )
            end = asyncio.create_task(ended.wait())
            try:
                await asyncio.wait(
                    [*tasks, end], return_when=asyncio.FIRST_COMPLETED
                )
                LOG.info('Daemon ends')
            finally:
                end.cancel()
                if maintenance is not None:
                    maintenance.cancel()
                publications.close()
                for one in listeners.values():
                    one.should_exit = True
                await asyncio.gather(asyncio.to_thread(refreshed.stop), *tasks)

    def _evidence_service(
        self, refreshed: refresher.Refresher
    ) -> 'evidence_service.EvidenceService | None':
        """Return the log of statements; None: none is configured."""
        if not self._evidence.port:
            return None
        # Only here: a daemon without a log needs no database.
        try:
            from nova_isolation.attestd.evidence import service
        except ImportError as error:
            raise listener.ListenerError(
                f'[evidence] port is {self._evidence.port}, but {error}; '
                'install nova-isolation[attestd,evidence]'
            ) from error
        return service.EvidenceService(
            self._evidence, self._attestation, refreshed
        )

    def _listeners(
        self,
        publications: publisher.Publisher,
        refreshed: refresher.Refresher,
    ) -> dict[int, listener.Listener]:
        """Return the listeners by their ports."""
        options = self._options
        result = {}
        if self._webhook_context:
            result[options.webhook_port] = listener.Listener(
                webhook.Webhook(
                    self._provider.revocation, refreshed.revoke
                ).app(),
                self._webhook_context,
                _MAX_VERIFIERS,
            )
        result[options.port] = listener.Listener(
            api.Api(publications, lambda: self._health(refreshed)).app(),
            self._context,
            options.max_clients,
        )
        return result

    def _health(self, refreshed: refresher.Refresher) -> dict[str, object]:
        """Return, for monitoring, the age of the last success and more."""
        at = self._provider.succeeded_at
        return {
            'age': None if at is None else round(time.monotonic() - at, 3),
            'hosts': len(refreshed.snapshot.verdicts),
            'trouble': refreshed.snapshot.trouble,
        }


def _required(options: typing.Any, name: str) -> str:
    value: str = options[name]
    if not value:
        raise listener.ListenerError(
            f'[attestd] {name} is not set; wanted a PEM file, because each '
            'port uses TLS, and the webhook requires client certificates'
        )
    return value
