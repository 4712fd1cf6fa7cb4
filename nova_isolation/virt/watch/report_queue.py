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

"""Outcomes that wait until the watch has done what is more urgent."""

import collections

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink

#: How many outcomes wait for one sink, at most. The oldest is dropped.
_MAX_WAITING = 1000


class ReportQueue:
    """Gives outcomes to each sink when the sink can take them.

    A sink that needs nothing gets them at once, the others when
    :meth:`deliver` is called, in the order in which they were added.
    """

    def __init__(self, reporter: sink.Reporter) -> None:
        """:param reporter: has the sinks"""
        self._waiting: list[
            tuple[sink.Sink, collections.deque[outcome.Outcome]]
        ] = [
            (one, collections.deque(maxlen=_MAX_WAITING))
            for one in reporter.sinks
        ]

    def add(self, result: outcome.Outcome) -> None:
        """Report an outcome, now or later. Raises nothing."""
        for one, waiting in self._waiting:
            if not sink.wants(one, result):
                continue
            if one.needs is sink.Needs.NOTHING:
                sink.give(one, result)
            else:
                waiting.append(result)

    def deliver(self, database: bool) -> None:
        """Give the sinks what waits for them. Raises nothing.

        :param database: whether the database is reachable; if not, the
            outcomes for sinks that need it wait on
        """
        for one, waiting in self._waiting:
            if one.needs is sink.Needs.DATABASE and not database:
                continue
            while waiting:
                sink.give(one, waiting.popleft())
