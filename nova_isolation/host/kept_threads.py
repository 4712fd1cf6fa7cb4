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

"""Threads that are kept for a while, because to start one takes longer than
what most of them are for.
"""

from collections.abc import Callable
import os
import threading
import typing

_Work: typing.TypeAlias = tuple[Callable[[], object], Callable[[], object]]

#: Seconds for which a thread waits for more work before it ends.
_IDLE = 5.0


class _Worker:
    """A thread that waits for work.

    :ivar given: set when the thread has got work
    :ivar work: what the thread does next, and what is called then
    """

    def __init__(self) -> None:
        self.given = threading.Event()
        self.work: _Work | None = None

    def give(self, work: _Work) -> None:
        """Give work to the thread, which has none."""
        self.work = work
        self.given.set()

    def take(self) -> _Work:
        """Begin with the work that was given.

        :raises RuntimeError: there is none
        """
        work, self.work = self.work, None
        self.given.clear()
        if work is None:
            raise RuntimeError('the thread was given no work')
        return work


class KeptThreads:
    """Runs each function on a thread on which nothing else runs."""

    def __init__(self, name: str, idle: float = _IDLE) -> None:
        """:param name: the name of the threads while they work
        :param idle: seconds for which a thread waits for more work
        """
        self._name = name
        self._seconds = idle
        self._lock = threading.Lock()
        self._process = os.getpid()
        #: those that wait; the last one is the first to work again, so that
        #: the others can end
        self._idle: list[_Worker] = []

    def run(
        self, function: Callable[[], object], then: Callable[[], object]
    ) -> None:
        """Run a function on another thread. Does not wait.

        :param function: the function, which raises nothing
        :param then: is called after it, when the thread can be given more
            work; it raises nothing, and waits for nobody for long
        :raises RuntimeError: no thread can be started
        """
        work = (function, then)
        with self._lock:
            if self._process != os.getpid():
                # A process that was forked has none of the threads.
                self._process, self._idle = os.getpid(), []
            if self._idle:
                self._idle.pop().give(work)
                return
        worker = _Worker()
        worker.give(work)
        threading.Thread(target=self._run, args=(worker,), daemon=True).start()

    def _run(self, worker: _Worker) -> None:
        """Be a thread, from its beginning to its end."""
        try:
            self._work(worker)
        finally:
            # Under eventlet, what a function has left behind can end the
            # thread while it waits (a Timeout that was not cancelled).
            with self._lock:
                if worker in self._idle:
                    self._idle.remove(worker)
                work = worker.work
            if work is not None:
                self.run(*work)

    def _work(self, worker: _Worker) -> None:
        """Work until there was nothing to do for long."""
        thread = threading.current_thread()
        while True:
            thread.name = self._name
            function, then = worker.take()
            function()
            with self._lock:
                self._idle.append(worker)
            then()
            # What was done must not be held for as long as the thread waits.
            del function, then
            thread.name = f'{self._name}-waits'
            if worker.given.wait(self._seconds):
                continue
            with self._lock:
                if worker.work is None:
                    return
