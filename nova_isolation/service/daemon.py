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
"""The daemon: makes the parts of the service and serves it."""

import asyncio
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import signal
import socket
import ssl
import time
import typing

from keystoneauth1 import loading
from oslo_config import cfg

from nova_isolation import opts as isolation_opts
from nova_isolation.attestation import service as attestation
from nova_isolation.attestd import listener
from nova_isolation.attester import log_client
from nova_isolation.attester import opts as attester_opts
from nova_isolation.mechanisms import registry
from nova_isolation.model import errors
from nova_isolation.page import identity
from nova_isolation.page import routes
from nova_isolation.page import sessions
from nova_isolation.report import asked
from nova_isolation.report import audit
from nova_isolation.report import explanation
from nova_isolation.report import picture
from nova_isolation.service import app
from nova_isolation.service import endpoint
from nova_isolation.service import keystone
from nova_isolation.service import metrics
from nova_isolation.service import opts
from nova_isolation.service import picture_keeper
from nova_isolation.service import policies

LOG = logging.getLogger(__name__)

#: How many clients may read metrics at once.
_SCRAPERS = 20


class ConfigurationError(errors.IsolationError):
    """The service cannot work as it is configured."""


class Daemon:
    """Finds all errors of the configuration before it serves."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        read: Callable[[], picture.Picture],
        servers: asked.Servers,
        find_flavor: asked.FindFlavor,
        said: audit.Configuration,
    ) -> None:
        """:param conf: the configuration

        :param read: reads the cloud, see
            :class:`nova_isolation.service.picture_keeper.PictureKeeper`
        :param servers: answers about one server, now
        :param find_flavor: answers about one flavor, now
        :param said: what the configuration says about the cloud
        :raises ConfigurationError: an option has a wrong value
        :raises nova_isolation.attester.errors.AttesterError: the log of
            statements cannot be asked as configured
        :raises nova_isolation.attestd.listener.ListenerError: the port cannot
            be served as configured
        """
        options = opts.register(conf)
        isolation = isolation_opts.register(conf)
        for group in (options, isolation):
            for name in group:
                # A value of a wrong type is found now, not when it is needed.
                group[name]
        self._options = options
        self._context = _tls(options)
        if options.picture_max_age <= options.refresh_interval:
            raise ConfigurationError(
                '[isolation_api] picture_max_age is '
                f'{options.picture_max_age:g} and refresh_interval is '
                f'{options.refresh_interval:g}; picture_max_age must be more'
            )
        self._attestation = attestation.make(conf)
        log = _log(attester_opts.register_log(conf))
        self._keeper = picture_keeper.PictureKeeper(
            read, options.refresh_interval, options.picture_max_age
        )
        self._metrics = _metrics_address(options.metrics_listen)
        self._answered = metrics.Requests()
        self._parts = endpoint.Parts(
            identify=_keystone(conf, options).identify,
            enforcer=policies.enforcer(conf),
            keeper=self._keeper,
            rules=explanation.Rules(
                isolation.mode,
                isolation_opts.freshness(isolation),
                registry.get(),
            ),
            attestation=self._attestation,
            servers=servers,
            find_flavor=find_flavor,
            observe=self._answered.observe,
            said=said,
            clock=time.time,
            newest_statement=None if log is None else log.newest,
            max_limit=options.max_limit,
            public_url=options.public_url.rstrip('/'),
        )

        self._page = routes.Page(
            _identity(conf),
            sessions.Sessions(),
            options.public_url.rstrip('/'),
        )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        :raises nova_isolation.attestd.listener.ListenerError: the port cannot
            be used
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        options = self._options
        with contextlib.ExitStack() as ports:
            served = [
                (
                    listener.Listener(
                        app.make(self._parts, self._page.routes()),
                        self._context,
                        options.max_clients,
                    ),
                    ports.enter_context(
                        _listen('API', options.bind, options.port)
                    ),
                )
            ]
            if self._metrics is not None:
                served.append(
                    (
                        listener.Listener(
                            metrics.make(self._parts, self._answered),
                            None,
                            _SCRAPERS,
                        ),
                        ports.enter_context(
                            _listen('metrics', *self._metrics)
                        ),
                    )
                )
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, ended.set)
            self._attestation.start()
            self._keeper.start()
            serving = [
                asyncio.create_task(server.serve([port]))
                for server, port in served
            ]
            end = asyncio.create_task(ended.wait())
            try:
                await asyncio.wait(
                    [*serving, end], return_when=asyncio.FIRST_COMPLETED
                )
                LOG.info('Service ends')
            finally:
                end.cancel()
                for server, _ in served:
                    server.should_exit = True
                await asyncio.gather(
                    *serving,
                    asyncio.to_thread(self._keeper.stop),
                    asyncio.to_thread(self._attestation.stop),
                )


@contextlib.contextmanager
def _listen(what: str, host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port.

    :param what: what is served there, for the log
    :raises nova_isolation.attestd.listener.ListenerError: the port cannot be
        used
    """
    with contextlib.closing(listener.bind(host, port)) as bound:
        LOG.info('Service listens on %s, port %d: %s', host, port, what)
        yield bound


