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

"""One verification of the guests that run: found, acted on, closed, told."""

from collections.abc import Callable
import time
import typing

import nova.conf
from oslo_log import log as logging

from nova import context as nova_context
from nova_isolation.host import measurement
from nova_isolation.host import process_labels
from nova_isolation.host import running_guest
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import violations
from nova_isolation.virt.watch import messenger
from nova_isolation.virt.watch import reaction
from nova_isolation.virt.watch import running_guests

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class PeriodicVerification:
    """Verifies the guests of one host, each time it is run.

    Only ever run by one thread at a time.
    """

    def __init__(
        self,
        host: str,
        libvirt_host: typing.Any,
        keeper: guard.Guard,
        publish: Callable[[typing.Any], object],
    ) -> None:
        """:param host: the name of the compute service
        :param libvirt_host: Nova's Host
        :param keeper: the guard of this host
        :param publish: makes Nova publish what this host offers, at once;
            takes Nova's context
        """
        self._libvirt = libvirt_host
        self._guard = keeper
        self._publish = publish
        self._register = running_guests.RunningGuests(
            host, libvirt_host, keeper.requests
        )
        self._reaction = reaction.Reaction(libvirt_host)
        self._messenger = messenger.Messenger(host, keeper.reporter)
        #: instance -> what came of the reaction to its violation
        self._reacted: dict[str, str] = {}
        #: whether violations have come or gone that are not published yet
        self._changed = False

    def run(
        self, only: frozenset[str] | None = None, in_turn: bool = True
    ) -> None:
        """Verify the running guests.

        :param only: the UUIDs of those to verify; None: all
        :param in_turn: it was time to, nobody asked for it
        :raises Exception: libvirt cannot be asked, or something unforeseen
        """
        start = time.monotonic()
        context = nova_context.get_admin_context()
        looked = self._register.look(context)
        chosen = [
            one
            for one in looked.tagged
            if only is None or one.request.uuid in only
        ]
        measured = self._guard.measure() if chosen or only is None else None
        if measured is not None:
            all_guests = self._census()
            for tagged in chosen:
                found = self._examine(tagged, measured, all_guests)
                self._judge(tagged, found, in_turn, context)
        if only is None:
            self._forget(looked)
        try:
            if looked.database:
                self._publish_changes(context, measured)
        finally:
            self._messenger.deliver(context, looked.database)
        LOG.debug(
            'Verified %(count)d running guests in %(ms).1f ms',
            {'count': len(chosen), 'ms': (time.monotonic() - start) * 1e3},
        )

    def _census(self) -> process_labels.ProcessLabels:
        return process_labels.ProcessLabels(
            self._libvirt, CONF.isolation.qemu_run_dir
        )

    def _examine(
        self,
        tagged: running_guests.TaggedGuest,
        measured: measurement.Measurement,
        all_guests: process_labels.ProcessLabels,
    ) -> violations.Violation:
        """What is not as asked; its ``unmet`` may be empty."""
        request = tagged.request
        examined = self._guard.examine(
            running_guest.RunningGuest(
                tagged.guest._domain,
                self._libvirt,
                CONF.isolation.qemu_run_dir,
                all_guests,
            ),
            request,
            measured,
        )
        unmet = examined.unmet
        # What the facts themselves lack, they tell by themselves.
        alone = bool(unmet) and not self._guard.decide(request, measured)
        keys = {item.key for item in unmet if alone}
        return violations.Violation(
            request.uuid,
            unmet,
            frozenset(
                item.mechanism
                for item in request.wanted.items
                if item.key in keys
            ),
            examined.failures,
        )

    def _judge(
        self,
        tagged: running_guests.TaggedGuest,
        found: violations.Violation,
        in_turn: bool,
        context: typing.Any,
    ) -> None:
        """Draw the conclusions from an examination.

        :param in_turn: all guests are examined, and it was time to
        """
        known = self._guard.violations
        is_new = bool(found.unmet) and known.is_new(found)
        if is_new or found.uuid in known.known:
            # What Nova began or ended since the first look must not pass
            # for a violation, nor be paused or stopped for one.
            again = self._register.look_again(tagged, context)
            if again is None:
                return
            tagged = again
        if is_new:
            found = self._examine(
                tagged, self._guard.measure(), self._census()
            )
            is_new = bool(found.unmet) and known.is_new(found)
            if is_new and known.doubt(found, in_turn):
                return
        known.examined |= {found.uuid}
        if found.unmet:
            known.add(found)
            self._changed |= is_new
            self._react(tagged, found, is_new)
        else:
            ended = known.end(found.uuid)
            if ended is not None:
                self._messenger.mended(ended, tagged.request)
                self._reacted.pop(found.uuid, None)
                self._changed = True

    def _react(
        self,
        tagged: running_guests.TaggedGuest,
        found: violations.Violation,
        is_new: bool,
    ) -> None:
        """Do and tell what is to be done and told about a violation."""
        wanted = (
            CONF.isolation.on_violation
            if self._guard.enforces
            else reaction.REPORT
        )
        done = self._reaction.take(wanted, tagged)
        before = self._reacted.get(found.uuid)
        self._reacted[found.uuid] = done
        if is_new:
            self._messenger.violated(found, tagged, done)
        elif done != before:
            LOG.warning(
                'The guest is not isolated as asked still (on_violation: %s)',
                done,
                instance_uuid=found.uuid,
            )

    def _forget(self, looked: running_guests.HostGuests) -> None:
        """Forget the guests that run here no more."""
        known = self._guard.violations
        kept = {one.request.uuid for one in looked.tagged} | looked.busy
        for uuid in set(known.known) - kept:
            ended = known.end(uuid)
            if ended is not None:
                self._messenger.gone(ended)
                self._reacted.pop(uuid, None)
                self._changed = True
        known.keep(looked.here | kept)

    def _publish_changes(
        self,
        context: typing.Any,
        measured: measurement.Measurement | None,
    ) -> None:
        """Publish what the host offers, if that is not what it was."""
        published = self._guard.published
        if published is None or (measured is None and not self._changed):
            return
        offered = self._guard.offer(measured or self._guard.measure())
        if (offered.document, offered.traits) != (
            published.document,
            published.traits,
        ):
            self._publish(context)
        self._changed = False
