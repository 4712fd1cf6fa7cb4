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

"""One guest that another host sends, verified while its memory is copied.

libvirt starts the QEMU process of such a guest before the memory is copied,
and says so. That process is what a verification looks at, so the guest is
verified then. When the guest has arrived, the host is measured and the guest
is verified once more, which takes some milliseconds, and it is resumed at
once. Nova's step at the end of the migration, a second or two later, finds the
guest running (:func:`nova_isolation.virt.roads.migration_steps.arrive`).

A guest that is not exactly as expected stays paused, and that step verifies
and resumes it.
"""

import enum
import threading
import time
import typing

from oslo_log import log as logging

from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.roads import choke_points

LOG = logging.getLogger(__name__)

#: Seconds that the source has until it begins to send: Nova waits there for
#: the network, 300 s by default.
_BEGINS_WITHIN = 900.0
#: Seconds that the copy of the memory may take from then on.
_ARRIVES_WITHIN = 6 * 3600.0
#: How long it is waited after a look at the host, as a multiple of the time
#: that the look has taken; and the least and the most of it, in seconds.
_SHARE, _LEAST, _MOST = 20.0, 2.0, 10.0
#: Seconds between two questions whether the guest is here. Its event may be
#: lost, or late: on the thread of the events Nova asks the database about each
#: event, before it takes the next one.
_ASK = 0.2
#: Seconds that Nova's step waits for a resume that is under way. libvirt
#: itself gives up after 30 s if it is busy with the guest.
_RESUME = 40.0


class _Fate(enum.Enum):
    """What becomes of a guest. Changes under a lock, and only downwards.

    The lock is never held while the hypervisor is asked.
    """

    #: Nothing is decided.
    OPEN = enum.auto()
    #: The hypervisor was asked to resume the guest, and has not answered.
    RESUMING = enum.auto()
    #: The guest was verified and resumed here.
    RESUMED = enum.auto()
    #: The guest is left to Nova's step. If the hypervisor resumes it yet,
    #: it is paused again.
    LEFT = enum.auto()


