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

#: Seconds for which a thread waits for more work before it ends.
_IDLE = 5.0


class _Worker:
    """A thread that waits for work.

    :ivar given: set when the thread has got work
    :ivar work: what the thread does next, and then
    """

    def __init__(self) -> None:
        self.given = threading.Event()
        self.work: tuple[Callable[[], object], Callable[[], object]] | None = (
            None
        )


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
        with self._lock:
            if self._process != os.getpid():
                # A process that was forked has none of the threads.
                self._process, self._idle = os.getpid(), []
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker()
            worker.work = (function, then)
            threading.Thread(
                target=self._work, args=(worker,), daemon=True
            ).start()
            return
        worker.work = (function, then)
        worker.given.set()

    def _work(self, worker: _Worker) -> None:
        """Work until there was nothing to do for long."""
        thread = threading.current_thread()
        while worker.work is not None:
            thread.name = self._name
            function, then = worker.work
            function()
            worker.given.clear()
            # What was done must not be held for as long as the thread waits.
            worker.work = None
            thread.name = f'{self._name}-waits'
            with self._lock:
                self._idle.append(worker)
            then()
            del function, then
            if worker.given.wait(self._seconds):
                continue
            with self._lock:
                if worker in self._idle:
                    self._idle.remove(worker)
                    return
            # It was taken from the list just now, and gets its work.
            worker.given.wait()
