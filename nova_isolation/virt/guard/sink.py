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

"""Sinks: whatever reports, records or stores the outcomes of the guard.

A sink decides nothing: it can neither fail a guest nor save one. Whatever a
sink raises is logged, and the other sinks get the outcome all the same.
"""

import abc
from collections.abc import Iterable
import enum
import threading
import typing

from oslo_log import log as logging

from nova_isolation.mechanisms import base
from nova_isolation.virt.guard import outcome

LOG = logging.getLogger(__name__)

#: Seconds for which the next outcome of a guest waits until the one before it
#: is reported.
_ORDER = 5.0


class Needs(enum.Enum):
    """What a sink uses, which decides when the watch gives it outcomes."""

    #: nothing that can be slow or unreachable: at once
    NOTHING = 'nothing'
    #: something that can be slow, e.g. the message queue: when the watch has
    #: acted and published
    TIME = 'time'
    #: Nova's database, through the conductor: when it is reachable
    DATABASE = 'database'


class Sink(abc.ABC):
    """One way to report outcomes.

    :cvar name: what the sink writes, for the log
    :cvar needs: what the sink uses
    :cvar needs_subject: whether the sink makes statements: it needs the
        subject of an outcome, which is read for it after each verification,
        and all facts of the host, whatever the guest asks for
    """

    name: typing.ClassVar[str]
    needs: typing.ClassVar[Needs] = Needs.TIME
    needs_subject: typing.ClassVar[bool] = False

    @abc.abstractmethod
    def takes(self, result: outcome.Outcome) -> bool:
        """Whether the sink does anything with an outcome."""

    @abc.abstractmethod
    def report(self, result: outcome.Outcome) -> None:
        """Report an outcome that the sink takes.

        May raise anything; the exception is logged.
        """

    def title(self, result: outcome.Outcome) -> str:
        """What the sink writes for an outcome, for the log."""
        return self.name


class Reporter:
    """Gives outcomes to all sinks, in the order of the sinks.

    :ivar sinks: the sinks
    :ivar needs_subject: whether one of them needs the subject of outcomes
    """

    def __init__(self, sinks: Iterable[Sink]) -> None:
        """:param sinks: the sinks"""
        self.sinks = tuple(sinks)
        self.needs_subject = any(one.needs_subject for one in self.sinks)
        #: UUID of an instance -> its outcome that is being given to sinks
        self._begun: dict[str, Reporting] = {}
        self._lock = threading.Lock()

    def report(self, result: outcome.Outcome) -> None:
        """Give an outcome to all sinks, now. Raises nothing.

        The caller does first what must not wait: a sink may take as long as
        the conductor does.
        """
        with self._lock:
            before = self._begun.get(result.uuid)
        if before is not None:
            before.wait(_ORDER)
        for one in self.sinks:
            if wants(one, result):
                give(one, result)

    def begin(self, result: outcome.Outcome) -> 'Reporting':
        """Begin to give an outcome to all sinks. Raises nothing.

        Sinks that need nothing get it at once, the others on a thread of its
        own. Where there is no such thread, they get it at once as well. The
        next outcome of the guest is reported after this one.
        """
        slow = []
        for one in self.sinks:
            if not wants(one, result):
                continue
            if one.needs is Needs.NOTHING:
                give(one, result)
            else:
                slow.append(one)
        with self._lock:
            reporting = Reporting(slow, result, self._begun.get(result.uuid))
            self._begun = {
                uuid: one
                for uuid, one in self._begun.items()
                if not one.wait(0)
            }
            self._begun[result.uuid] = reporting
        reporting.start()
        return reporting


class Reporting:
    """An outcome that is being given to sinks that can be slow."""

    def __init__(
        self,
        sinks: Iterable[Sink],
        result: outcome.Outcome,
        before: 'Reporting | None' = None,
    ) -> None:
        """:param sinks: the sinks, which take the outcome
        :param result: the outcome
        :param before: the outcome of the guest before this one
        """
        self._sinks = tuple(sinks)
        self._result = result
        self._before = before
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin."""
        if not self._sinks:
            self._ended.set()
            return
        try:
            threading.Thread(
                target=self._run, name='isolation-report', daemon=True
            ).start()
        except RuntimeError:
            # The process may have no more threads.
            self._run()

    def wait(self, seconds: float) -> bool:
        """Wait until all sinks have got the outcome.

        :param seconds: how long to wait
        :returns: False: it takes longer, and goes on
        """
        return self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            if self._before is not None:
                self._before.wait(_ORDER)
                self._before = None
            for one in self._sinks:
                give(one, self._result)
        finally:
            self._ended.set()


def wants(one: Sink, result: outcome.Outcome) -> bool:
    """Whether a sink takes an outcome. Raises nothing."""
    try:
        return one.takes(result)
    except base.FAILURES as error:
        _log_failure(one, one.name, result, error)
        return False


def give(one: Sink, result: outcome.Outcome) -> None:
    """Give an outcome to one sink that takes it. Raises nothing."""
    what = one.name
    try:
        what = one.title(result)
        one.report(result)
    except base.FAILURES as error:
        # The database or the message queue is unreachable, say. What becomes
        # of the guest does not depend on it.
        _log_failure(one, what, result, error)


def _log_failure(
    one: Sink, what: str, result: outcome.Outcome, error: BaseException
) -> None:
    LOG.warning(
        'Could not record %(what)s of the guest (%(sink)s)',
        {'what': what, 'sink': type(one).__name__},
        exc_info=error,
        instance_uuid=result.uuid,
    )
