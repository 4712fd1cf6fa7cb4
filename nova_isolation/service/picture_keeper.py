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
"""Keeps a picture of the cloud that is young enough to answer from."""

from collections.abc import Callable
import logging
import threading
import time

from nova_isolation.model import errors
from nova_isolation.model import printable
from nova_isolation.report import picture

LOG = logging.getLogger(__name__)

#: Seconds for which the end of the service waits for a reading.
_PATIENCE = 5.0


class CloudUnread(errors.IsolationError):
    """There is no picture of the cloud that may still be answered from."""


class PictureKeeper:
    """Reads the cloud again and again, in a thread of its own.

    No request waits for a database: it is answered from the last picture, or
    refused where that picture is too old.
    """

    def __init__(
        self,
        read: Callable[[], picture.Picture],
        interval: float,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """:param read: reads the cloud; may raise any exception, whose text
            must hold no credentials

        :param interval: seconds between the ends of two readings
        :param max_age: seconds after which a picture is not answered from
        :param clock: seconds; never set back
        """
        self._read = read
        self._interval = interval
        self._max_age = max_age
        self._clock = clock
        #: the last picture, and when its reading began
        self._kept: tuple[picture.Picture, float] | None = None
        self._trouble = 'the first reading has not ended yet'
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='isolation-picture', daemon=True
        )

    def current(self) -> tuple[picture.Picture, float]:
        """Return the picture of the cloud, and its age in seconds.

        :raises CloudUnread: there is none that is young enough
        """
        kept = self._kept
        if kept is None:
            raise CloudUnread(
                f"Nova's databases have not been read yet: {self._trouble}"
            )
        age = self._clock() - kept[1]
        if age > self._max_age:
            raise CloudUnread(
                f"Nova's databases were last read {age:.0f} s ago, and "
                f'[isolation_api] picture_max_age is {self._max_age:.0f} s: '
                f'{self._trouble or "the reading under way takes too long"}'
            )
        return kept[0], age

    def refresh(self) -> None:
        """Read the cloud now. A failure is logged and kept for answers."""
        began = self._clock()
        try:
            found = self._read()
        except Exception as error:
            # A database may be away in many ways.
            trouble = printable.one_line(error)
            if trouble != self._trouble:
                LOG.error("Nova's databases cannot be read: %s", trouble)
            self._trouble = trouble
            return
        if self._trouble and self._kept is not None:
            LOG.info("Nova's databases can be read again")
        self._kept = found, began
        self._trouble = ''

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait a few seconds for its end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._interval)
