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
provider``. It asks a third party about all hosts at once;
:mod:`nova_isolation.attestation.refresher` calls it from one thread, keeps
what it says and judges no verdict.
"""

import abc
import typing

from nova_isolation.attestation import snapshot

#: The entry-point group.
ENTRY_POINTS = 'nova_isolation.attestation'


class ProviderError(Exception):
    """Nobody could be asked, or nobody answered; the message says why.

    Also where a provider cannot work as it is configured.
    """


class Provider(abc.ABC):
    """Asks a third party about the hosts.

    :cvar pause: seconds between two successful fetches; 0 where
        :meth:`fetch` itself waits for news
    """

    pause: float = 10.0

    @abc.abstractmethod
    def __init__(self, options: typing.Any) -> None:
        """:param options: the ``[isolation_attestation]`` group

        :raises ProviderError: it cannot work with them; the message names
            the option, what it is and what it should be
        """

    @abc.abstractmethod
    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """Ask about all hosts.

        Whatever happens, a verdict is never renewed by anything but a good
        quote that the third party has newly verified: what cannot be asked
        keeps the verdict, and the times, that it had.

        :param before: what is known so far
        :returns: what is known now; ``before`` itself if nothing is new
        :raises ProviderError: nothing could be found out. Takes no longer
            than ``timeout``, and what a provider adds to that for waiting.
        """

    def close(self) -> None:
        """Give back what it holds. A fetch that is under way may fail."""
        return
