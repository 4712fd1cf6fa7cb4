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
"""Questions that may hang, asked on a bounded number of threads."""

import asyncio
from collections.abc import Callable
import dataclasses
import threading
import typing

import anyio

T = typing.TypeVar('T')


@dataclasses.dataclass(eq=False)
class _Question(typing.Generic[T]):
    """A question, and those who wait for its answer.

    :ivar ask: asks it
    :ivar answer: is set on the event loop
    :ivar waiting: how many wait
    """

    ask: Callable[[str], T]
    answer: asyncio.Future[T]
    waiting: int = 0


class Questions(typing.Generic[T]):
    """Asks a database or a host about one thing, and never a stale answer.

    Each answer is asked for after the request for it has come. Requests about
    the same thing share an answer that is not asked for yet, so that many
    clients cost one question after the other, not one each. A question that
    hangs keeps its thread until it ends, and only those who ask about the
    same thing have to wait for it; there are never more threads than allowed.

    For the thread of the event loop only.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        """:param threads: how many questions are asked at once

        :param seconds: how long a request waits for its answer
        """
        self._threads = threads
        self._seconds = seconds
        #: name -> the question that is not asked yet
        self._next: dict[str, _Question[T]] = {}
        #: the names about which is being asked
        self._asked: set[str] = set()

    async def ask(self, ask: Callable[[str], T], name: str) -> T:
        """Return the answer about one thing.

        :param ask: asks on another thread; the same for all questions with
            the same name
        :param name: what is asked about
        :raises TimeoutError: the answer, or a free thread, has not come in
            time
        :raises Exception: what ``ask`` raises
        """
        question = self._next.get(name)
        if question is None:
            question = _Question(
                ask, asyncio.get_running_loop().create_future()
            )
            self._next[name] = question
        question.waiting += 1
        try:
            self._begin()
            with anyio.fail_after(self._seconds):
                return await asyncio.shield(question.answer)
        finally:
            question.waiting -= 1
            if not question.waiting and self._next.get(name) is question:
                del self._next[name]

    def _begin(self) -> None:
        """Ask what can be asked now, in the order of the requests."""
        for name, question in list(self._next.items()):
            if len(self._asked) >= self._threads:
                return
            if name not in self._asked:
                # A daemon, because it may hang when the service ends.
                threading.Thread(
                    target=self._run,
                    args=(name, question, asyncio.get_running_loop()),
                    name='isolation-question',
                    daemon=True,
                ).start()
                self._asked.add(name)
                del self._next[name]

    def _run(
        self,
        name: str,
        question: _Question[T],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        result: typing.Any = None
        failed: BaseException | None = None
        try:
            result = question.ask(name)
        except Exception as error:
            failed = error
        except BaseException as error:
            # No order to end for the thread of the event loop.
            failed = RuntimeError(repr(error))
        try:
            loop.call_soon_threadsafe(
                self._end, name, question, result, failed
            )
        except RuntimeError:
            # The loop has ended, so nobody waits any more.
            self._asked.discard(name)

    def _end(
        self,
        name: str,
        question: _Question[T],
        result: T,
        failed: BaseException | None,
    ) -> None:
        """Answer, on the event loop."""
        self._asked.discard(name)
        if question.waiting and failed is not None:
            question.answer.set_exception(failed)
        elif question.waiting:
            question.answer.set_result(result)
        self._begin()
