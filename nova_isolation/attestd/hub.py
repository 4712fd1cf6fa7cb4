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
"""Where a new snapshot meets those who wait for it."""

import asyncio
from collections.abc import Container
import itertools
import secrets
import typing

from nova_isolation.attestation import snapshot


class Page(typing.NamedTuple):
    """A snapshot as it is sent, the same bytes to all.

    :ivar etag: names it: this process and a number
    :ivar text: of the snapshot
    """

    etag: str
    text: bytes


class Hub:
    """Holds the newest page. To be used on one event loop."""

    def __init__(self) -> None:
        """To be made on the loop."""
        self._loop = asyncio.get_running_loop()
        # A daemon that was started again has other tags: whoever has a page
        # of the one before gets the one that counts now.
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._bell = asyncio.Event()
        self._closed = False
        #: The newest page; None: nothing was ever known.
        self.page: Page | None = None

    def publish(self, known: snapshot.Snapshot) -> None:
        """From now on this is the newest. Called on any thread.

        Who calls must do so in the order of the snapshots.
        """
        page = Page(
            f'"{self._process}-{next(self._numbers)}"',
            snapshot.dumps(known).encode(),
        )
        self._loop.call_soon_threadsafe(self._turn, page)

    def close(self) -> None:
        """Send home who waits, and who comes."""
        self._closed = True
        self._ring()

    async def newer(
        self, known: Container[str], seconds: float
    ) -> Page | None:
        """The newest page, as soon as it is another than those known.

        :param known: their tags
        :param seconds: how long to wait for another one
        :returns: the newest when the time is over, known or not; None: there
            is none
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._closed and (
                    self.page is None or self.page.etag in known
                ):
                    await self._bell.wait()
        except TimeoutError:
            pass
        return self.page

    def _turn(self, page: Page) -> None:
        self.page = page
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
