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

"""Notes by which the next process knows which guests are being started."""

import typing

from oslo_log import log as logging

from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.guard import options as guard_options
from nova_isolation.virt.guard import unended_starts

LOG = logging.getLogger(__name__)


class StartNotes:
    """Notes at a guest that a start of it has begun, until it is over.

    If this process ends before the guest is verified, its next one knows by
    this that the guest is paused for this start and not by somebody else.

    :ivar unended: guests whose start is over, which could not be noted yet
    """

    def __init__(
        self,
        options: guard_options.Options,
        hypervisor: hypervisors.Hypervisor,
    ) -> None:
        """:param options: the ``[isolation]`` group
        :param hypervisor: the virtualization stack of this host
        """
        self.unended = unended_starts.UnendedStarts(hypervisor)
        self._options = options
        self._hypervisor = hypervisor

    def begin(self, handle: typing.Any, uuid: str) -> bool:
        """Note that a guest is about to be started paused.

        :param handle: the guest
        :param uuid: the UUID of the instance
        :returns: whether that is noted
        :raises Exception: that could not be noted; audit mode refuses no
            guest for that
        """
        self.unended.discard(uuid)
        try:
            self._hypervisor.begin_start(handle)
        except Exception:
            if guard_options.enforces(self._options):
                raise
            LOG.warning(
                'Could not note that a guest is started paused. If '
                'nova-compute ends before it resumes the guest, the guest '
                'stays paused.',
                exc_info=True,
                instance_uuid=uuid,
            )
            return False
        return True

    def end(self, handle: typing.Any, uuid: str, noted: bool = False) -> None:
        """Note that a start is over: the guest was verified and runs, or it
        is off. Raises nothing.

        :param handle: the guest
        :param uuid: the UUID of the instance
        :param noted: whether it is known that there is a note of the start;
            otherwise the guest is asked for it
        """
        try:
            if noted or self._hypervisor.is_starting(handle):
                self._hypervisor.end_start(handle)
        except Exception:
            LOG.warning(
                'Could not note that the start of a guest is over; this host '
                'will try again',
                exc_info=True,
                instance_uuid=uuid,
            )
            self.unended.add(uuid, handle)
