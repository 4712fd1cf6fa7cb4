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

"""The sink that writes instance action events."""

import json
import typing

from nova import context as nova_context
from nova import exception as nova_exception
from nova import objects

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink

#: The names of the events.
NAMES = {
    outcome.Stage.DECIDE: 'isolation_decide',
    outcome.Stage.VERIFY: 'isolation_verify',
    outcome.Stage.REVERIFY: 'isolation_reverify',
}

#: The instance action of events that belong to no request of a user.
ACTION = 'isolation'

#: The outcomes that are events: whatever a user's request came to, and each
#: change of a running guest.
_EVENTS = {
    outcome.Stage.DECIDE: {
        outcome.Result.REFUSED,
        outcome.Result.RECORDED,
    },
    outcome.Stage.VERIFY: {
        outcome.Result.ACCEPTED,
        outcome.Result.REFUSED,
        outcome.Result.RECORDED,
    },
    outcome.Stage.REVERIFY: {
        outcome.Result.VIOLATED,
        outcome.Result.RESTORED,
    },
}


class EventSink(sink.Sink):
    """Writes instance action events."""

    name = 'event'
    needs = sink.Needs.DATABASE

    def __init__(self, host: str) -> None:
        """:param host: the name of the compute service"""
        self._host = host

    def takes(self, result: outcome.Outcome) -> bool:
        """See the base class."""
        return result.result in _EVENTS[result.stage]

    def title(self, result: outcome.Outcome) -> str:
        """See the base class."""
        return NAMES[result.stage]

    def report(self, result: outcome.Outcome) -> None:
        """See the base class."""
        context = result.request.context or nova_context.get_admin_context()
        error = result.error
        # Not compute_utils.EventReporter: where two hosts write events of
        # one name, the second would overwrite the first, because Nova looks
        # for no more than the name.
        event: typing.Any = objects.InstanceActionEvent(
            context,
            event=NAMES[result.stage],
            host=self._host,
            start_time=result.started,
            finish_time=result.finished,
            result='Error' if error else 'Success',
            # For admins, and for tools: what was read of a guest that is as
            # its flavor asks.
            details=(
                error.details if error else json.dumps(result.read_back.dump())
            ),
        )
        try:
            event.create(result.uuid, context.request_id)
        except nova_exception.InstanceActionNotFound:
            # No user has asked for this, so the event needs an action of
            # its own.
            action: typing.Any = objects.InstanceAction
            action.action_start(
                context, result.uuid, ACTION, want_result=False
            )
            event.create(result.uuid, context.request_id)
            action.action_finish(context, result.uuid, want_result=False)
