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

"""What is done about a running guest that is not as asked."""

import typing

from nova.compute import power_state
from nova.compute import vm_states
from oslo_concurrency import lockutils
from oslo_log import log as logging

from nova import exception as nova_exception
from nova_isolation.virt.watch import running_guests

LOG = logging.getLogger(__name__)

#: The values of ``[isolation] on_violation``, and what is told of a reaction
#: that failed or has to wait.
REPORT, PAUSE, STOP, FAILED = 'report', 'pause', 'stop', 'failed'


class Reaction:
    """Pauses or stops guests."""

    def __init__(self, libvirt_host: typing.Any) -> None:
        """:param libvirt_host: Nova's Host"""
        self._libvirt = libvirt_host

    def take(self, wanted: str, tagged: running_guests.TaggedGuest) -> str:
        """Do what is wanted. Done again where it is done already: nothing.

        libvirt is asked first; what Nova is told can wait until the database
        is there. Raises nothing.

        :param wanted: REPORT, PAUSE or STOP
        :param tagged: the guest
        :returns: ``wanted``, or FAILED: it is to be tried again
        """
        if wanted == REPORT:
            return REPORT
        uuid = tagged.request.uuid
        try:
            # The lock that Nova's compute manager takes for what it does to
            # an instance. Where it is held somebody is at work on the guest.
            with lockutils.lock(uuid, 'nova-', blocking=False):
                if wanted == STOP:
                    # Nova takes it from libvirt's event, or else when it
                    # synchronises power states, that the guest is off.
                    tagged.guest.poweroff()
                else:
                    self._pause(tagged)
        except (
            lockutils.AcquireLockFailedException,
            nova_exception.InstanceUpdateConflict,
            nova_exception.InstanceNotFound,
        ) as error:
            LOG.info(
                'Somebody is at work on the guest, will look again: %s',
                error,
                instance_uuid=uuid,
            )
            return FAILED
        except Exception:
            LOG.exception(
                'Could not %s a guest that is not isolated as its flavor '
                'asks; will try again',
                wanted,
                instance_uuid=uuid,
            )
            return FAILED
        return wanted

    def _pause(self, tagged: running_guests.TaggedGuest) -> None:
        guest, instance = tagged.guest, tagged.instance
        if guest.get_power_state(self._libvirt) != power_state.PAUSED:
            guest.pause()
        # As nova.compute.manager, pause_instance. A guest that is rescued or
        # half resized has no such state; it is paused all the same.
        if instance is not None and instance.vm_state == vm_states.ACTIVE:
            instance.vm_state = vm_states.PAUSED
            instance.power_state = power_state.PAUSED
            instance.save(
                expected_vm_state=[vm_states.ACTIVE],
                expected_task_state=[None],
            )
