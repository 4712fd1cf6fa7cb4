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

"""Notifications about running guests, on topics of our own.

Nova's versioned notifications have a closed list of actions, so these are
sent beside them: by a notifier of our own, with the driver and over the
transport of Nova's (``[oslo_messaging_notifications]``).
"""

import dataclasses
import typing

import nova.conf
from oslo_log import log as logging
import oslo_messaging

from nova import rpc
from nova_isolation.virt.guard import violations

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

VIOLATION = 'isolation.violation'
END = 'isolation.violation.end'

#: The version of the payloads. The minor one grows with a new field, the
#: major one when a field goes or changes its meaning.
VERSION = '1.0'

#: How often the transport is tried again. Not for ever, which is its default:
#: the thread that notifies is the one that verifies.
_RETRIES = 1


@dataclasses.dataclass(frozen=True)
class Notification:
    """One notification.

    :ivar event_type: VIOLATION or END
    :ivar payload: all but the host
    """

    event_type: str
    payload: dict[str, object]


def violation(
    what: violations.Violation, instance: typing.Any, action: str
) -> Notification:
    """A running guest is not as asked.

    :param instance: Nova's instance; None: the database cannot be asked
    :param action: what is done about it, see
        :class:`nova_isolation.virt.watch.reaction.Reaction`
    """
    return Notification(
        VIOLATION,
        {
            **_about(what),
            'project_id': instance and instance.project_id,
            'flavor': instance and instance.flavor.name,
            'action': action,
        },
    )


def end(what: violations.Violation, why: str) -> Notification:
    """A violation is over.

    :param why: ``mended``: the guest is as asked again; ``gone``: it runs
        here no more
    """
    return Notification(END, {**_about(what), 'why': why})


def _about(what: violations.Violation) -> dict[str, object]:
    return {
        'version': VERSION,
        'instance_uuid': what.uuid,
        'unmet': [dataclasses.asdict(item) for item in what.unmet],
    }


class Notifier:
    """Sends notifications."""

    def __init__(self, host: str) -> None:
        """:param host: the name of the compute service"""
        self._host = host
        self._notifier: typing.Any = None

    def send(self, context: typing.Any, what: Notification) -> None:
        """Send one. What cannot be sent is logged; nothing is raised."""
        try:
            # Only now: Nova has its transport when the service has started.
            if self._notifier is None:
                self._notifier = oslo_messaging.Notifier(
                    rpc.NOTIFICATION_TRANSPORT,
                    publisher_id=f'nova-isolation:{self._host}',
                    topics=CONF.isolation.notification_topics,
                    serializer=rpc.RequestContextSerializer(
                        rpc.JsonPayloadSerializer()
                    ),
                    retry=_RETRIES,
                )
            send = (
                self._notifier.warn
                if what.event_type == VIOLATION
                else self._notifier.info
            )
            send(
                context,
                what.event_type,
                {**what.payload, 'host': self._host},
            )
        except Exception:
            LOG.warning('Could not send %s', what.event_type, exc_info=True)
