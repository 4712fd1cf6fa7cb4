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

"""What the guard concludes from what was found, in the mode of this host."""

import datetime
import typing

from oslo_utils import timeutils

from nova_isolation.host import measurement
from nova_isolation.model import reasons
from nova_isolation.virt import exception
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import options as guard_options
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.guard import verification


def outcome_of(
    stage: outcome.Stage,
    result: outcome.Result,
    request: guest_request.GuestRequest,
    measured: measurement.Measurement,
    started: datetime.datetime,
    found: verification.Verification,
    *,
    action: str = outcome.NO_ACTION,
    instance: typing.Any = None,
) -> outcome.Outcome:
    """The outcome of a decision or a verification that has just ended.

    :param stage: when it was found
    :param result: what came of it
    :param request: what is asked for the guest
    :param measured: the facts that counted
    :param started: when the decision or verification began, UTC, naive
    :param found: what was found
    :param action: what is done about the guest
    :param instance: Nova's instance, where the caller has it
    """
    return outcome.Outcome(
        request=request,
        stage=stage,
        result=result,
        unmet=found.unmet,
        proofs=found.proofs,
        failures=found.failures,
        facts=measured.document,
        evidence=measured.evidence,
        subject=found.subject,
        started=started,
        finished=timeutils.utcnow(),
        action=action,
        instance=instance,
    )


class Conclusions:
    """Makes outcomes, reports them, and makes refusals of them."""

    def __init__(
        self, options: guard_options.Options, reporter: sink.Reporter
    ) -> None:
        """:param options: the ``[isolation]`` group
        :param reporter: gives the outcomes to the sinks
        """
        self._options = options
        self._reporter = reporter

    def of(
        self,
        stage: outcome.Stage,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement,
        started: datetime.datetime,
        found: verification.Verification,
        action: str = outcome.NO_ACTION,
    ) -> outcome.Outcome:
        """The outcome of what was found before a guest runs. Reports nothing.

        :param stage: when it was found
        :param request: what is asked for the guest
        :param measured: the facts that counted
        :param started: when the decision or verification began, UTC, naive
        :param found: what was found
        :param action: what the caller does if the guest is refused
        """
        if not found.unmet:
            result = outcome.Result.ACCEPTED
        elif guard_options.enforces(self._options):
            result = outcome.Result.REFUSED
        else:
            result = outcome.Result.RECORDED
        refused = result is outcome.Result.REFUSED
        return outcome_of(
            stage,
            result,
            request,
            measured,
            started,
            found,
            action=action if refused else outcome.NO_ACTION,
        )

    def conclude(self, result: outcome.Outcome) -> None:
        """Report an outcome, and raise it if it is a refusal.

        :raises nova_isolation.virt.exception.GuestRefused: it is one
        """
        self._reporter.report(result)
        if result.result is outcome.Result.REFUSED:
            raise exception.GuestRefused(result.unmet)

    def refused_by_hook(
        self, request: guest_request.GuestRequest, error: Exception
    ) -> exception.GuestRefused:
        """Report that a hook did not let a guest start.

        Nova would show the words of the hook to the owner of the server.

        :param request: what is asked for the guest
        :param error: what the start raised
        :returns: the refusal, in any mode: the guest does not run
        """
        wanted = request.wanted
        # A flavor can consist of problems alone, which audit mode lets pass.
        keys = {one.key: one.value for one in wanted.items} or {
            one.key: one.wanted for one in wanted.problems
        }
        unmet = tuple(
            reasons.Unmet(reasons.VERIFY_HOOK.code, key, value, str(error))
            for key, value in keys.items()
        )
        self._reporter.report(
            outcome.Outcome(
                request=request,
                stage=outcome.Stage.VERIFY,
                result=outcome.Result.REFUSED,
                unmet=unmet,
            )
        )
        return exception.GuestRefused(unmet)

    def report_missing_fault(
        self,
        request: guest_request.GuestRequest,
        refusal: exception.GuestRefused,
    ) -> None:
        """Report that Nova writes no fault for a refusal of this guard.

        The sinks have got the refusal itself already. Raises nothing.

        :param request: what is asked for the guest
        :param refusal: the refusal
        """
        self._reporter.report(
            outcome.Outcome(
                request=request,
                stage=outcome.Stage.VERIFY,
                result=outcome.Result.FAULT_MISSING,
                unmet=refusal.unmet,
                nova_writes_fault=False,
            )
        )
