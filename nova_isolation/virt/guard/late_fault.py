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

"""The fault that tells a user why all hosts refused.

When the last host that Nova tried has refused a guest, Nova's conductor
writes the fault "Exceeded maximum number of retries", and the API shows the
newest fault only. So the compute service that refused waits until Nova has
given up on the instance and adds the reason as a fault of its own.
"""

import dataclasses
import threading
import time
import typing

from nova.compute import utils as compute_utils
from nova.compute import vm_states
from oslo_log import log as logging

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova_isolation.virt import exception

LOG = logging.getLogger(__name__)

#: Seconds between two looks at the instances.
_INTERVAL = 1.0

#: Instances that are waited for at once; further ones go without.
_MAX_PENDING = 1000


@dataclasses.dataclass(frozen=True)
class _Pending:
    refusal: exception.GuestRefused
    #: the newest fault when it was refused; 0: none
    before: int
    until: float


class LateFaults:
    """Waits for instances that were refused, in one thread of its own.

    The thread lives only while something is pending.
    """

    def __init__(self, timeout: float) -> None:
        """:param timeout: seconds to wait for an instance; 0: never wait"""
        self._timeout = timeout
        self._pending: dict[str, _Pending] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, uuid: str, refusal: exception.GuestRefused) -> None:
        """Tell the user once Nova has given up on the instance."""
        if not self._timeout:
            return
        # An earlier request's fault tells nothing of this one.
        newest = _newest_fault(nova_context.get_admin_context(), uuid)
        before = newest.id if newest else 0
        with self._lock:
            if len(self._pending) >= _MAX_PENDING:
                LOG.warning(
                    'Too many refusals are pending; the fault of this '
                    'instance will not name the reason',
                    instance_uuid=uuid,
                )
                return
            self._pending[uuid] = _Pending(
                refusal, before, time.monotonic() + self._timeout
            )
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name='isolation-faults', daemon=True
                )
                thread.start()
                # Not before: a thread that could not start must not keep
                # the next one from it.
                self._thread = thread

    def _run(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            with self._lock:
                pending = dict(self._pending)
                if not pending:
                    self._thread = None
                    return
            for uuid, item in pending.items():
                if self._settled(uuid, item):
                    with self._lock:
                        # Unless it was refused once more meanwhile.
                        if self._pending.get(uuid) is item:
                            del self._pending[uuid]

    def _settled(self, uuid: str, item: _Pending) -> bool:
        """Whether there is nothing more to do for an instance."""
        if time.monotonic() > item.until:
            LOG.warning(
                'Nova has not given up in time; the fault of this instance '
                'may not name the reason: %s',
                item.refusal,
                instance_uuid=uuid,
            )
            return True
        try:
            return _tell(uuid, item)
        except nova_exception.InstanceNotFound:
            return True
        except Exception:
            # The database or the message queue: until the time is over.
            LOG.debug('Will look again', exc_info=True, instance_uuid=uuid)
            return False


def _newest_fault(context: typing.Any, uuid: str) -> typing.Any:
    fault: typing.Any = objects.InstanceFault
    return fault.get_latest_for_instance(context, uuid)


def _tell(uuid: str, item: _Pending) -> bool:
    """Add the fault if it is time to; returns whether it is settled."""
    context = nova_context.get_admin_context()
    instance: typing.Any = objects.Instance.get_by_uuid(context, uuid)
    fault = _newest_fault(context, uuid)
    told = fault is not None and fault.id > item.before
    if told and fault.message.startswith(exception.GuestRefused.MARK):
        # Nova has told it: a host was forced, or it was no new guest.
        return True
    if instance.task_state:
        return False
    if instance.vm_state == vm_states.ACTIVE:
        return True
    # Nova sets the state first and then writes its fault, which must not
    # come after ours.
    if instance.vm_state != vm_states.ERROR or not told:
        return False
    # Other hosts may have failed for other reasons.
    compute_utils.add_instance_fault_from_exc(
        context, instance, exception.RefusedOnAHost(item.refusal.unmet)
    )
    return True
