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

"""A provider that records when it last succeeded."""

import dataclasses
import time

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot


class MonitoredProvider(provider.Provider):
    """Passes each call on to another provider, and records its successes.

    :ivar succeeded_at: the time of the last success
        (:func:`time.monotonic`); None: none yet
    """

    def __init__(self, inner: provider.Provider) -> None:
        """:param inner: the provider that does the work"""
        self._inner = inner
        self.pause = self._inner.pause
        self.succeeded_at: float | None = None

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class.

        The first success always counts as news: before it an empty snapshot
        means that no verifier has answered, after it that no host is known.
        """
        # A provider of another package may return anything. That is no
        # success.
        found = snapshot.check(self._inner.fetch(before))
        # A fetch may change the pause of the provider.
        self.pause = self._inner.pause
        first = self.succeeded_at is None
        self.succeeded_at = time.monotonic()
        return dataclasses.replace(found) if first else found

    def revocation(self, body: bytes) -> provider.Revocation | None:
        """See the base class."""
        return self._inner.revocation(body)

    def reads_revocations(self) -> bool:
        """See the base class."""
        return self._inner.reads_revocations()

    def close(self) -> None:
        """See the base class."""
        self._inner.close()
