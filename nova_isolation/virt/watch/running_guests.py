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

"""The running guests of the host that are to be verified."""

from collections.abc import Mapping
import dataclasses
import time
import typing

from oslo_log import log as logging

from nova_isolation.model import printable
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.watch import host_answers

LOG = logging.getLogger(__name__)

#: The run of a guest about which the hypervisor does not answer. The guest
#: is taken for one that executes, and its verification says the rest.
_UNKNOWN_RUN = hypervisors.Run(-1, executes=True)

#: Seconds for which a guest that is being started is passed over. Nova may
#: wait for its network meanwhile (vif_plugging_timeout, 300 by default).
_LONGEST_START = 600.0


@dataclasses.dataclass(frozen=True)
class TaggedGuest:
    """A tagged guest that is to be verified.

    :ivar handle: the guest, as the driver handles it
    :ivar request: what is asked for the guest
    :ivar run: the run of the guest in which it was seen
    :ivar instance: Nova's instance; None: the database cannot be asked
    """

    handle: typing.Any
    request: guest_request.GuestRequest
    run: hypervisors.Run
    instance: typing.Any = None


@dataclasses.dataclass(frozen=True)
class HostGuests:
    """What one look at the host has shown.

    :ivar tagged: the guests to verify
    :ivar busy: the UUIDs of the tagged guests on which Nova works and which
        do not execute
    :ivar here: the UUIDs of the instances of this host, as far as known
    :ivar database: whether the database could be asked
    """

    tagged: tuple[TaggedGuest, ...] = ()
    busy: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    database: bool = True


class RunningGuests:
    """Looks at the host.

    A guest that executes is verified whatever Nova does to it, because a
    tenant can make most tasks of Nova last as long as he likes: a stop, a
    snapshot, a migration. Only a guest that Nova works on and that does not
    execute is passed over, for some minutes: it is being made, and is verified
    before it runs.
    """

    def __init__(
        self,
        host: str,
        hypervisor: hypervisors.Hypervisor,
        known: guest_request.GuestRequests,
    ) -> None:
        """:param host: the name of the compute service
        :param hypervisor: the virtualization stack of this host
        :param known: finds what is asked for a guest
        """
        self._hypervisor = hypervisor
        self._answers = host_answers.HostAnswers(host, hypervisor, known)
        self._reachable = True
        #: UUID of a guest that is passed over -> the id of its run, and when
        #: it was passed over first, by the monotonic clock
        self._passed_over: dict[str, tuple[int, float]] = {}

    def look(
        self, context: typing.Any, only: frozenset[str] | None = None
    ) -> HostGuests:
        """The guests that run now.

        :param context: an admin's context
        :param only: the UUIDs of the guests to look at; None: all. The
            database is asked about those that may be tagged, and no others.
        :raises Exception: the hypervisor cannot be asked
        """
        guests = self._guests() if only is None else self._woken(only)
        if not guests:
            return self._found({}, {}, only is None or self._reachable)
        try:
            answers = (
                self._answers.all(context)
                if only is None
                else self._answers.some(guests, context)
            )
        except Exception as error:
            # The conductor, the message queue or the database.
            if self._reachable:
                LOG.warning(
                    'The database cannot be asked about the guests of this '
                    'host. The guests are verified against its last answer: '
                    '%s',
                    # A RemoteError has the conductor's traceback.
                    printable.one_line(error),
                )
            self._reachable = False
            return self._found(guests, self._answers.remembered(guests), False)
        self._reachable = True
        # A guest that has just arrived is woken for, too. Nova verifies it.
        if only is None:
            answers |= self._answers.strays(
                {u: handle for u, handle in guests.items() if u not in answers}
            )
        return self._found(guests, answers, True)

    def look_again(
        self, tagged: TaggedGuest, context: typing.Any
    ) -> TaggedGuest | None:
        """The same guest, if it is still here and still to be verified.

        :param tagged: the guest
        :param context: an admin's context
        :returns: None: the guest is not to be verified now
        """
        if tagged.instance is None:
            return tagged
        uuid = tagged.request.uuid
        try:
            answer = self._answers.some((uuid,), context).get(uuid)
        except Exception:
            # The database is unreachable by now. What the first look at the
            # guest has shown counts.
            LOG.debug(
                'Cannot load the instance of a guest again',
                exc_info=True,
                instance_uuid=uuid,
            )
            return dataclasses.replace(tagged, instance=None)
        if answer is None:
            return None
        return self._to_verify(tagged.handle, answer)

    def is_same_run(self, tagged: TaggedGuest) -> bool:
        """Whether a guest is still in the run in which it was seen.

        If not, what was read from it meanwhile may belong to a process that
        was just ending or just beginning.

        :param tagged: the guest
        """
        run = self._run(tagged.handle)
        return run is not None and run.id == tagged.run.id

    def _guests(self) -> dict[str, typing.Any]:
        """UUID -> handle of all guests that run or are paused."""
        return {
            self._hypervisor.uuid(handle): handle
            for handle in self._hypervisor.running()
        }

    def _woken(self, uuids: frozenset[str]) -> dict[str, typing.Any]:
        """Those of some guests that run or are paused and may be tagged.

        The memory is asked first, then the hypervisor.
        """
        uuids = frozenset(filter(self._answers.may_be_tagged, uuids))
        if not uuids:
            return {}
        return {
            uuid: handle
            for uuid, handle in self._guests().items()
            if uuid in uuids and self._answers.may_be_tagged(uuid, handle)
        }

    def _found(
        self,
        guests: Mapping[str, typing.Any],
        answers: Mapping[str, host_answers.Answer],
        database: bool,
    ) -> HostGuests:
        """What a look has shown.

        :param guests: UUID -> handle of the guests that run or are paused
        :param answers: what is known of the instances of this host
        :param database: whether the database could be asked
        """
        found = {
            uuid: self._to_verify(guests[uuid], answers[uuid])
            for uuid in guests
            if uuid in answers and answers[uuid].request.wanted
        }
        here = self._answers.here
        self._passed_over = {
            uuid: since
            for uuid, since in self._passed_over.items()
            if uuid in here or uuid in guests
        }
        return HostGuests(
            tuple(one for one in found.values() if one is not None),
            frozenset(uuid for uuid, one in found.items() if one is None),
            here,
            database,
        )

    def _to_verify(
        self, handle: typing.Any, answer: host_answers.Answer
    ) -> TaggedGuest | None:
        """A guest, if it is to be verified now."""
        if not answer.request.wanted:
            return None
        run = self._run(handle)
        if run is None:
            return None
        if run.executes or answer.at_rest:
            return TaggedGuest(handle, answer.request, run, answer.instance)
        # A stray that is paused may be arriving, which may last for hours.
        if answer.is_stray or not self._is_overdue(answer.request.uuid, run):
            return None
        return TaggedGuest(handle, answer.request, run, answer.instance)

    def _is_overdue(self, uuid: str, run: hypervisors.Run) -> bool:
        """Whether a guest was passed over for too long in one run."""
        now = time.monotonic()
        known, since = self._passed_over.get(uuid, (run.id, now))
        if known != run.id:
            since = now
        self._passed_over[uuid] = (run.id, since)
        return now - since >= _LONGEST_START

    def _run(self, handle: typing.Any) -> hypervisors.Run | None:
        try:
            return self._hypervisor.run(handle)
        except Exception:
            LOG.debug(
                'Cannot ask for the state of a guest',
                exc_info=True,
                instance_uuid=self._hypervisor.uuid(handle),
            )
            return _UNKNOWN_RUN
