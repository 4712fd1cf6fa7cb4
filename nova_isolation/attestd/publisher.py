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

"""Publishing new snapshots to the requests that wait for them."""

import asyncio
from collections.abc import Container
import contextlib
import itertools
import logging
import secrets
import typing

from nova_isolation.attestation import snapshot

LOG = logging.getLogger(__name__)

#: Seconds between two publications. Each goes to all clients, and their
#: number must not depend on how many messages a verifier sends.
_INTERVAL = 0.2


class Publication(typing.NamedTuple):
    """A snapshot as it is sent, the same bytes to each client.

    :ivar etag: its name: of this process, and a number
    :ivar text: the text of the snapshot
    """

    etag: str
    text: bytes


class Publisher:
    """Keeps the newest publication. Belongs to one event loop.

    :ivar newest: the newest publication; None: no snapshot is known yet
    """

    def __init__(self) -> None:
        """To be called on the event loop."""
        self._loop = asyncio.get_running_loop()
        # The tags of a daemon that was restarted differ from those before:
        # each client then gets the snapshot that counts now.
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._closed = False
        #: The snapshot to publish next; None: it is published.
        self._next: snapshot.Snapshot | None = None
        self._task: asyncio.Task[None] | None = None
        self.newest: Publication | None = None

    def publish(self, known: snapshot.Snapshot) -> None:
        """Publish a snapshot soon. May be called on any thread.

        The callers must call in the order of the snapshots. A snapshot that
        is replaced before it was published is left out.
        """
        self._loop.call_soon_threadsafe(self._add, known)

    def close(self) -> None:
        """End all waits, those that begin later too."""
        self._closed = True
        self._wake()

    async def newer(
        self, known: Container[str], seconds: float
    ) -> Publication | None:
        """Wait for a publication that the client does not know.

        :param known: the tags that the client knows
        :param seconds: how long to wait
        :returns: the newest publication; after that time also one that the
            client knows; None: no snapshot is known yet
        """
        # TimeoutError is another name of it since Python 3.11.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wait_newer(known), seconds)
        return self.newest

    async def _wait_newer(self, known: Container[str]) -> None:
        while not self._closed and (
            self.newest is None or self.newest.etag in known
        ):
            await self._changed.wait()

    def _add(self, known: snapshot.Snapshot) -> None:
        self._next = known
        if self._task is None:
            self._task = self._loop.create_task(self._publish())

    async def _publish(self) -> None:
        try:
            while self._next is not None:
                known, self._next = self._next, None
                # A large snapshot takes a while.
                text = await asyncio.to_thread(snapshot.dumps, known)
                self.newest = Publication(
                    f'"{self._process}-{next(self._numbers)}"', text.encode()
                )
                self._wake()
                await asyncio.sleep(_INTERVAL)
        except Exception:
            # The clients keep what they have, and it expires.
            LOG.exception('A snapshot could not be published')
        finally:
            self._task = None

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