class ExpectedGuest:
    """Verifies one guest, on a thread of its own, and resumes it once.

    Whoever ends this (:meth:`close`) knows afterwards that the guest was
    resumed, or that it is not going to be: both are decided under one lock.
    """

    def __init__(
        self,
        host_guard: guard.Guard,
        host: typing.Any,
        instance: typing.Any,
        request: guest_request.GuestRequest,
    ) -> None:
        """:param host_guard: the guard of this host
        :param host: Nova's Host
        :param instance: Nova's instance
        :param request: what is asked for the guest
        """
        self._guard = host_guard
        self._host = host
        self._instance = instance
        self._request = request
        self._until = time.monotonic() + _BEGINS_WITHIN
        self._thread: threading.Thread | None = None
        #: Set when the guest has arrived, and when there is nothing to wait
        #: for any more.
        self._moved = threading.Event()
        self._arrived = 0.0
        self._fate = _Fate.OPEN
        #: Has the lock of the fate, and tells that it has changed.
        self._decided = threading.Condition()

    @property
    def expired(self) -> bool:
        """Whether the guest should be here since long."""
        return time.monotonic() > self._until

    def begin(self) -> None:
        """The QEMU process is there. Does not block.

        :raises RuntimeError: a thread cannot be started
        """
        if self._thread is not None or self._is_over or self.expired:
            return
        self._until = time.monotonic() + _ARRIVES_WITHIN
        self._thread = threading.Thread(
            target=self._run, name='isolation-arrival', daemon=True
        )
        self._thread.start()

    def arrive(self) -> None:
        """The guest seems to be here. Does not block."""
        if not self._moved.is_set():
            self._arrived = time.monotonic()
        self._moved.set()

    def dismiss(self) -> None:
        """Do not begin to resume the guest from now on. Does not block."""
        with self._decided:
            if self._fate is _Fate.OPEN:
                self._fate = _Fate.LEFT
        self._moved.set()

    def close(self) -> bool:
        """End this.

        :returns: whether the guest was verified here, and then resumed. If
            not, it is not going to be.
        :raises TimeoutError: the hypervisor has not answered for long whether
            it has resumed the guest. If it does so later, the guest is
            paused again.
        """
        self.dismiss()
        with self._decided:
            if not self._decided.wait_for(
                lambda: self._fate is not _Fate.RESUMING, _RESUME
            ):
                self._fate = _Fate.LEFT
                raise TimeoutError(
                    f'the resume of guest {self._request.uuid} at its arrival '
                    f'has not ended within {_RESUME:g} s'
                )
            return self._fate is _Fate.RESUMED

    @property
    def _is_over(self) -> bool:
        """Whether it is decided what becomes of the guest."""
        return self._fate is not _Fate.OPEN

    def _run(self) -> None:
        try:
            self._follow(self._host.get_guest(self._instance))
        except Exception:
            LOG.exception(
                'Guest that arrives could not be resumed at its arrival; it '
                'is verified and resumed at the end of the migration',
                instance_uuid=self._request.uuid,
            )

    def _follow(self, handle: typing.Any) -> None:
        """Verify the guest while its memory is copied, and at its arrival.

        The host is measured again now and then: a measurement is quick where
        the one before it was some seconds ago, and a refusal is seen early.
        """
        incoming = self._guard.hypervisor.arrival(handle)
        if incoming is None or incoming.complete:
            LOG.debug(
                'Guest is not about to arrive; if it does, it is verified at '
                'the end of the migration',
                instance_uuid=self._request.uuid,
            )
            return
        while True:
            begun = time.monotonic()
            # The labels of the other guests.
            shared = self._guard.hypervisor.shared()
            if not self._is_accepted(handle, shared):
                return
            pause = _SHARE * (time.monotonic() - begun)
            if self._moves_within(handle, min(max(pause, _LEAST), _MOST)):
                break
            if self.expired:
                return
        # Guests may have started since then, and their labels are read now.
        # To read those of all others again takes 20 ms for 100 guests.
        if not self._is_over and self._is_accepted(
            handle, self._guard.hypervisor.shared(shared)
        ):
            self._resume(handle, incoming.boot)

    def _moves_within(self, handle: typing.Any, seconds: float) -> bool:
        """Wait until the guest is here, or is not to be waited for any more.

        :param seconds: how long at most
        :returns: False: it was waited in vain
        """
        end = time.monotonic() + seconds
        while not self._moved.wait(min(_ASK, seconds)):
            if self._is_here(handle):
                self.arrive()
            elif time.monotonic() >= end:
                return False
        return True

    def _is_here(self, handle: typing.Any) -> bool:
        """Whether the hypervisor says that the guest has arrived."""
        try:
            return self._guard.hypervisor.has_arrived(handle)
        except Exception:
            # The guest ends, or libvirt is away: its next verification says
            # what is wrong.
            return False

    def _resume(self, handle: typing.Any, boot: str) -> None:
        """Resume the guest, which was verified just now.

        :param boot: the run that was there at the beginning. If it is there
            now, it is the one that was verified.
        """
        if self._guard.hypervisor.arrival(handle) != hypervisor.Arrival(
            boot, complete=True
        ):
            LOG.warning(
                'Guest that arrives is not as it was while its memory was '
                'copied; it is verified again at the end of the migration',
                instance_uuid=self._request.uuid,
            )
            return
        with self._decided:
            if self._is_over or not self._guard.enforces:
                return
            self._fate = _Fate.RESUMING
        try:
            choke_points.GuardedGuest.resume_verified(handle)
        except BaseException:
            self._end(_Fate.LEFT)
            raise
        if not self._end(_Fate.RESUMED):
            handle.pause()
            return
        LOG.info(
            'Guest was verified while its memory was copied, and verified '
            'again and resumed within %.0f ms after its arrival was noticed',
            1e3 * (time.monotonic() - self._arrived),
            instance_uuid=self._request.uuid,
        )

    def _end(self, fate: _Fate) -> bool:
        """The hypervisor has answered to the resume.

        :returns: whether the answer has come before somebody gave up waiting
            for it
        """
        with self._decided:
            in_time = self._fate is _Fate.RESUMING
            if in_time:
                self._fate = fate
                self._decided.notify_all()
        return in_time

    def _is_accepted(self, handle: typing.Any, shared: typing.Any) -> bool:
        """Whether the guest meets its requirements on this host as it is now.

        What is unmet is reported by Nova's step, which verifies it again, and
        then the host also examines whether it can see a guest at all.
        """
        found = self._guard.examine(
            handle,
            self._request,
            self._guard.host.measure(self._request, examine=False),
            shared,
        )
        if found.unmet:
            LOG.warning(
                'Guest that arrives does not meet its requirements; it stays '
                'paused, and is verified again at the end of the migration: '
                '%s',
                '; '.join(map(str, found.unmet)),
                instance_uuid=self._request.uuid,
            )
        return not found.unmet
