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

"""Attestation as a service of this process has it."""

from collections.abc import Callable
from collections.abc import Mapping
import logging
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import refresher
from nova_isolation.attestation import snapshot
from nova_isolation.model import evidence

LOG = logging.getLogger(__name__)


class Attestation(typing.Protocol):
    """What a service may ask and tell."""

    def clock(self, now: float) -> float:
        """See :class:`nova_isolation.attestation.refresher.Refresher`."""

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Statement]:
        """See there."""

    def evidence(
        self, host: str, node: str, now: float
    ) -> Mapping[str, evidence.Evidence]:
        """See there."""

    def start(self) -> None:
        """See there."""

    def wait(self, seconds: float) -> None:
        """See there."""

    def stop(self) -> None:
        """See there."""


class Nobody:
    """Where no provider is configured, or none that works."""

    def clock(self, now: float) -> float:
        """The host's own."""
        return now

    def statements(
        self, host: str, node: str
    ) -> Mapping[str, evidence.Statement]:
        """None, of no host."""
        return evidence.NO_STATEMENTS

    def evidence(
        self, host: str, node: str, now: float
    ) -> Mapping[str, evidence.Evidence]:
        """None, of no host."""
        return evidence.NO_EVIDENCE

    def start(self) -> None:
        """Nothing."""

    def wait(self, seconds: float) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


def make(
    options: typing.Any,
    on_change: Callable[[snapshot.Snapshot], object] | None = None,
) -> Attestation:
    """What is configured. Not started yet.

    A provider that cannot work is an error in the log, and guests that ask
    for an attested host are refused; the service, and all other guests, do
    not notice.

    :param options: the ``[isolation_attestation]`` group
    :param on_change: see
        :class:`nova_isolation.attestation.refresher.Refresher`
    """
    if not options.provider:
        return Nobody()
    try:
        return refresher.Refresher(
            load(options),
            max_age=options.max_age,
            clock_skew=options.clock_skew,
            on_change=on_change,
        )
    except provider.ProviderError as error:
        LOG.error(
            'No host counts as attested, so guests that ask for one are '
            'refused: %s',
            error,
        )
        return Nobody()


def load(options: typing.Any) -> provider.Provider:
    """The provider that is configured.

    :param options: the ``[isolation_attestation]`` group
    :raises nova_isolation.attestation.provider.ProviderError: there is none
        of that name, or it cannot work
    """
    # Here, not above: it is for those who have one.
    from stevedore import driver
    from stevedore import exception

    try:
        cls: object = driver.DriverManager(
            provider.ENTRY_POINTS, options.provider
        ).driver
    except (exception.NoMatches, exception.MultipleMatches) as error:
        raise provider.ProviderError(
            f'[isolation_attestation] provider is {options.provider!r}, '
            f'which is not one entry point of {provider.ENTRY_POINTS} that '
            f'can be loaded: {error}'
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, provider.Provider)):
        raise provider.ProviderError(
            f'[isolation_attestation] provider {options.provider!r}: '
            f'{cls!r} is no Provider'
        )
    try:
        made: provider.Provider = cls(options)
    except provider.ProviderError:
        raise
    except Exception as error:
        # Anybody's provider.
        LOG.exception('The provider %s failed', options.provider)
        raise provider.ProviderError(
            f'[isolation_attestation] provider {options.provider!r} failed: '
            f'{type(error).__name__}: {error}'
        ) from error
    return made
