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

"""What nova-compute does about guests that it left unverified when it died.

A tagged guest starts paused. If nova-compute ends before the verification,
the guest stays paused, and nobody but us knows why.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import typing

from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from oslo_log import log as logging

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova_isolation.host import domain_metadata
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import report

LOG = logging.getLogger(__name__)

#: Paused on purpose, or Nova is about to unpause it, which verifies it.
_PURPOSE = (task_states.PAUSING, task_states.UNPAUSING, task_states.MIGRATING)

#: Nova forgets these tasks at start-up and takes the guest for running.
_FORGOTTEN = (
    task_states.IMAGE_SNAPSHOT,
    task_states.IMAGE_SNAPSHOT_PENDING,
    task_states.IMAGE_PENDING_UPLOAD,
    task_states.IMAGE_UPLOADING,
)

#: A guest is made here, and the instance belongs to another host until it
#: runs.
_REMAKING = (
    task_states.REBUILDING,
    task_states.REBUILD_BLOCK_DEVICE_MAPPING,
    task_states.REBUILD_SPAWNING,
    task_states.RESIZE_FINISH,
)


def recover(
    keeper: guard.Guard, host: typing.Any, instances: Sequence[typing.Any]
) -> None:
    """Verify or power off the guests that are paused and should not be.

    Called when nova-compute starts, before Nova does anything to them.
    Raises nothing.

    :param keeper: the guard of this host
    :param host: Nova's Host
    :param instances: Nova's instances of this host
    """
    for instance in instances:
        try:
            request = keeper.requests.of_instance(instance)
            if request.wanted and _is_unverified(host, instance):
                _recover(keeper, host.get_guest(instance), instance, request)
        except Exception:
            # The other guests, and the service, must go on. What is paused
            # stays so.
            LOG.exception(
                'Could not find out whether nova-compute died before it had '
                'verified this guest',
                instance=instance,
            )
    if not keeper.enforces:
        return
    try:
        for uuid in _strays(host, {one.uuid for one in instances}):
            keeper.deferred_power_off.add(uuid)
    except Exception:
        LOG.exception('Could not look for guests of failed builds')


def _strays(host: typing.Any, known: set[str]) -> Iterator[str]:
    """The UUIDs of paused tagged guests that no instance of this host has.

    When libvirt is away Nova takes an instance whose build failed from this
    host without destroying its guest; an evacuated one gets this host when
    its guest runs, not before. Any other may be migrating here, and the
    guests of deleted instances Nova finds by itself.
    """
    for guest in host.list_guests(only_running=True):
        if guest.uuid in known:
            continue
        xml = guest.get_xml_desc()
        if not domain_metadata.may_be_tagged(xml):
            continue
        if guest.get_power_state(host) != power_state.PAUSED:
            continue
        try:
            instance: typing.Any = objects.Instance.get_by_uuid(
                nova_context.get_admin_context(), guest.uuid
            )
        except nova_exception.InstanceNotFound:
            continue
        if instance.host is None or instance.task_state in _REMAKING:
            yield guest.uuid


def _is_unverified(host: typing.Any, instance: typing.Any) -> bool:
    if instance.deleted or instance.vm_state == vm_states.PAUSED:
        return False
    if instance.task_state in _PURPOSE:
        return False
    try:
        guest = host.get_guest(instance)
        return bool(guest.get_power_state(host) == power_state.PAUSED)
    except nova_exception.InstanceNotFound:
        return False


def _recover(
    keeper: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    runs = instance.vm_state in (vm_states.ACTIVE, vm_states.RESCUED)
    if runs and instance.task_state in (None, *_FORGOTTEN):
        _resume(keeper, guest, instance, request)
    elif instance.task_state is None and instance.vm_state != (
        vm_states.BUILDING
    ):
        # Whoever starts a guest has a task. So this one was paused for
        # another reason: refused when it arrived, paused for a violation.
        LOG.info('This guest stays paused', instance=instance)
    elif keeper.enforces:
        _interrupted(keeper, guest, instance, request)


def _resume(
    keeper: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Nova takes it for running: let it run, if it is as asked."""
    try:
        guest.resume()
    except Exception as error:
        # Without a task it was verified when it began.
        if instance.task_state is not None:
            keeper.power_off(guest, request)
        if isinstance(error, exception.GuestRefused):
            keeper.reporter.fault(instance, error)
        else:
            LOG.exception('It was not let run', instance=instance)


def _interrupted(
    keeper: guard.Guard,
    guest: typing.Any,
    instance: typing.Any,
    request: guest_request.GuestRequest,
) -> None:
    """Nova ends or repeats what it was about; a repeated start is verified."""
    keeper.power_off(guest, request)
    refusal = exception.GuestRefused(
        requirement.unmet(
            reasons.VERIFY_INTERRUPTED,
            f'{instance.vm_state}, task {instance.task_state}',
        )
        for requirement in request.wanted.items
    )
    LOG.warning('Powered off: %s', refusal.details, instance=instance)
    keeper.reporter.recorded(request, report.VERIFY, refusal)
    keeper.reporter.fault(instance, refusal)
