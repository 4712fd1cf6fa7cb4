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

"""Reports that nobody waits for.

When a guest was accepted and runs, Nova goes on with it. The event of that
goes through the conductor, which can be slow or away. So it is written on a
thread of its own, which ends when there is nothing more to report.
"""

import threading

from oslo_log import log as logging

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import report_queue
from nova_isolation.virt.guard import sink

LOG = logging.getLogger(__name__)


class LateReports:
    """Gives outcomes to the sinks, one after the other, on another thread."""

    def __init__(self, reporter: sink.Reporter) -> None:
        """:param reporter: has the sinks"""
        self._queue = report_queue.ReportQueue(reporter)
        self._lock = threading.Lock()
        #: the outcomes that were added since the thread last looked
        self._added = 0
        self._thread: threading.Thread | None = None

    def add(self, result: outcome.Outcome) -> None:
        """Report an outcome. Raises nothing, and waits for nothing slow.

        A sink that needs nothing, as the log, gets it at once.
        """
        self._queue.add(result)
        with self._lock:
            self._added += 1
            if self._thread is not None:
                return
            thread = threading.Thread(
                target=self._run, name='isolation-reports', daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                LOG.warning(
                    'Could not start the thread that records what was found; '
                    'it is recorded with the next guest',
                    exc_info=True,
                    instance_uuid=result.uuid,
                )
                return
            self._thread = thread

    def wait(self, seconds: float) -> None:
        """Wait until all is reported, but not for longer than this."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._added:
                    self._thread = None
                    return
                self._added = 0
            self._queue.deliver(database=True)
