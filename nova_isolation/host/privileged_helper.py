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

"""The privileged helper of nova-compute, started with back-off.

The helper is a daemon of oslo.privsep. It may be impossible to start (no
right in sudoers, no such program), it may be killed, and it may hang.
None of that makes a caller wait for long, and none of it is logged more than
once while it lasts.
"""

from collections.abc import Callable
import contextlib
import functools
import logging
import threading
import time
import typing

from oslo_privsep import comm
from oslo_privsep import priv_context

from nova_isolation.host import bounded_calls
from nova_isolation.host import privsep_log
from nova_isolation.model import printable
from nova_isolation.model import reasons
from nova_isolation.model import sight

LOG = logging.getLogger(__name__)

T = typing.TypeVar('T')

#: Seconds between two attempts to start the helper: at first, and at most.
#: The time doubles with each attempt. The most is less than the time between
#: two measurements of the host, so that the next measurement tries again.
_FIRST, _MOST = 1.0, 30.0

#: Seconds after which a helper counts as one that works, so that it is
#: started again at once when it is lost.
_PROVEN = 60.0

#: How often a call is made again because the helper was lost meanwhile.
_TRIES = 3

#: Seconds that the start may take, which runs sudo and Python, and one call,
#: unless :meth:`Helper.set_limits` says otherwise.
_START, _CALL = 30.0, 5.0


class Helper:
    """Calls entry points in the privileged helper."""

    def __init__(self, context: priv_context.PrivContext) -> None:
        """:param context: oslo.privsep's context of the entry points"""
        self._context = context
        self._start_seconds, self._call_seconds = _START, _CALL
        self._starts = bounded_calls.BoundedCalls(_START)
        self._calls: dict[float, bounded_calls.BoundedCalls] = {}
        self._lock = threading.Lock()
        self._delay = 0.0
        self._not_before = self._started = float('-inf')
        #: why there is no helper; None: nothing is known to be wrong
        self._failure: sight.Unseen | None = None

    def set_limits(self, start: float, call: float) -> None:
        """Set how long this host waits for the helper.

        :param start: seconds that the start of the helper may take
        :param call: seconds that a call may take which names no time
        """
        self._start_seconds, self._call_seconds = start, call
        self._starts = bounded_calls.BoundedCalls(start)

    def call(
        self,
        entry: Callable[..., T],
        *args: object,
        seconds: float | None = None,
    ) -> T:
        """Call an entry point in the helper.

        :param entry: the entry point, as the context has decorated it
        :param args: what the helper is given
        :param seconds: how long to wait for the answer; None: as long as
            :meth:`set_limits` says
        :returns: what the entry point returns
        :raises nova_isolation.model.sight.Unseen: there is no helper
        :raises TimeoutError: the helper has not answered in time. What was
            asked for may hang in the kernel, so the helper may be well.
        :raises Exception: what the entry point raises
        """
        if not self._context.client_mode:
            return entry(*args)
        for _ in range(_TRIES):
            self._ensure()
            channel = self._context.channel
            try:
                # For each question at most one thread of the helper hangs.
                return self._bounded(seconds or self._call_seconds).call(
                    (entry, repr(args)), functools.partial(entry, *args)
                )
            except comm.PrivsepTimeout as error:
                raise TimeoutError('the privileged helper') from error
            except OSError as error:
                if channel is None or not _is_lost(channel, error):
                    raise
        raise self._fail(reasons.HELPER_LOST, 'it ended while it was asked')

    def _bounded(self, seconds: float) -> bounded_calls.BoundedCalls:
        return self._calls.setdefault(
            seconds, bounded_calls.BoundedCalls(seconds)
        )

    def _ensure(self) -> None:
        """Start the helper if it does not run.

        :raises nova_isolation.model.sight.Unseen: there is none
        """
        if self._runs():
            return
        if not self._lock.acquire(timeout=self._start_seconds):
            raise sight.Unseen(
                reasons.HELPER_LOST, 'the privileged helper is being started'
            )
        try:
            if not self._runs():
                self._start()
        finally:
            self._lock.release()

    def _runs(self) -> bool:
        channel = self._context.channel
        return channel is not None and bool(channel.running)

    def _start(self) -> None:
        now = time.monotonic()
        if self._context.channel is not None and (
            now - self._started >= _PROVEN
        ):
            # It has worked for long, and is lost for the first time.
            self._delay, self._not_before = 0.0, now
        if now < self._not_before:
            raise self._failure or self._fail(
                reasons.HELPER_LOST, 'it ended soon after its start'
            )
        words = privsep_log.PrivsepLog()
        try:
            self._starts.call('start', lambda: self._renew(words))
        except Exception as error:
            # The command may be missing, denied or hang.
            raise self._fail(
                reasons.NO_HELPER, words.text or str(error)
            ) from error
        finally:
            self._delay = min(max(_FIRST, 2 * self._delay), _MOST)
            self._not_before = time.monotonic() + self._delay
        self._started = time.monotonic()
        if self._failure is not None:
            self._failure = None
            LOG.info('The privileged helper of nova-isolation runs again')

    def _renew(self, words: privsep_log.PrivsepLog) -> None:
        """Start the helper, in the place of one that has ended."""
        context = self._context
        if context.channel is not None:
            with contextlib.suppress(OSError):
                context.channel.close()
            context.channel = None
        with words:
            context.start()

    def _fail(self, reason: reasons.Reason, why: str) -> sight.Unseen:
        """Remember why there is no helper, and log a change of this."""
        failure = sight.Unseen(
            reason, f'the privileged helper: {printable.one_line(why)}'
        )
        before, self._failure = self._failure, failure
        LOG.log(
            logging.DEBUG if str(before) == str(failure) else logging.ERROR,
            'nova-compute has no privileged helper. This host tries to start '
            'it again, at most every %(seconds)d s. %(remedy)s Found: '
            '%(failure)s [%(code)s]',
            {
                'seconds': _MOST,
                'remedy': reason.remedy,
                'failure': failure,
                'code': reason.code,
            },
        )
        return failure


def _is_lost(channel: typing.Any, error: OSError) -> bool:
    """Return whether an error says that the helper has ended."""
    return isinstance(error, ConnectionError) or not channel.running
