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

"""One verification of the guests that run, and what follows from it."""

from collections.abc import Callable
import dataclasses
import time
import typing

from nova import context as nova_context
from oslo_log import log as logging
from oslo_utils import timeutils

from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.virt.guard import conclusions
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import verification
from nova_isolation.virt.guard import violations
from nova_isolation.virt.watch import reaction
from nova_isolation.virt.watch import report_queue
from nova_isolation.virt.watch import running_guests

LOG = logging.getLogger(__name__)


class PeriodicVerification:
    """Verifies the guests of one host, each time it is run.

    Only ever run by one thread at a time.
    """

    def __init__(
        self,
        host: str,
        host_guard: guard.Guard,
        publish: Callable[[typing.Any], object],
    ) -> None:
        """:param host: the name of the compute service
        :param host_guard: the guard of this host
        :param publish: makes Nova publish what this host offers, at once;
            takes Nova's context
        """
        self._guard = host_guard
        self._publish = publish
        self._running_guests = running_guests.RunningGuests(
            host, host_guard.hypervisor, host_guard.requests
        )
        self._reaction = reaction.Reaction(host_guard.hypervisor)
        self._reports = report_queue.ReportQueue(host_guard.reporter)
        #: UUID of a guest that violates its requirements -> the outcome of
        #: its last verification, with the action that was taken
        self._violated: dict[str, outcome.Outcome] = {}
        #: whether violations have begun or ended that are not published yet
        self._changed = False

    def run(
        self, only: frozenset[str] | None = None, in_turn: bool = True
    ) -> None:
        """Verify the running guests.

        :param only: the UUIDs of those to verify; None: all
        :param in_turn: whether the thread runs this because the interval is
            over
        :raises Exception: the hypervisor cannot be asked, or something
            unforeseen
        """
        start = time.monotonic()
        context = nova_context.get_admin_context()
        looked = self._running_guests.look(context, only)
        measured = (
            self._guard.host.measure()
            if looked.tagged or only is None
            else None
        )
        if measured is not None:
            shared = self._guard.hypervisor.shared()
            for tagged in looked.tagged:
                result, found = self._verify(tagged, measured, shared)
                self._conclude(tagged, result, found, in_turn, context)
        if only is None:
            self._forget(looked)
        try:
            if looked.database:
                self._publish_changes(context, measured)
        finally:
            self._reports.deliver(looked.database)
        LOG.debug(
            'Verified %(count)d running guests in %(ms).1f ms',
            {
                'count': len(looked.tagged),
                'ms': (time.monotonic() - start) * 1e3,
            },
        )

    def _verify(
        self,
        tagged: running_guests.TaggedGuest,
        measured: measurement.Measurement,
        shared: typing.Any,
    ) -> tuple[outcome.Outcome, violations.Violation]:
        """Verify one guest.

        :param shared: what the verifications of this look share
        :returns: the outcome, and the violation, whose ``unmet`` is empty
            where the guest meets its requirements
        """
        started = timeutils.utcnow()
        request = tagged.request
        try:
            guest = self._guard.hypervisor.guest(tagged.handle, shared)
        except base.FAILURES as error:
            # It may have ended since. The others are verified all the same.
            # What the host lacks comes first, as in a verification.
            lacking = self._guard.host.decide(request, measured)
            checked = (
                verification.Verification(lacking)
                if lacking
                else verification.failed(request, error)
            )
        else:
            checked = self._guard.verify(guest, request, measured)
        unmet = checked.unmet
        # What the facts of the host do not meet, the facts show themselves.
        alone = bool(unmet) and not self._guard.host.decide(request, measured)
        keys = {item.key for item in unmet if alone}
        result = conclusions.outcome_of(
            outcome.Stage.REVERIFY,
            outcome.Result.VIOLATED if unmet else outcome.Result.ACCEPTED,
            request,
            measured,
            started,
            checked,
            instance=tagged.instance,
        )
        return result, violations.Violation(
            request.uuid,
            unmet,
            frozenset(
                item.mechanism
                for item in request.wanted.items
                if item.key in keys
            ),
        )

    def _conclude(
        self,
        tagged: running_guests.TaggedGuest,
        result: outcome.Outcome,
        found: violations.Violation,
        in_turn: bool,
        context: typing.Any,
    ) -> None:
        """Draw the conclusions from the verification of one guest.

        :param in_turn: whether all guests are verified because the interval
            is over
        """
        known = self._guard.violations
        is_new = bool(found.unmet) and known.is_new(found)
        if is_new or found.uuid in known.known:
            # What Nova began or ended since the first look must not be taken
            # for a violation, and the guest must not be paused or stopped
            # for it.
            again = self._running_guests.look_again(tagged, context)
            if again is None:
                return
            tagged = again
        if is_new:
            result, found = self._verify(
                tagged,
                self._guard.host.measure(),
                self._guard.hypervisor.shared(),
            )
            if not self._running_guests.is_same_run(tagged):
                return
            is_new = bool(found.unmet) and known.is_new(found)
            if is_new and known.doubt(found, in_turn):
                return
        known.examined |= {found.uuid}
        if found.unmet:
            known.add(found)
            self._changed |= is_new
            self._react(tagged, result, is_new)
            return
        ended = known.end(found.uuid)
        if ended is not None:
            self._changed = True
            self._violated.pop(found.uuid, None)
            result = dataclasses.replace(
                result, result=outcome.Result.RESTORED, resolved=ended.unmet
            )
        self._reports.add(result)

    def _react(
        self,
        tagged: running_guests.TaggedGuest,
        result: outcome.Outcome,
        is_new: bool,
    ) -> None:
        """Act on a violation and report it, or the change of the action."""
        action = self._reaction.take(
            self._guard.options.on_violation
            if self._guard.enforces
            else reaction.REPORT,
            tagged,
        )
        before = self._violated.get(result.uuid)
        violated = dataclasses.replace(
            result,
            result=(
                outcome.Result.VIOLATED
                if is_new
                else outcome.Result.STILL_VIOLATED
            ),
            action=action,
            instance=tagged.instance,
        )
        self._violated[result.uuid] = violated
        if is_new or before is None or before.action != action:
            self._reports.add(violated)

    def _forget(self, looked: running_guests.HostGuests) -> None:
        """Forget the guests that no longer run on this host."""
        known = self._guard.violations
        kept = {one.request.uuid for one in looked.tagged} | looked.busy
        for uuid in set(known.known) - kept:
            ended = known.end(uuid)
            self._changed |= ended is not None
            last = self._violated.pop(uuid, None)
            if ended is None or last is None:
                continue
            now = timeutils.utcnow()
            self._reports.add(
                outcome.Outcome(
                    request=last.request,
                    stage=outcome.Stage.REVERIFY,
                    result=outcome.Result.ENDED,
                    resolved=ended.unmet,
                    started=now,
                    finished=now,
                )
            )
        known.keep(looked.here | kept)
        self._reaction.keep(kept)

    def _publish_changes(
        self,
        context: typing.Any,
        measured: measurement.Measurement | None,
    ) -> None:
        """Publish what the host offers if that has changed."""
        published = self._guard.host.published
        if published is None or (measured is None and not self._changed):
            return
        offered = self._guard.host.offer(
            measured or self._guard.host.measure()
        )
        if (offered.document, offered.traits) != (
            published.document,
            published.traits,
        ):
            self._publish(context)
        self._changed = False
