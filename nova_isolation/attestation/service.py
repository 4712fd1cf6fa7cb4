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

"""Attestation as a service of this process uses it."""

from collections.abc import Callable
from collections.abc import Mapping
import logging
import typing

from oslo_config import cfg

from nova_isolation.attestation import loader
from nova_isolation.attestation import opts
from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.mechanisms import entry_points
from nova_isolation.model import evidence

LOG = logging.getLogger(__name__)


class Attestation(typing.Protocol):
    """What a service may ask.

    :class:`nova_isolation.attestation.refresher.Refresher` documents each
    method.
    """

    def clock(self, now: float) -> float:
        """See the class Refresher."""

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Evidence]:
        """See the class Refresher."""

    def evidence(
        self, host: str, node: str, now: float
    ) -> Mapping[str, evidence.Evidence]:
        """See the class Refresher."""

    def start(self) -> None:
        """See the class Refresher."""

    def wait(self, seconds: float) -> None:
        """See the class Refresher."""

    def stop(self) -> None:
        """See the class Refresher."""


class NoAttestation:
    """Attestation where no provider is configured, or none that works."""

    def clock(self, now: float) -> float:
        """Return the host's own time."""
        return now

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Evidence]:
        """Return no evidence about any host."""
        return evidence.NO_EVIDENCE

    def evidence(
        self, host: str, node: str, now: float
    ) -> Mapping[str, evidence.Evidence]:
        """Return no evidence about any host."""
        return evidence.NO_EVIDENCE

    def start(self) -> None:
        """Do nothing."""

    def wait(self, seconds: float) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def make(
    conf: cfg.ConfigOpts,
    on_change: Callable[[snapshot.Snapshot], object] | None = None,
) -> Attestation:
    """Make the attestation that is configured. It is not started yet.

    A provider that cannot work is reported in the log, and guests that need
    an attested host are refused. The service and all other guests are not
    affected.

    :param conf: the configuration
    :param on_change: see
        :class:`nova_isolation.attestation.refresher.Refresher`
    """
    common = opts.register(conf)
    if not common.provider:
        return NoAttestation()
    try:
        return refresher.Refresher(
            load(conf),
            max_age=common.max_age,
            clock_skew=common.clock_skew,
            on_change=on_change,
        )
    except provider.ProviderError as error:
        LOG.error(
            'No host counts as attested, so guests that need an attested '
            'host are refused: %s',
            error,
        )
        return NoAttestation()


def load(conf: cfg.ConfigOpts) -> provider.Provider:
    """Load the provider that is configured, and register its options.

    :param conf: the configuration
    :raises nova_isolation.attestation.provider.ProviderError: there is no
        provider of that name, or it cannot work
    """
    name = opts.register(conf).provider
    return build(conf, name, loader.load(name))


def build(
    conf: cfg.ConfigOpts, name: str, cls: type[provider.Provider]
) -> provider.Provider:
    """Make a provider of a class that is at hand, with its options.

    :param conf: the configuration
    :param name: of the provider; its options are in the group
        ``[isolation_attestation_NAME]``
    :raises nova_isolation.attestation.provider.ProviderError: it cannot work
    """
    common = opts.register(conf)
    try:
        own = opts.register_own(conf, name, cls)
        for option in own:
            # A value of a wrong type is found now and not when it is needed.
            own[option]
        made = cls(common, own)
        provider.check_pause(made.pause)
        return made
    except provider.ProviderError:
        raise
    except cfg.Error as error:
        raise provider.ProviderError(
            f'[isolation_attestation_{name}] of provider {name!r}: {error}'
        ) from error
    except BaseException as error:
        # A provider of another package may raise anything.
        LOG.exception('Attestation provider %s could not be made', name)
        raise provider.ProviderError(
            f'[isolation_attestation] provider {name!r} failed: '
            f'{entry_points.words(error)}. Repair or uninstall its package, '
            f'or choose another provider'
        ) from error
