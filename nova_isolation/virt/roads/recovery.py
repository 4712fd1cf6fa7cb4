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

"""Guests that nova-compute left unverified when it ended.

A tagged guest starts paused. If nova-compute ends before it has verified the
guest, the guest stays paused, and Nova does not know why. Such a guest is told
by the note that the guard makes before each start and removes after it. A
guest that somebody else has paused (an operator, libvirt after an I/O error)
stays as it is.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova_isolation.host import domain_metadata
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import outcome

LOG = logging.getLogger(__name__)

#: The guest is paused on purpose, or Nova is about to unpause and so to
#: verify it.
_ON_PURPOSE = (
    task_states.PAUSING,
    task_states.UNPAUSING,
    task_states.MIGRATING,
)

#: Nova drops these tasks at its start and takes the guest for running.
_FORGOTTEN = (
    task_states.IMAGE_SNAPSHOT,
    task_states.IMAGE_SNAPSHOT_PENDING,
    task_states.IMAGE_PENDING_UPLOAD,
    task_states.IMAGE_UPLOADING,
)

#: A guest is made on this host, and its instance belongs to another host
#: until the guest runs.
_REMAKING = (
    task_states.REBUILDING,
    task_states.REBUILD_BLOCK_DEVICE_MAPPING,
    task_states.REBUILD_SPAWNING,
    task_states.RESIZE_FINISH,
)


def recover(
    host_guard: guard.Guard,
    host: typing.Any,
    instances: Sequence[typing.Any],
) -> None:
    """Verify or power off the guests that are paused and should not be.

    Called when nova-compute starts, before Nova does anything to the guests.
    Raises nothing.

    :param host_guard: the guard of this host
    :param host: Nova's Host
    :param instances: Nova's instances of this host
    """
    for instance in instances:
        try:
            request = host_guard.requests.of_instance(instance)
            if request.wanted:
                _look(host_guard, host, instance, request)
        except Exception:
            # The service must start, and the other guests are looked at. A
            # paused guest stays paused.
            LOG.exception(
                'Could not find out whether nova-compute ended before it had '
                'verified this guest; a paused guest stays paused',
                instance=instance,
            )
    if not host_guard.enforces:
        return
    try:
        known = {one.uuid for one in instances}
        for uuid in _abandoned(host_guard, host, known):
            host_guard.deferred_power_off.add(uuid)
    except Exception:
        LOG.exception('This host could not look for guests of failed builds')


def _abandoned(
    host_guard: guard.Guard, host: typing.Any, known: set[str]
) -> Iterator[str]:
    """The UUIDs of guests that stayed paused and have no instance here.

    If libvirt is unreachable when a build fails, Nova removes the instance
    from this host without destroying its guest. An evacuated instance belongs
    to this host only when its guest runs. Any other instance may be migrating
    to this host. Nova itself finds the guests of deleted instances.
    """
    for guest in host.list_guests(only_running=True):
        if guest.uuid in known:
            continue
        try:
            if _is_abandoned(host_guard, host, guest):
                yield guest.uuid
        except Exception:
            # It may have ended just now. The other guests are looked at.
            LOG.exception(
                'Could not find out whether a guest was left by a failed '
                'build; a paused guest stays paused',
                instance_uuid=guest.uuid,
            )


def _is_abandoned(
    host_guard: guard.Guard, host: typing.Any, guest: typing.Any
) -> bool:
    """Whether a guest without an instance here was left by a failed start."""
    if not domain_metadata.may_be_tagged(guest.get_xml_desc()):
        return False
    if _power_state(host_guard, host, guest) != power_state.PAUSED:
        return False
    if not host_guard.hypervisor.is_starting(guest):
        return False
    try:
        instance: typing.Any = objects.Instance.get_by_uuid(
            nova_context.get_admin_context(), guest.uuid
        )
    except nova_exception.InstanceNotFound:
        return False
    return instance.host is None or instance.task_state in _REMAKING


def _power_state(
    host_guard: guard.Guard, host: typing.Any, guest: typing.Any
) -> int:
    """The power state of a guest.

    A libvirtd that was started anew can say of a paused guest of Xen that it
    runs. Such a guest may be one that nobody has verified.
    """
    state: int = guest.get_power_state(host)
    if state == power_state.RUNNING and host_guard.hypervisor.is_paused(guest):
        return int(power_state.PAUSED)
    return state


def _look(
    host_guard: guard.Guard,
    host: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Find out about one guest whether its start was interrupted."""
    if instance.deleted:
        return
    try:
        guest = host.get_guest(instance)
        state = _power_state(host_guard, host, guest)
    except nova_exception.InstanceNotFound:
        return
    if state == power_state.RUNNING:
        # nova-compute may have ended after it had resumed the guest. If
        # somebody pauses the guest later, that is not for this start.
        host_guard.start_notes.end(guest, request.uuid)
    if state != power_state.PAUSED or instance.vm_state == vm_states.PAUSED:
        return
    if instance.task_state in _ON_PURPOSE:
        return
    if host_guard.hypervisor.is_starting(guest):
        _recover(host_guard, guest, instance, request)
    else:
        LOG.info(
            'Guest stays paused: nova-compute was not starting it when it '
            'ended, so somebody else has paused it',
            instance=instance,
        )


def _recover(
    host_guard: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    runs = instance.vm_state in (vm_states.ACTIVE, vm_states.RESCUED)
    if runs and instance.task_state in (None, *_FORGOTTEN):
        _resume(host_guard, guest, instance, request)
    elif instance.task_state is None and instance.vm_state != (
        vm_states.BUILDING
    ):
        # Nova ended that start itself, and takes the guest for off.
        LOG.info(
            'Guest stays paused: its start was interrupted, and Nova has '
            'given up on it since',
            instance=instance,
        )
    elif host_guard.enforces:
        _interrupted(host_guard, guest, instance, request)


def _resume(
    host_guard: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Resume a guest that Nova takes for running, if it is verified."""
    try:
        guest.resume()
    except Exception as error:
        # A guest of a server without a task was verified when it started.
        if instance.task_state is not None:
            host_guard.power_off(guest, request)
        if isinstance(error, exception.GuestRefused):
            host_guard.conclusions.report_missing_fault(request, error)
        else:
            LOG.exception(
                'Guest could not be resumed after the restart of '
                'nova-compute; it does not run',
                instance=instance,
            )


def _interrupted(
    host_guard: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Power off a guest whose start nova-compute did not finish.

    Nova then ends or repeats the task; a repeated start is verified.
    """
    host_guard.power_off(guest, request)
    unmet = tuple(
        requirement.unmet(
            reasons.VERIFY_INTERRUPTED,
            f'{instance.vm_state}, task {instance.task_state}',
        )
        for requirement in request.wanted.items
    )
    host_guard.reporter.report(
        outcome.Outcome(
            request=request,
            stage=outcome.Stage.VERIFY,
            result=outcome.Result.REFUSED,
            unmet=unmet,
            action=outcome.POWER_OFF,
            instance=instance,
            nova_writes_fault=False,
        )
    )
