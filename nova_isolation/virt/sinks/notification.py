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

"""The sink that notifies about running guests, on topics of our own.

Nova's versioned notifications have a closed list of actions, so these are
sent beside them: by a notifier of our own, with the driver and over the
transport of Nova's (``[oslo_messaging_notifications]``).
"""

from collections.abc import Sequence
import dataclasses
import typing

from nova import context as nova_context
from nova import rpc
import oslo_messaging

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink

VIOLATION = 'isolation.violation'
END = 'isolation.violation.end'

#: The version of the payloads. The minor number grows with a new field, the
#: major number when a field is removed or changes its meaning.
VERSION = '1.0'

#: Why a violation ended, in the payload: the guest meets its requirements
#: again; the guest no longer runs on this host.
WHY = {outcome.Result.RESTORED: 'mended', outcome.Result.ENDED: 'gone'}

#: How often the transport is tried again. The default is without end, and
#: the thread that notifies is the one that verifies.
_RETRIES = 1


class NotificationSink(sink.Sink):
    """Sends a notification when a violation begins and when it ends."""

    name = 'notification'
    needs = sink.Needs.TIME

    def __init__(self, host: str, topics: Sequence[str]) -> None:
        """:param host: the name of the compute service
        :param topics: the topics
        """
        self._host = host
        self._topics = list(topics)
        self._notifier: typing.Any = None

    def takes(self, result: outcome.Outcome) -> bool:
        """See the base class."""
        return result.result is outcome.Result.VIOLATED or (
            result.result in WHY
        )

    def title(self, result: outcome.Outcome) -> str:
        """See the base class."""
        return END if result.result in WHY else VIOLATION

    def report(self, result: outcome.Outcome) -> None:
        """See the base class."""
        # Only now: Nova has its transport when the service has started.
        if self._notifier is None:
            self._notifier = oslo_messaging.Notifier(
                rpc.NOTIFICATION_TRANSPORT,
                publisher_id=f'nova-isolation:{self._host}',
                topics=self._topics,
                serializer=rpc.RequestContextSerializer(
                    rpc.JsonPayloadSerializer()
                ),
                retry=_RETRIES,
            )
        title = self.title(result)
        send = (
            self._notifier.warn if title == VIOLATION else self._notifier.info
        )
        send(
            nova_context.get_admin_context(),
            title,
            {**payload(result), 'host': self._host},
        )


def payload(result: outcome.Outcome) -> dict[str, object]:
    """The payload of a notification, without the host.

    :param result: an outcome that :class:`NotificationSink` takes
    """
    why = WHY.get(result.result)
    common: dict[str, object] = {
        'version': VERSION,
        'instance_uuid': result.uuid,
        'unmet': [
            dataclasses.asdict(item)
            for item in (result.resolved if why else result.unmet)
        ],
    }
    if why:
        return {**common, 'why': why}
    instance = result.instance
    return {
        **common,
        'project_id': instance and instance.project_id,
        'flavor': instance and instance.flavor.name,
        'action': result.action,
    }
