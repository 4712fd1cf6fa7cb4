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

from oslo_log import log as logging
from oslo_utils import timeutils

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects
from nova_isolation.mechanisms import base
from nova_isolation.virt import exception
from nova_isolation.virt import late_fault

LOG = logging.getLogger(__name__)

#: The names of the instance action events: a decision of the compute host,
#: and the verification of a started guest.
DECIDE = 'isolation_decide'
VERIFY = 'isolation_verify'


class Reporter:
    """Writes instance action events, and sees that the fault is read."""

    def __init__(self, host: str, faults: late_fault.LateFaults) -> None:
        """:param host: the name of the compute service
        :param faults: adds the fault when Nova has given up
        """
        self._host = host
        self._faults = faults

    def verified(
        self,
        context: typing.Any,
        uuid: str,
        proofs: Iterable[base.Proof],
    ) -> None:
        """The guest is as asked."""
        LOG.info(
            'Isolation verified before the first instruction: %s',
            '; '.join(f'{p.key}: {p.found}' for p in proofs),
            instance_uuid=uuid,
        )
        self._event(context, uuid, VERIFY, None)

    def audited(
        self,
        context: typing.Any,
        uuid: str,
        event: str,
        refusal: exception.GuestRefused,
    ) -> None:
        """The guest would have been refused, but for audit mode."""
        self._event(context, uuid, event, refusal)

    def refused(
        self,
        context: typing.Any,
        uuid: str,
        event: str,
        refusal: exception.GuestRefused,
    ) -> None:
        """The guest is refused."""
        self._event(context, uuid, event, refusal)
        with _only_logged('fault', uuid):
            self._faults.add(uuid, refusal)

    def _event(
        self,
        context: typing.Any,
        uuid: str,
        name: str,
        refusal: exception.GuestRefused | None,
    ) -> None:
        with (
            _only_logged(name, uuid),
            # Work that no user asked for has no action to write it to.
            contextlib.suppress(nova_exception.InstanceActionNotFound),
        ):
            now = timeutils.utcnow()
            context = context or nova_context.get_admin_context()
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
            event.create(uuid, context.request_id)


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