def _metrics_address(text: str) -> tuple[str, int] | None:
    """Return where metrics are served; None: nowhere.

    :param text: ``[isolation_api] metrics_listen``
    :raises ConfigurationError: it is no address with a port
    """
    if not text:
        return None
    host, colon, port = text.rpartition(':')
    name = host.removeprefix('[').removesuffix(']')
    if not (
        name
        and colon
        and (host == name) == (':' not in name)
        and port.isascii()
        and port.isdecimal()
        and 0 < int(port[:6]) < 2**16
    ):
        raise ConfigurationError(
            f'[isolation_api] metrics_listen is {text[:100]!r}; wanted '
            'ADDRESS:PORT, with an IPv6 address in brackets'
        )
    return name, int(port)


def _tls(options: typing.Any) -> ssl.SSLContext | None:
    """Return the TLS settings of the port; None for plain HTTP."""
    if bool(options.cert_file) != bool(options.key_file):
        raise ConfigurationError(
            '[isolation_api] has only one of cert_file and key_file; set '
            'both for TLS, or none for plain HTTP behind a proxy'
        )
    if not options.cert_file:
        return None
    return listener.tls(options.cert_file, options.key_file, '')


def _keystone(conf: cfg.ConfigOpts, options: typing.Any) -> keystone.Keystone:
    """Return what checks tokens.

    :raises ConfigurationError: ``[keystone_authtoken]`` cannot be used
    """
    try:
        return keystone.Keystone(conf, options.identity_timeout)
    except Exception as error:
        # keystoneauth has an exception for each plugin and option.
        raise ConfigurationError(
            f'[keystone_authtoken] cannot be used: {error}'
        ) from error


def _log(options: typing.Any) -> log_client.LogClient | None:
    """Return what reads the log of statements; None: it has no address.

    :param options: the group ``[isolation_evidence]``
    :raises nova_isolation.attester.errors.AttesterError: they cannot be used
    """
    return log_client.LogClient(options) if options.url else None


def _identity(conf: cfg.ConfigOpts) -> identity.Identity:
    """Return what logs people in, at the keystone that checks tokens.

    :raises ConfigurationError: ``[keystone_authtoken]`` names no keystone
    """
    plugin = loading.load_auth_from_conf_options(conf, 'keystone_authtoken')
    url = getattr(plugin, 'auth_url', None)
    if not url:
        raise ConfigurationError(
            '[keystone_authtoken] has no auth_url, so nobody could log in to '
            'the page'
        )
    group = conf.keystone_authtoken
    return identity.Identity(
        url, False if group.insecure else group.cafile or True
    )
