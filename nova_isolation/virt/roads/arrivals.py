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

"""The guests that other hosts are about to send here.

What happens to them is told by the events of libvirt that Nova gives to its
driver; the arrival alone is also asked for (:mod:`.expected_guest`). All that
is done at an event is a look into a table, and the start of a thread or the
word to it: events come on one thread, for all guests.
"""

import threading
import typing

from nova.compute import power_state
from nova.compute import vm_states
from nova.virt import event as virtevent
from oslo_log import log as logging

from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.roads import expected_guest

LOG = logging.getLogger(__name__)


class Arrivals:
    """Those of one host. An untagged guest is never among them.

    A guest is forgotten when Nova's step at the end of the migration asks for
    it, when the migration is rolled back, when another one of the guest is
    prepared, and when it takes too long.
    """

    def __init__(self, host_guard: guard.Guard, host: typing.Any) -> None:
        """:param host_guard: the guard of this host
        :param host: Nova's Host
        """
        self._guard = host_guard
        self._host = host
        self._lock = threading.Lock()
        self._expected: dict[str, expected_guest.ExpectedGuest] = {}

    def expect(
        self, instance: typing.Any, request: guest_request.GuestRequest
    ) -> None:
        """A guest may be sent from now on. Raises nothing.

        A guest that is not running, because its user or an operator has
        paused it, is not for this host to resume.

        :param instance: Nova's instance
        :param request: what is asked for the guest
        """
        options = self._guard.options
        if (
            not request.wanted
            or not self._guard.enforces
            or not options.resume_at_arrival
            or instance.vm_state != vm_states.ACTIVE
            or instance.power_state != power_state.RUNNING
        ):
            self.forget(request.uuid)
            return
        guest = expected_guest.ExpectedGuest(
            self._guard, self._host, instance, request
        )
        with self._lock:
            over = [
                uuid
                for uuid, one in self._expected.items()
                if uuid == request.uuid or one.expired
            ]
            for uuid in over:
                self._expected.pop(uuid).dismiss()
            self._expected[request.uuid] = guest

    def forget(self, uuid: str) -> None:
        """The guest is not going to arrive. Does not block.

        :param uuid: the UUID of the instance
        """
        with self._lock:
            guest = self._expected.pop(uuid, None)
        if guest is not None:
            guest.dismiss()

    def stop(self) -> None:
        """Resume no guest from now on. Does not block."""
        with self._lock:
            over, self._expected = self._expected, {}
        for guest in over.values():
            guest.dismiss()

    def settle(self, uuid: str) -> bool:
        """Nova has ended the migration: the guest is no longer for us.

        :param uuid: the UUID of the instance
        :returns: whether the guest was verified and then resumed here; if
            not, it is not going to be
        :raises TimeoutError: that could not be found out
        """
        with self._lock:
            guest = self._expected.pop(uuid, None)
        return guest is not None and guest.close()

    def handle(self, event: typing.Any) -> None:
        """Deal with an event of Nova's driver. Does not block.

        Raises nothing: Nova's own handling of the event comes next.

        :param event: the event
        """
        if not self._expected or not isinstance(
            event, virtevent.LifecycleEvent
        ):
            return
        uuid = event.get_instance_uuid()
        with self._lock:
            guest = self._expected.get(uuid)
        if guest is None:
            return
        transition = event.get_transition()
        if transition == virtevent.EVENT_LIFECYCLE_STARTED:
            try:
                guest.begin()
            except RuntimeError:
                LOG.exception(
                    'Cannot start a thread that verifies a guest which '
                    'arrives; it is verified at the end of the migration',
                    instance_uuid=uuid,
                )
                self.forget(uuid)
        elif transition == virtevent.EVENT_LIFECYCLE_PAUSED:
            guest.arrive()
        elif transition == virtevent.EVENT_LIFECYCLE_RESUMED:
            # By us, or by somebody who may pause it again.
            guest.dismiss()
