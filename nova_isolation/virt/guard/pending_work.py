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

"""Work that is tried until it is done, in a thread that ends with it."""

from collections.abc import Callable
import threading
import time
import typing

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')


class _Entry(typing.Generic[T]):
    """One item; its identity tells two items of one instance apart."""

    def __init__(self, item: T) -> None:
        self.item = item


class PendingWork(typing.Generic[T]):
    """Tries items again and again, each until it is done.

    There is at most one item for an instance, and one thread, which lives
    only while something is pending.
    """

    def __init__(
        self,
        name: str,
        attempt: Callable[[str, T], bool],
        interval: float,
        longest: float | None = None,
        limit: int | None = None,
    ) -> None:
        """:param name: the name of the thread
        :param attempt: tries one item, given the UUID of the instance and
            the item; returns whether it is done. What it raises is logged at
            DEBUG, and the item is tried again.
        :param interval: seconds before the first attempt and between two
        :param longest: the interval doubles up to this; None: it stays
        :param limit: how many items may be pending; None: any number
        """
        self._name = name
        self._attempt = attempt
        self._interval = interval
        self._longest = interval if longest is None else longest
        self._limit = limit
        self._entries: dict[str, _Entry[T]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> frozenset[str]:
        """The UUIDs of the instances for which something is pending."""
        with self._lock:
            return frozenset(self._entries)

    @property
    def thread(self) -> threading.Thread | None:
        """The thread; None while nothing is pending."""
        return self._thread

    def add(self, uuid: str, item: T) -> bool:
        """Try an item until it is done, in place of an earlier one.

        :param uuid: the UUID of the instance
        :returns: False: too many items are pending, this one is dropped
        """
        with self._lock:
            if self._limit is not None and len(self._entries) >= self._limit:
                return False
            self._entries[uuid] = _Entry(item)
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True
                )
                thread.start()
                # Assigned only now: after a thread that could not start,
                # the next call must try to start one again.
                self._thread = thread
            return True

    def discard(self, uuid: str) -> None:
        """Forget the item of an instance, if there is one."""
        with self._lock:
            self._entries.pop(uuid, None)

    def stop(self) -> None:
        """Forget all items and wait until the thread has ended.

        Takes up to one interval, and as long as an attempt that is under
        way.
        """
        with self._lock:
            self._entries.clear()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        interval = self._interval
        while True:
            time.sleep(interval)
            interval = min(2 * interval, self._longest)
            with self._lock:
                entries = dict(self._entries)
                if not entries:
                    self._thread = None
                    return
            for uuid, entry in entries.items():
                if self._done(uuid, entry.item):
                    with self._lock:
                        # An item that was added meanwhile stays.
                        if self._entries.get(uuid) is entry:
                            del self._entries[uuid]

    def _done(self, uuid: str, item: T) -> bool:
        try:
            return self._attempt(uuid, item)
        except Exception:
            LOG.debug(
                'Pending work of thread %s is not done yet; it will be tried '
                'again',
                self._name,
                exc_info=True,
                instance_uuid=uuid,
            )
            return False
