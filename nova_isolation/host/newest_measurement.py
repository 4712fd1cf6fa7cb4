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

"""The newest measurement of the host, made on a thread of its own.

Nova asks for what the host offers while Nova holds its lock of the resources,
which each build of the host needs, tagged or not. So nobody waits there for a
measurement: the newest one that has finished counts. A measurement has its
time, so the scheduler refuses one that has become too old.
"""

from collections.abc import Callable
import logging
import threading
import time

from nova_isolation.host import measurement

LOG = logging.getLogger(__name__)

#: What counts before the first measurement has finished: no facts and no
#: traits except GUARDED. Tagged guests are refused.
NOTHING = measurement.Measurement('', 0.0, {}, {})


class NewestMeasurement:
    """Keeps the newest measurement that has finished.

    There is at most one thread, which ends when nobody asks for another
    measurement.
    """

    def __init__(self, measure: Callable[[], measurement.Measurement]) -> None:
        """:param measure: measures the host"""
        self._measure = measure
        self._newest = NOTHING
        self._condition = threading.Condition()
        #: the number of measurements that were asked for, and of those that
        #: the thread has answered
        self._asked = self._answered = 0
        #: when the running measurement began; None: there is no thread
        self._begun: float | None = None

    def get(self) -> measurement.Measurement:
        """Return the newest measurement. Does not wait."""
        return self._newest

    def renew(self, seconds: float) -> measurement.Measurement:
        """Measure, and return the newest measurement.

        :param seconds: how long to wait for a measurement that begins now. A
            measurement that has taken longer already is not waited for.
        """
        with self._condition:
            self._asked += 1
            mine = self._asked
            if self._begun is None:
                try:
                    self._start()
                except RuntimeError:
                    LOG.exception(
                        'Cannot start a thread that measures this host; the '
                        'last measurement counts until it is too old'
                    )
                    return self._newest
            until = self._begun or time.monotonic()
            self._condition.wait_for(
                lambda: self._answered >= mine,
                max(0.0, until + seconds - time.monotonic()),
            )
            return self._newest

    def _start(self) -> None:
        threading.Thread(
            target=self._run, name='isolation-measurement', daemon=True
        ).start()
        self._begun = time.monotonic()

    def _run(self) -> None:
        while True:
            with self._condition:
                if self._answered == self._asked:
                    self._begun = None
                    return
                asked = self._asked
                self._begun = time.monotonic()
            try:
                self._newest = self._measure()
            except BaseException:
                # Nobody else sees an error of this thread, and no other
                # thread is started while this one seems to run.
                LOG.exception('This host could not be measured')
            with self._condition:
                self._answered = asked
                self._condition.notify_all()
