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

"""The sink that sees to it that a refusal is the fault of the server."""

from nova import context as nova_context
from nova.compute import utils as compute_utils

from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.sinks import late_fault


class FaultSink(sink.Sink):
    """Writes the fault where Nova writes none; else it waits until Nova has
    given up (:mod:`nova_isolation.virt.sinks.late_fault`).
    """

    name = 'fault'
    needs = sink.Needs.DATABASE

    def __init__(self, late_faults: late_fault.LateFaults) -> None:
        """:param late_faults: adds the fault when Nova has given up"""
        self._late_faults = late_faults

    def takes(self, result: outcome.Outcome) -> bool:
        """See the base class."""
        return result.result in (
            outcome.Result.REFUSED,
            outcome.Result.FAULT_MISSING,
        )

    def report(self, result: outcome.Outcome) -> None:
        """See the base class."""
        error = result.error
        if error is None:
            return
        if result.nova_writes_fault:
            self._late_faults.add(
                result.uuid, error, result.stage is outcome.Stage.VERIFY
            )
        else:
            # Of the instance it takes the UUID only.
            compute_utils.add_instance_fault_from_exc(
                nova_context.get_admin_context(), result.request, error
            )
