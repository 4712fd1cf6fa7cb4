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

"""The fault that tells the user why all hosts refused."""

import dataclasses
import time
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova.compute import task_states
from nova.compute import utils as compute_utils
from nova.compute import vm_states
import nova.conf
from oslo_log import log as logging

from nova_isolation.virt import exception
from nova_isolation.virt.guard import pending_work

# Works around Nova 34.0.0: when the last host that Nova tried has refused a
# guest, nova.conductor.manager, ComputeTaskManager.build_instances, raises
# MaxRetriesExceeded without the error of the compute service, and its
# _cleanup_when_reschedule_fails writes the fault "Exceeded maximum number of
# retries". The API shows the newest fault only, so the user does not learn
# the reason. If Nova put the last error into that fault, this module could
# go.

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

#: Seconds between two looks at the instances.
_INTERVAL = 1.0

#: Seconds within which the source of a live migration writes a fault of its
#: own after that of the destination, which has the reason. Nova's call from
#: one to the other ends meanwhile.
_FOLLOWS = 60.0

#: For how many instances this host waits at once. Further ones keep Nova's
#: fault.
_MAX_PENDING = 1000


@dataclasses.dataclass(frozen=True)
class _Refusal:
    """A refusal that waits.

    :ivar error: the refusal
    :ivar before: the id of the newest fault when the guest was refused; 0:
        there was none
    :ivar until: how long to wait, by the monotonic clock
    :ivar followed: until when a fault with the reason may be followed by
        another one, by the same clock, which the source of a live migration
        writes; None: the instance is not migrated
    """

    error: exception.GuestRefused
    before: int
    until: float
    followed: float | None = None


class LateFaults:
    """Waits until Nova has given up on an instance that was refused, and
    then adds the reason as a fault of its own.
    """

    def __init__(self, timeout: float) -> None:
        """:param timeout: seconds to wait for an instance; 0: never wait"""
        self._timeout = timeout
        self.work: pending_work.PendingWork[_Refusal] = (
            pending_work.PendingWork(
                'isolation-faults',
                _attempt,
                _INTERVAL,
                limit=_MAX_PENDING,
            )
        )

    def add(
        self, uuid: str, error: exception.GuestRefused, started: bool = False
    ) -> None:
        """Write the fault once Nova has given up on the instance.

        :param uuid: the UUID of the instance
        :param error: the refusal
        :param started: whether the guest was refused when it had started, or
            had arrived
        """
        if not self._timeout:
            return
        context = nova_context.get_admin_context()
        # A fault that is there already belongs to an earlier request.
        newest = _newest_fault(context, uuid)
        now = time.monotonic()
        refusal = _Refusal(
            error,
            newest.id if newest else 0,
            now + self._timeout,
            now + min(_FOLLOWS, self._timeout / 2)
            if started and _is_migrated(context, uuid)
            else None,
        )
        if not self.work.add(uuid, refusal):
            LOG.warning(
                'Too many refusals are pending; the fault of this server '
                'will not name the reason',
                instance_uuid=uuid,
            )


def _attempt(uuid: str, refusal: _Refusal) -> bool:
    """Add the fault if it is time to.

    :returns: whether there is nothing more to do for the instance
    :raises Exception: the database or the message queue cannot be asked
    """
    if time.monotonic() > refusal.until:
        LOG.warning(
            'Nova has not given up on the server in time; its fault may not '
            'name the reason: %s',
            refusal.error.details,
            instance_uuid=uuid,
        )
        return True
    try:
        return _add(uuid, refusal)
    except nova_exception.InstanceNotFound:
        return True


def _add(uuid: str, refusal: _Refusal) -> bool:
    """See :func:`_attempt`.

    :raises nova.exception.InstanceNotFound: the instance was deleted
    """
    context = nova_context.get_admin_context()
    instance: typing.Any = objects.Instance.get_by_uuid(context, uuid)
    fault = _newest_fault(context, uuid)
    is_new = fault is not None and fault.id > refusal.before
    if is_new and fault.message.startswith(exception.GuestRefused.MARK):
        # Nova's fault has the reason: a host was forced, or the guest was
        # not a new one.
        return refusal.followed is None or time.monotonic() >= refusal.followed
    if instance.task_state:
        return False
    if instance.vm_state == vm_states.ACTIVE:
        return True
    # Nova sets the state first and then writes its fault, which must not
    # come after ours.
    if instance.vm_state != vm_states.ERROR or not is_new:
        return False
    if refusal.followed is not None and fault.host == CONF.host:
        # Not of the source: something else has failed here since then.
        return True
    # Other hosts may have failed for other reasons.
    compute_utils.add_instance_fault_from_exc(
        context, instance, exception.RefusedOnAHost(refusal.error.unmet)
    )
    return True


def _is_migrated(context: typing.Any, uuid: str) -> bool:
    """Whether a live migration of the instance is under way."""
    instances: typing.Any = objects.Instance
    try:
        instance = instances.get_by_uuid(context, uuid)
    except nova_exception.InstanceNotFound:
        return False
    return bool(instance.task_state == task_states.MIGRATING)


def _newest_fault(context: typing.Any, uuid: str) -> typing.Any:
    fault: typing.Any = objects.InstanceFault
    return fault.get_latest_for_instance(context, uuid)
