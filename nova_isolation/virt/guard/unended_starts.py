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

"""Guests whose start is over, which could not be noted yet."""

import typing

from oslo_concurrency import lockutils

from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.guard import pending_work

#: Seconds before the first attempt; each further interval is twice as long,
#: up to this factor.
_INTERVAL = 1.0
_LONGEST = 30


class UnendedStarts:
    """Notes the end of starts as soon as the hypervisor lets that be done.

    Otherwise the next start of this service would take a guest that somebody
    has paused meanwhile for one that was never verified, and resume it.
    """

    def __init__(self, hypervisor: hypervisors.Hypervisor) -> None:
        """:param hypervisor: the virtualization stack of this host"""
        self._hypervisor = hypervisor
        self.work: pending_work.PendingWork[typing.Any] = (
            pending_work.PendingWork(
                'isolation-starts',
                self._attempt,
                _INTERVAL,
                _LONGEST * _INTERVAL,
            )
        )

    def add(self, uuid: str, handle: typing.Any) -> None:
        """Note the end of a start as soon as possible.

        :param uuid: the UUID of the instance
        :param handle: the guest
        """
        self.work.add(uuid, handle)

    def discard(self, uuid: str) -> None:
        """Forget a guest, because a new start of it begins."""
        self.work.discard(uuid)

    def _attempt(self, uuid: str, handle: typing.Any) -> bool:
        """Note the end of a start, unless a new one has begun.

        :raises Exception: it is to be tried again
        """
        # Nova's compute manager takes this lock while it starts a guest.
        with lockutils.lock(uuid, 'nova-', blocking=False):
            if uuid in self.work.pending and self._hypervisor.is_starting(
                handle
            ):
                self._hypervisor.end_start(handle)
            return True
