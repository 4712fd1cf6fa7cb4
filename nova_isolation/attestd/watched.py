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
"""A provider whose success is noted."""

import dataclasses
import time
import typing

from nova_isolation.attestation import provider
from nova_isolation.attestation import snapshot


class Watched(provider.Provider):
    """Passes on another provider, and notes when it last succeeded.

    :ivar succeeded_at: when that was (:func:`time.monotonic`); None: never
    """

    def __init__(self, options: typing.Any) -> None:
        """:param options: the provider that is watched"""
        self._inner: provider.Provider = options
        self.pause = self._inner.pause
        self.succeeded_at: float | None = None

    def fetch(self, before: snapshot.Snapshot) -> snapshot.Snapshot:
        """See the base class.

        The first success is news in any case: that nothing is known of any
        host is then a verdict, before it was ignorance.
        """
        found = self._inner.fetch(before)
        # It may have found out that it should be another.
        self.pause = self._inner.pause
        first = self.succeeded_at is None
        self.succeeded_at = time.monotonic()
        return dataclasses.replace(found) if first else found

    def close(self) -> None:
        """See the base class."""
        self._inner.close()
