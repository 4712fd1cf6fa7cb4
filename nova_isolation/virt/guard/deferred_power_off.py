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

"""Guests that could not be powered off yet."""

from collections.abc import Callable

from oslo_concurrency import lockutils
from oslo_log import log as logging

from nova_isolation.virt.guard import pending_work

LOG = logging.getLogger(__name__)

#: Seconds before the first attempt; each further interval is twice as long,
#: up to this factor.
_INTERVAL = 1.0
_LONGEST = 30


class DeferredPowerOff:
    """Powers off paused, unverified guests as soon as that is possible.

    They could not be powered off because the hypervisor was unreachable.
    Nova does not come back to them: it takes a failed build for undone, and
    a libvirtd that is started again keeps its guests.
    """

    def __init__(self, power_off: Callable[[str], bool]) -> None:
        """:param power_off: powers a guest off if it exists and is paused,
        given its UUID; returns whether it did so; raises where it is to be
        tried again
        """
        self._power_off = power_off
        self.work: pending_work.PendingWork[None] = pending_work.PendingWork(
            'isolation-power-off',
            self._attempt,
            _INTERVAL,
            _LONGEST * _INTERVAL,
        )

    def add(self, uuid: str) -> None:
        """Power a guest off as soon as possible, if it is paused then."""
        self.work.add(uuid, None)

    def discard(self, uuid: str) -> None:
        """Forget a guest, because Nova starts it anew: if it is paused from
        now on, it is paused for that start.
        """
        self.work.discard(uuid)

    def _attempt(self, uuid: str, _: None) -> bool:
        """Power a guest off, unless it was started anew.

        :raises Exception: it is to be tried again
        """
        # Nova's compute manager takes this lock while it works on an
        # instance. It may be about to destroy the guest.
        with lockutils.lock(uuid, 'nova-', blocking=False):
            if uuid in self.work.pending and self._power_off(uuid):
                LOG.warning(
                    'Powered off a guest that was started and could not be '
                    'verified, now that the hypervisor is reachable again',
                    instance_uuid=uuid,
                )
            return True
