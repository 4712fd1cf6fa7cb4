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

"""What is done about a running guest that violates its requirements."""

from nova.compute import power_state
from nova.compute import vm_states
from oslo_concurrency import lockutils
from oslo_log import log as logging

from nova import exception as nova_exception
from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.watch import running_guests

LOG = logging.getLogger(__name__)

#: The values of ``[isolation] on_violation``, and the action that is reported
#: where it failed or has to wait.
REPORT, PAUSE, STOP, FAILED = 'report', 'pause', 'stop', 'failed'


class Reaction:
    """Pauses or stops guests."""

    def __init__(self, hypervisor: hypervisors.Hypervisor) -> None:
        """:param hypervisor: the virtualization stack of this host"""
        self._hypervisor = hypervisor

    def take(self, wanted: str, tagged: running_guests.TaggedGuest) -> str:
        """Pause or stop a guest. What is done already is not done again.

        The guest comes first; Nova's record of it can wait until the database
        is reachable. Raises nothing.

        :param wanted: REPORT, PAUSE or STOP
        :param tagged: the guest
        :returns: ``wanted``, or FAILED: the action is to be tried again
        """
        if wanted == REPORT:
            return REPORT
        uuid = tagged.request.uuid
        try:
            # Nova's compute manager takes this lock while it works on an
            # instance.
            with lockutils.lock(uuid, 'nova-', blocking=False):
                if wanted == STOP:
                    # Nova sees that the guest is off by the hypervisor's
                    # event, or when it synchronises power states.
                    self._hypervisor.power_off(tagged.handle)
                else:
                    self._pause(tagged)
        except (
            lockutils.AcquireLockFailedException,
            nova_exception.InstanceUpdateConflict,
            nova_exception.InstanceNotFound,
        ) as error:
            LOG.info(
                'Nova works on the guest, so its isolation is verified again '
                'later: %s',
                error,
                instance_uuid=uuid,
            )
            return FAILED
        except Exception:
            LOG.exception(
                'Could not %s a guest that violates its isolation '
                'requirements; this host will try again',
                wanted,
                instance_uuid=uuid,
            )
            return FAILED
        return wanted

    def _pause(self, tagged: running_guests.TaggedGuest) -> None:
        handle, instance = tagged.handle, tagged.instance
        if not self._hypervisor.is_paused(handle):
            self._hypervisor.pause(handle)
        # As nova.compute.manager, pause_instance. A server that is rescued or
        # waits for its resize to be confirmed has no such state; its guest is
        # paused all the same.
        if instance is not None and instance.vm_state == vm_states.ACTIVE:
            instance.vm_state = vm_states.PAUSED
            instance.power_state = power_state.PAUSED
            instance.save(
                expected_vm_state=[vm_states.ACTIVE],
                expected_task_state=[None],
            )
