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

"""The thread that verifies the running guests, again and again."""

import threading
import time
import typing
import weakref

import nova.conf
from oslo_log import log as logging

from nova.virt import event as virtevent
from nova_isolation.virt.watch import periodic_verification

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

#: Seconds between two verifications, however often somebody wakes us.
_PAUSE = 1.0

#: Seconds that the end of the service waits for a verification.
_PATIENCE = 5.0

_STARTS = (
    virtevent.EVENT_LIFECYCLE_STARTED,
    virtevent.EVENT_LIFECYCLE_RESUMED,
)


def is_start(event: typing.Any) -> bool:
    """Whether an event of Nova's tells that a guest begins to run."""
    return (
        isinstance(event, virtevent.LifecycleEvent)
        and event.get_transition() in _STARTS
    )


class _Bell:
    """Wakes the thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._woken: set[str] = set()
        self._hurried = False
        self._stopped = False

    def hurry(self) -> None:
        """For all guests and the host. Never waits for long."""
        with self._condition:
            self._hurried = True
            self._condition.notify()

    def ring(self, uuid: str) -> None:
        """For a guest. Never waits for long."""
        with self._condition:
            self._woken.add(uuid)
            self._condition.notify()

    def stop(self) -> None:
        """For the last time."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def pause(self, seconds: float) -> None:
        """Wait until that time is over, or it is the last time."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped, seconds)

    @property
    def stopped(self) -> bool:
        """Whether it rang for the last time."""
        return self._stopped

    def wait(self, seconds: float) -> frozenset[str] | None:
        """Wait until that time is over, or somebody rings.

        :returns: for whom they rang; None: for all
        """
        with self._condition:
            rang = self._condition.wait_for(
                lambda: self._stopped or self._hurried or self._woken,
                max(0, seconds),
            )
            for_all = self._hurried or not rang
            woken, self._woken = frozenset(self._woken), set()
            self._hurried = False
            return None if for_all else woken


class WatchThread:
    """Runs a reverification every ``[isolation] verify_interval`` seconds.

    There is one thread, so one that hangs in libvirt is never joined by
    others. The thread ends with the service, and with this object.
    """

    def __init__(
        self, work: periodic_verification.PeriodicVerification
    ) -> None:
        """:param work: what is run"""
        self._work = work
        self._bell = _Bell()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failure = ''
        weakref.finalize(self, self._bell.stop)

    def start(self) -> None:
        """Verify now, and from now on; if that is done already, nothing."""
        interval = CONF.isolation.verify_interval
        with self._lock:
            if self._thread is not None or not interval:
                return
            thread = threading.Thread(
                target=_run,
                args=(weakref.ref(self), self._bell, interval),
                name='isolation-watch',
                daemon=True,
            )
            thread.start()
            self._thread = thread

    def wake(self, uuid: str) -> None:
        """Verify a guest soon. Only asks for it: may be called anywhere."""
        if self._thread is not None:
            self._bell.ring(uuid)

    def hurry(self) -> None:
        """Verify all soon. Only asks for it: may be called anywhere."""
        self._bell.hurry()

    def stop(self) -> None:
        """End the thread. Waits for it, but not for ever."""
        self._bell.stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def verify(self, only: frozenset[str] | None, in_turn: bool) -> None:
        """Run once. Whatever goes wrong is logged, once in a row."""
        try:
            self._work.run(only, in_turn)
            self._failure = ''
        except Exception as error:
            failure = type(error).__name__
            LOG.log(
                logging.DEBUG if failure == self._failure else logging.WARNING,
                'Could not verify the running guests, will try again',
                exc_info=True,
            )
            self._failure = failure


def _run(
    owner: 'weakref.ref[WatchThread]', bell: _Bell, interval: float
) -> None:
    due = time.monotonic()
    while True:
        woken = bell.wait(due - time.monotonic())
        watch = owner()
        if bell.stopped or watch is None:
            return
        in_turn = time.monotonic() >= due
        if in_turn:
            due = time.monotonic() + interval
        watch.verify(None if in_turn else woken, in_turn)
        # Or it would live as long as this thread does.
        del watch
        bell.pause(_PAUSE)
