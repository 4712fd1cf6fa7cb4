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

from collections.abc import Iterable

from nova import exception as nova_exception
from nova.compute import power_state
from nova.compute import vm_states
from oslo_concurrency import lockutils
from oslo_log import log as logging

from nova_isolation.model import errors
from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.watch import running_guests

LOG = logging.getLogger(__name__)

#: The values of ``[isolation] on_violation``, and the action that is reported
#: where it failed or has to wait.
REPORT, PAUSE, STOP, FAILED = 'report', 'pause', 'stop', 'failed'


class _AnotherRun(errors.IsolationError):
    """A guest is no longer in the run that was verified."""


class Reaction:
    """Pauses or stops guests."""

    def __init__(self, hypervisor: hypervisors.Hypervisor) -> None:
        """:param hypervisor: the virtualization stack of this host"""
        self._hypervisor = hypervisor
        #: UUID of a guest on which Nova worked when an action was due -> the
        #: id of its run
        self._postponed: dict[str, int] = {}

    def keep(self, uuids: Iterable[str]) -> None:
        """Forget what is remembered of all guests but these."""
        kept = frozenset(uuids)
        self._postponed = {
            uuid: run for uuid, run in self._postponed.items() if uuid in kept
        }

    def take(self, wanted: str, tagged: running_guests.TaggedGuest) -> str:
        """Pause or stop a guest. What is done already is not done again.

        The guest comes first; Nova's record of it can wait until the database
        is reachable and Nova has no task for the server. Raises nothing.

        While Nova works on a guest the action is postponed once: mostly Nova
        ends or replaces this run of the guest. A tenant can make the work
        last as long as he likes, so the next time the guest is paused or
        stopped all the same. No task of Nova takes harm: a stop or a soft
        reboot finds the guest off or gives up on it, a snapshot, suspend or
        migration fails and is rolled back, or takes a paused guest along.

        :param wanted: REPORT, PAUSE or STOP
        :param tagged: the guest
        :returns: ``wanted``, or FAILED: the action is to be tried again
        """
        if wanted == REPORT:
            return REPORT
        uuid = tagged.request.uuid
        try:
            try:
                # Nova's compute manager takes this lock while it works on
                # an instance.
                with lockutils.lock(uuid, 'nova-', blocking=False):
                    self._postponed.pop(uuid, None)
                    if self._act(wanted, tagged):
                        self._record(tagged)
            except lockutils.AcquireLockFailedException:
                if self._postponed.get(uuid) != tagged.run.id:
                    self._postponed[uuid] = tagged.run.id
                    raise
                self._act(wanted, tagged)
        except (
            lockutils.AcquireLockFailedException,
            _AnotherRun,
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

    def _act(self, wanted: str, tagged: running_guests.TaggedGuest) -> bool:
        """Pause or stop a guest, if it is still in the run that was verified.

        :returns: whether the guest is paused and Nova's record of it may say
            something else
        :raises _AnotherRun: it is in another run
        """
        handle = tagged.handle
        run = self._hypervisor.run(handle)
        if run is None:
            return False
        if run.id != tagged.run.id:
            raise _AnotherRun('the guest was started anew')
        if wanted == STOP:
            # Nova sees that the guest is off by the hypervisor's event, or
            # when it synchronises power states.
            self._hypervisor.power_off(handle)
            return False
        if run.executes:
            self._hypervisor.pause(handle)
        return True

    def _record(self, tagged: running_guests.TaggedGuest) -> None:
        """Record in Nova that a guest is paused.

        As nova.compute.manager, pause_instance. A server that has a task, is
        rescued or waits for its resize to be confirmed has no such state; its
        guest is paused all the same.
        """
        instance = tagged.instance
        if (
            instance is not None
            and instance.vm_state == vm_states.ACTIVE
            and instance.task_state is None
        ):
            instance.vm_state = vm_states.PAUSED
            instance.power_state = power_state.PAUSED
            instance.save(
                expected_vm_state=[vm_states.ACTIVE],
                expected_task_state=[None],
            )
