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

"""Calls that may hang, each with a limit of time.

A read from a network file system whose server is away, from /proc of a
process in an uninterruptible sleep, or from a libvirt that waits for a lock
can last for ever, and nothing in the calling thread can end it. So such calls
run on threads of their own. The caller gets TimeoutError, which is an OSError
like any other failure to read.
"""

from collections.abc import Callable
from collections.abc import Hashable
import dataclasses
import functools
import threading
import time
import typing

from nova_isolation.host import kept_threads

T = typing.TypeVar('T')


@dataclasses.dataclass(eq=False)
class _Call:
    """A call that is under way.

    :ivar begun: when the call began, by the monotonic clock
    :ivar ended: set when the call has ended
    :ivar result: what the call returned
    :ivar error: what the call raised
    """

    begun: float
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    result: typing.Any = None
    error: BaseException | None = None


class BoundedCalls:
    """Runs calls that may hang.

    At most one call runs for each key. So a call that hangs occupies one
    thread, however often it is asked for again.
    """

    def __init__(self, seconds: float) -> None:
        """:param seconds: how long the caller of a call waits"""
        self._seconds = seconds
        self._calls: dict[Hashable, _Call] = {}
        self._lock = threading.Lock()
        self._threads = kept_threads.KeptThreads('isolation-call')

    def call(self, key: Hashable, function: Callable[[], T]) -> T:
        """Call a function on another thread, and return its result.

        While an earlier call with the same key runs, this method waits for
        the end of that call. Both waits together have the limit.

        :param key: names the thing that may hang
        :param function: the function
        :raises TimeoutError: the function has not ended in time, or an
            earlier call with the same key hangs
        :raises RuntimeError: the function raised what is no Exception and
            not SystemExit, e.g. that its own work was cancelled. That is no
            order to the calling thread.
        :raises Exception, SystemExit: what the function raises
        """
        end = time.monotonic() + self._seconds
        call = self._begin(key, function, end)
        if not call.ended.wait(max(0.0, end - time.monotonic())):
            raise self._timeout(key)
        if isinstance(call.error, (Exception, SystemExit)):
            raise call.error
        if call.error is not None:
            raise RuntimeError(repr(call.error)) from call.error
        result: T = call.result
        return result

    def _begin(
        self, key: Hashable, function: Callable[[], object], end: float
    ) -> _Call:
        """Begin a call when no other call with the same key runs."""
        while True:
            with self._lock:
                before = self._calls.get(key)
                if before is None:
                    call = _Call(time.monotonic())
                    self._calls[key] = call
                    try:
                        self._threads.run(
                            functools.partial(_run, call, function),
                            functools.partial(self._end, key, call),
                        )
                    except Exception:
                        # No thread can be started. With what is no Exception,
                        # e.g. eventlet's order to this thread to end, the
                        # other one has begun, and ends the call.
                        del self._calls[key]
                        raise
                    return call
            # No call waits for a call that has hung for longer already.
            until = min(end, before.begun + self._seconds)
            if not before.ended.wait(max(0.0, until - time.monotonic())):
                raise self._timeout(key)

    def _end(self, key: Hashable, call: _Call) -> None:
        with self._lock:
            del self._calls[key]
        call.ended.set()

    def _timeout(self, key: Hashable) -> TimeoutError:
        words = key if isinstance(key, tuple) else (key,)
        return TimeoutError(
            f'{" ".join(map(str, words))}: no answer in {self._seconds:g} s'
        )


def _run(call: _Call, function: Callable[[], object]) -> None:
    try:
        call.result = function()
    except BaseException as error:
        call.error = error
