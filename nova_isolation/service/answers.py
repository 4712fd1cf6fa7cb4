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
"""Answers that are kept as long as they are true."""

import collections
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
import json

import anyio
from anyio import to_thread

#: How many bytes of answers are kept at most.
MAX_BYTES = 64 * 1024 * 1024
_SECONDS = 1.0


def encode(values: Mapping[str, object]) -> bytes:
    """Return JSON values as text."""
    return json.dumps(
        values, ensure_ascii=False, allow_nan=False, separators=(',', ':')
    ).encode(errors='backslashreplace')


class Answers:
    """Keeps encoded answers, for one second each.

    What is said about a host depends on ages, which messages state in
    seconds. So an answer is kept for what it was made from and for a second
    after it was made. Many clients that ask the same share one answer, which
    is made once in a second.

    Answers are made one after another by a thread, so that clients whose
    answer is kept do not wait while one about thousands of hosts is made. All
    methods are for the thread of the event loop.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """:param max_bytes: the size of all answers that are kept"""
        self._max_bytes = max_bytes
        self._size = 0
        self._kept: collections.OrderedDict[
            Hashable, tuple[object, float, bytes]
        ] = collections.OrderedDict()
        # What makes answers shares decisions, which are no thread's but one's.
        self._turn = anyio.Lock()

    async def get(
        self,
        key: Hashable,
        source: object,
        now: float,
        make: Callable[[], Mapping[str, object]],
    ) -> bytes:
        """Return an answer, made now or less than a second ago.

        :param key: what was asked
        :param source: the object from which the answer is made; an answer of
            another one is not used
        :param now: seconds since the epoch
        :param make: makes the answer; is called by another thread
        """
        if (body := self._known(key, source, now)) is not None:
            return body
        async with self._turn:
            # Another client may have asked the same meanwhile.
            if (body := self._known(key, source, now)) is not None:
                return body
            body = await to_thread.run_sync(lambda: encode(make()))
            if key in self._kept:
                self._drop(key)
            self._kept[key] = source, now, body
            self._size += len(body)
            while self._size > self._max_bytes:
                self._drop(next(iter(self._kept)))
            return body

    def _known(
        self, key: Hashable, source: object, now: float
    ) -> bytes | None:
        known = self._kept.get(key)
        if known and known[0] is source and abs(now - known[1]) < _SECONDS:
            return known[2]
        return None

    def _drop(self, key: Hashable) -> None:
        self._size -= len(self._kept.pop(key)[2])
