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

"""The contract of an attestation provider.

A provider is a class, named in the entry-point group
``nova_isolation.attestation`` and chosen by ``[isolation_attestation]
provider``. A provider asks one or more verifiers (RFC 9334) for what they
know about all hosts, and returns that as one snapshot.
:mod:`nova_isolation.attestation.refresher` calls the provider from one thread
and keeps the snapshot. Whether a host counts as attested is decided
elsewhere, by the mechanism ``attested``.

A provider brings its own options (:meth:`Provider.options`). They are
registered in the group ``[isolation_attestation_NAME]``, where NAME is the
name of the entry point.
"""

import abc
from collections.abc import Sequence
import math
import typing

from nova_isolation.attestation import snapshot
from nova_isolation.model import errors

if typing.TYPE_CHECKING:
    from oslo_config import cfg

#: The entry-point group.
ENTRY_POINTS = 'nova_isolation.attestation'


def check_pause(pause: object) -> float:
    """Return the pause of a provider, if it is one.

    :raises ValueError: it is not a number of seconds, or is negative
    """
    if type(pause) not in (int, float) or not (
        0 <= typing.cast(float, pause) < math.inf
    ):
        raise ValueError(f'pause is {pause!r}, must be seconds')
    return typing.cast(float, pause)


class ProviderError(errors.IsolationError):
    """A provider cannot work as configured, or no verifier gave an answer.

    The message names the option or the verifier, what was wanted and what
    was found.
    """


class Revocation(typing.NamedTuple):
    """A verifier's message that an agent is no longer to be trusted.

    :ivar agent: the agent's identifier, spelled as in
        :class:`nova_isolation.attestation.snapshot.Verdict`
    :ivar found: the verifier's reason, in words
    """

    agent: str
    found: str


class Provider(abc.ABC):
    """Asks verifiers about the hosts.

    :cvar pause: seconds between two successful fetches; 0 where
        :meth:`fetch` itself waits for news
    """

    pause: float = 10.0

    @classmethod
    def options(cls) -> 'Sequence[cfg.Opt]':
        """The provider's own options.

        They are registered in the group ``[isolation_attestation_NAME]``
        when this provider is used, and shown in the sample configuration.

        :returns: options of oslo.config, the same ones at each call
        """
        return ()

    @abc.abstractmethod
    def __init__(self, common: typing.Any, own: typing.Any) -> None:
        """:param common: the group ``[isolation_attestation]``

        :param own: the group ``[isolation_attestation_NAME]``, which has
            the options of :meth:`options`
        :raises ProviderError: the provider cannot work with these values;
            the message names the option, its value and the wanted value
        """

    @abc.abstractmethod
    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """Ask about all hosts.

        Only a good quote that a verifier has newly verified renews a
        verdict. A verdict about which no verifier can be asked keeps its
        state and its times.

        :param before: the newest known snapshot
        :returns: the new snapshot; ``before`` itself if nothing is new
        :raises ProviderError: no verifier gave an answer. Raised within
            ``timeout`` seconds, plus the seconds for which the provider
            itself waits for news.
        """

    def revocation(self, body: bytes) -> Revocation | None:
        """Read a verifier's message that an agent is no longer trusted.

        Optional. A provider that overrides this method can be used with
        ``[attestd] webhook_port``. The message is a hint that only ever
        takes trust away: whoever may connect to that port has shown a
        certificate, and the body need not be signed.

        :param body: the body of an HTTP POST
        :returns: which agent is revoked; None: the message is understood
            and revokes no agent
        :raises ValueError: the body is not a message of a verifier
        """
        return None

    def reads_revocations(self) -> bool:
        """Return whether this provider overrides :meth:`revocation`."""
        return type(self).revocation is not Provider.revocation

    def close(self) -> None:
        """Release connections. A fetch that is under way may fail."""
        return
