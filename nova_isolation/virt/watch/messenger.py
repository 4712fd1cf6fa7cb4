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

"""Tells admins and users that a running guest is not as asked, once."""

import collections
import typing

from oslo_log import log as logging

from nova_isolation.virt import exception
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import report
from nova_isolation.virt.guard import verification
from nova_isolation.virt.guard import violations
from nova_isolation.virt.watch import notification
from nova_isolation.virt.watch import running_guests

LOG = logging.getLogger(__name__)

#: What waits to be told, at most; the oldest is dropped.
_MAX_WAITING = 1000

_Event = tuple[guest_request.GuestRequest, exception.GuestViolated | None]


class Messenger:
    """Logs at once; the rest when what has to be done first is done.

    An instance event waits until the database can be asked again.
    """

    def __init__(self, host: str, reporter: report.Reporter) -> None:
        """:param host: the name of the compute service
        :param reporter: writes the events
        """
        self._reporter = reporter
        self._notifier = notification.Notifier(host)
        self._notifications: collections.deque[notification.Notification] = (
            collections.deque(maxlen=_MAX_WAITING)
        )
        self._events: collections.deque[_Event] = collections.deque(
            maxlen=_MAX_WAITING
        )

    def violated(
        self,
        violation: violations.Violation,
        tagged: running_guests.TaggedGuest,
        action: str,
    ) -> None:
        """A running guest is not as asked.

        :param action: what is done about it
        """
        told = exception.GuestViolated(violation.unmet)
        LOG.warning(
            '%(what)s (on_violation: %(action)s)',
            {'what': told.details, 'action': action},
            instance_uuid=violation.uuid,
        )
        for mechanism, error in violation.failures:
            verification.log_failure(violation.uuid, mechanism, error)
        self._notifications.append(
            notification.violation(violation, tagged.instance, action)
        )
        self._events.append((tagged.request, told))

    def mended(
        self,
        violation: violations.Violation,
        request: guest_request.GuestRequest,
    ) -> None:
        """A running guest is as asked again."""
        LOG.info(
            'The running guest is isolated as asked again',
            instance_uuid=violation.uuid,
        )
        self._notifications.append(notification.end(violation, 'mended'))
        self._events.append((request, None))

    def gone(self, violation: violations.Violation) -> None:
        """A guest that was not as asked runs here no more."""
        LOG.info(
            'The guest that was not isolated as asked runs here no more',
            instance_uuid=violation.uuid,
        )
        self._notifications.append(notification.end(violation, 'gone'))

    def deliver(self, context: typing.Any, database: bool) -> None:
        """Tell what waits to be told. Raises nothing.

        :param context: an admin's
        :param database: whether the database can be asked
        """
        while self._notifications:
            self._notifier.send(context, self._notifications.popleft())
        while database and self._events:
            self._reporter.reverified(*self._events.popleft())
