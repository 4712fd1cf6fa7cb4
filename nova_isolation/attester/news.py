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

"""What is worth a statement: what has changed, and a heartbeat."""

import collections
from collections.abc import Hashable
import threading
import time

#: How many guests are remembered; a host has some hundred.
_MAX_GUESTS = 10_000


class News:
    """Remembers what was stated last about each guest."""

    def __init__(self, heartbeat: float) -> None:
        """:param heartbeat: seconds after which the same is news again"""
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        #: UUID -> what was stated, and when, by the monotonic clock; what was
        #: stated last comes last
        self._last: collections.OrderedDict[str, tuple[Hashable, float]] = (
            collections.OrderedDict()
        )

    def is_news(self, uuid: str, found: Hashable) -> bool:
        """Return whether to state it, and remember it then.

        :param uuid: the UUID of the instance
        :param found: equal for what need not be stated twice
        """
        now = time.monotonic()
        with self._lock:
            before = self._last.get(uuid)
            if (
                before is not None
                and before[0] == found
                and now - before[1] < self._heartbeat
            ):
                return False
            self._last[uuid] = found, now
            self._last.move_to_end(uuid)
            if len(self._last) > _MAX_GUESTS:
                self._last.popitem(last=False)
            return True

    def forget(self, uuid: str) -> None:
        """Let the next verification of a guest be news."""
        with self._lock:
            self._last.pop(uuid, None)
