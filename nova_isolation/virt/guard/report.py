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

"""Telling users and admins what happened to a guest.

Nothing here decides anything, so nothing here may fail a guest or save it:
what cannot be told is logged.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import typing

from nova.compute import utils as compute_utils
from oslo_log import log as logging
from oslo_utils import timeutils

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova_isolation.mechanisms import base
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import late_fault

LOG = logging.getLogger(__name__)

#: The names of the instance action events: a decision of the compute host,
#: and the verification of a started guest.
DECIDE = 'isolation_decide'
VERIFY = 'isolation_verify'

#: The name of the event of a guest that was running when it was verified.
REVERIFY = 'isolation_reverify'

#: The instance action of events that belong to no request of a user.
ACTION = 'isolation'


class Reporter:
    """Writes instance action events, and sees that the fault is read."""

    def __init__(self, host: str, faults: late_fault.LateFaults) -> None:
        """:param host: the name of the compute service
        :param faults: adds the fault when Nova has given up
        """
        self._host = host
        self._faults = faults

    def verified(
        self, request: guest_request.GuestRequest, proofs: Iterable[base.Proof]
    ) -> None:
        """The guest is as asked."""
        LOG.info(
            'Isolation verified before the guest runs: %s',
            '; '.join(f'{p.key}: {p.found}' for p in proofs),
            instance_uuid=request.uuid,
        )
        self._event(request, VERIFY, None)

    def recorded(
        self,
        request: guest_request.GuestRequest,
        event: str,
        refusal: exception.GuestRefused,
    ) -> None:
        """A refusal that Nova knows already, or (audit mode) never will."""
        self._event(request, event, refusal)

    def reverified(
        self,
        request: guest_request.GuestRequest,
        violated: exception.GuestViolated | None,
    ) -> None:
        """A running guest is no longer, or is again (None), as asked."""
        self._event(request, REVERIFY, violated)

    def refused(
        self,
        request: guest_request.GuestRequest,
        event: str,
        refusal: exception.GuestRefused,
    ) -> None:
        """The guest is refused."""
        self._event(request, event, refusal)
        with _only_logged('fault', request.uuid):
            self._faults.add(request.uuid, refusal)

    def fault(
        self,
        instance: typing.Any,
        refusal: exception.GuestRefused,
    ) -> None:
        """Write the fault where Nova itself writes none."""
        with _only_logged('fault', instance.uuid):
            compute_utils.add_instance_fault_from_exc(
                nova_context.get_admin_context(), instance, refusal
            )

    def _event(
        self,
        request: guest_request.GuestRequest,
        name: str,
        refusal: exception.GuestRefused | None,
    ) -> None:
        with _only_logged(name, request.uuid):
            now = timeutils.utcnow()
            context = request.context or nova_context.get_admin_context()
            # Not compute_utils.EventReporter: where two hosts write events
            # of one name, the second would overwrite the first, because
            # Nova looks for no more than the name.
            event: typing.Any = objects.InstanceActionEvent(
                context,
                event=name,
                host=self._host,
                start_time=now,
                finish_time=now,
                result='Error' if refusal else 'Success',
                details=refusal and refusal.details,
            )
            try:
                event.create(request.uuid, context.request_id)
            except nova_exception.InstanceActionNotFound:
                # Work that no user asked for: an action of our own.
                action: typing.Any = objects.InstanceAction
                action.action_start(
                    context, request.uuid, ACTION, want_result=False
                )
                event.create(request.uuid, context.request_id)
                action.action_finish(context, request.uuid, want_result=False)


@contextlib.contextmanager
def _only_logged(what: str, uuid: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        # The database or the message queue; the guest's fate is decided.
        LOG.warning(
            'Could not record %s of the instance',
            what,
            exc_info=True,
            instance_uuid=uuid,
        )
