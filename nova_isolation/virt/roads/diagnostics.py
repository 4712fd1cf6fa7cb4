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

"""The driver's method by which an admin asks about a guest that runs."""

import typing

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_isolation.evidence import question
from nova_isolation.model import examination
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import conclusions
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.roads import guarded_driver

LOG = logging.getLogger(__name__)


class ExaminingDriver(guarded_driver.GuardedDriver):
    """Has the diagnostics of a tagged guest say what is read from it now."""

    @signatures.override
    def get_diagnostics(self, instance: typing.Any) -> dict[str, typing.Any]:
        """See Nova's driver. Of a guest of a tagged flavor the answer has
        one key more, :data:`nova_isolation.model.examination.KEY`. Who asks
        with a nonce gets a signed statement too, below
        :data:`nova_isolation.evidence.question.KEY`.

        Nova asks this on a thread of its message queue, and only for a guest
        that runs. The guest is not touched, whatever is found; where
        something is unmet, the watch verifies the guest soon, and draws the
        conclusions as it always does.
        """
        answer: dict[str, typing.Any] = super().get_diagnostics(instance)
        try:
            request = self.guard.requests.of_instance(instance)
            if request.wanted:
                result = self._examine(instance, request)
                answer[examination.KEY] = result.read_back.dump()
                answer |= self._state(instance, result)
        except Exception:
            # Nova's own answer is what most callers want. Who wants ours
            # takes the missing key for a guest that was not examined.
            LOG.warning(
                'Could not examine a guest for its diagnostics',
                exc_info=True,
                instance=instance,
            )
        return answer

    def _state(
        self, instance: typing.Any, result: outcome.Outcome
    ) -> dict[str, object]:
        """State what was read, if that is asked. Raises nothing.

        :returns: what is added to the diagnostics
        """
        # Nova hands over no context; an instance has that of the message
        # with which it came.
        asked = question.loads(
            getattr(instance._context, 'global_request_id', None)
        )
        if asked is None or self._evidence is None:
            return {}
        try:
            found = self._evidence.answer(result, asked).dump()
        except Exception as error:
            LOG.warning(
                'Could not make the statement about a guest that somebody '
                'asked for',
                exc_info=True,
                instance=instance,
            )
            found = question.failed(error)
        return {question.KEY: found}

    def _examine(
        self, instance: typing.Any, request: guest_request.GuestRequest
    ) -> outcome.Outcome:
        started = timeutils.utcnow()
        measured = self.guard.host.measure()
        found = self.guard.examine(
            self._host.get_guest(instance), request, measured
        )
        if found.unmet and self._watch is not None:
            self._watch.wake(request.uuid)
        return conclusions.outcome_of(
            outcome.Stage.REVERIFY,
            outcome.Result.VIOLATED
            if found.unmet
            else outcome.Result.ACCEPTED,
            request,
            measured,
            started,
            found,
        )
