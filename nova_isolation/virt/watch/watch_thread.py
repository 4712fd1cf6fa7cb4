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

"""The thread that verifies the running guests periodically."""

import threading
import time
import typing
import weakref

from nova.virt import event as virtevent
from oslo_log import log as logging

from nova_isolation.virt.guard import options as guard_options
from nova_isolation.virt.watch import periodic_verification

LOG = logging.getLogger(__name__)

#: Seconds between two verifications, however often the thread is woken.
_PAUSE = 1.0

#: Seconds from the event of a guest's start to its verification. Nova's own
#: start of a guest is over then: it has verified the guest, it has no other
#: measurement beside its own to wait for, and its events (started, resumed)
#: cause one verification.
_SETTLE = 1.0

#: Seconds that the end of the service waits for a running verification.
_PATIENCE = 5.0

_STARTS = (
    virtevent.EVENT_LIFECYCLE_STARTED,
    virtevent.EVENT_LIFECYCLE_RESUMED,
)


def is_start(event: typing.Any) -> bool:
    """Whether an event of Nova's means that a guest begins to run."""
    return (
        isinstance(event, virtevent.LifecycleEvent)
        and event.get_transition() in _STARTS
    )


class _Signal:
    """Wakes the thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._woken: set[str] = set()
        self._hurried = False
        self._stopped = False

    def hurry(self) -> None:
        """Wake the thread for all guests and the host. Does not block."""
        with self._condition:
            self._hurried = True
            self._condition.notify()

    def wake(self, uuid: str) -> None:
        """Wake the thread for one guest. Does not block."""
        with self._condition:
            self._woken.add(uuid)
            self._condition.notify()

    def stop(self) -> None:
        """End the thread. Does not block."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def pause(self, seconds: float) -> None:
        """Wait until that time is over, or the thread is to end."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped, seconds)

    @property
    def stopped(self) -> bool:
        """Whether the thread is to end."""
        return self._stopped

    def wait(self, seconds: float) -> frozenset[str] | None:
        """Wait until that time is over, or the thread is woken.

        Where it is woken for single guests, it waits a little longer for
        more of them.

        :returns: the UUIDs of the guests to verify; None: all
        """
        end = time.monotonic() + seconds
        with self._condition:
            was_woken = self._condition.wait_for(
                lambda: self._stopped or self._hurried or self._woken,
                max(0, seconds),
            )
            self._condition.wait_for(
                lambda: self._stopped or self._hurried,
                max(0, min(_SETTLE, end - time.monotonic())),
            )
            all_guests = self._hurried or not was_woken
            woken, self._woken = frozenset(self._woken), set()
            self._hurried = False
            return None if all_guests else woken


class WatchThread:
    """Verifies the guests every ``[isolation] verify_interval`` seconds.

    There is one thread, so a verification that hangs in the hypervisor does
    not make more threads hang. The thread ends with the service, and with
    this object: Nova's test harness drops drivers without ending them.
    """

    def __init__(
        self,
        work: periodic_verification.PeriodicVerification,
        options: guard_options.Options,
    ) -> None:
        """:param work: what is run
        :param options: the ``[isolation]`` group, read when the thread starts
        """
        self._work = work
        self._options = options
        self._signal = _Signal()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failure = ''
        weakref.finalize(self, self._signal.stop)

    def start(self) -> None:
        """Verify now and from now on, unless the thread runs already."""
        interval = self._options.verify_interval
        with self._lock:
            if self._thread is not None or not interval:
                return
            thread = threading.Thread(
                target=_run,
                args=(weakref.ref(self), self._signal, interval),
                name='isolation-watch',
                daemon=True,
            )
            thread.start()
            self._thread = thread

    def wake(self, uuid: str) -> None:
        """Make the thread verify one guest soon. May be called anywhere."""
        if self._thread is not None:
            self._signal.wake(uuid)

    def hurry(self) -> None:
        """Make the thread verify all guests soon. May be called anywhere."""
        self._signal.hurry()

    def stop(self) -> None:
        """End the thread. Waits some seconds for it at most."""
        self._signal.stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def verify(self, only: frozenset[str] | None, in_turn: bool) -> None:
        """Run once. The same failure is logged only once in a row."""
        try:
            self._work.run(only, in_turn)
            self._failure = ''
        except Exception as error:
            failure = type(error).__name__
            LOG.log(
                logging.DEBUG if failure == self._failure else logging.WARNING,
                'Could not verify the running guests; this host will try '
                'again',
                exc_info=True,
            )
            self._failure = failure


def _run(
    owner: 'weakref.ref[WatchThread]', signal: _Signal, interval: float
) -> None:
    due = time.monotonic()
    while True:
        woken = signal.wait(due - time.monotonic())
        watch = owner()
        if signal.stopped or watch is None:
            return
        in_turn = time.monotonic() >= due
        if in_turn:
            due = time.monotonic() + interval
        watch.verify(None if in_turn else woken, in_turn)
        # A reference would keep the owner alive as long as this thread.
        del watch
        signal.pause(_PAUSE)
