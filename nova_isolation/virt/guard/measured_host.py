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

"""This host, as the mechanisms measure it."""

from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.host import newest_measurement
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import options as guard_options
from nova_isolation.virt.guard import verification
from nova_isolation.virt.guard import violations


class MeasuredHost:
    """Asks the mechanisms about this host, and about its guests.

    Each answer is limited in time.

    :ivar published: what the host has offered to the scheduler last
    """

    def __init__(
        self,
        options: guard_options.Options,
        host: sources.Host,
        mechanisms: registry.Mechanisms,
        calls: bounded_calls.BoundedCalls,
        known: violations.Violations,
    ) -> None:
        """:param options: the ``[isolation]`` group
        :param host: the host as the mechanisms measure it
        :param mechanisms: the mechanisms of this process
        :param calls: limits the time of each mechanism
        :param known: the violations of the guests that run here
        """
        self.published: measurement.Measurement | None = None
        self._options = options
        self._host = host
        self._mechanisms = mechanisms
        self._calls = calls
        self._violations = known
        self._newest = newest_measurement.NewestMeasurement(self.measure)

    def measure(
        self,
        request: guest_request.GuestRequest | None = None,
        examine: bool = True,
    ) -> measurement.Measurement:
        """Measure the host, now.

        The time is limited. Only for tagged guests, and never under a lock of
        Nova that other guests need.

        :param request: measure what this request asks for, and nothing else;
            None: everything
        :param examine: see :func:`nova_isolation.host.measurement.measure`
        """
        return measurement.measure(
            self._host,
            self._mechanisms,
            self._calls,
            None if request is None else verification.owners(request),
            examine,
        )

    def renew(self, seconds: float) -> measurement.Measurement:
        """Measure the host on another thread.

        :param seconds: how long to wait for the measurement
        :returns: the newest measurement that has finished
        """
        return self._newest.renew(seconds)

    def offer(
        self, measured: measurement.Measurement, uuid: str | None = None
    ) -> measurement.Measurement:
        """What is left of a measurement for guests that are to come.

        :param measured: the measurement
        :param uuid: the instance that is to come; None: what is published to
            the scheduler
        """
        if not self._options.violation_closes_host:
            return measured
        return measured.closed(self._violations.closed(uuid))

    def publish(self) -> measurement.Measurement:
        """What the host offers to the scheduler. Does not wait."""
        self.published = self.offer(self._newest.get())
        return self.published

    def decide(
        self,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement,
    ) -> verification.Unmet:
        """The requirements that the host does not meet.

        :param request: what is asked for the guest
        :param measured: the facts, measured now
        """
        return verification.decide(request, measured, self._mechanisms)

    def verify(
        self,
        guest: sources.Guest,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement,
    ) -> verification.Verification:
        """Verify a started guest. Raises nothing, reports nothing.

        :param guest: the guest, as the hypervisor shows it
        :param request: what is asked for the guest
        :param measured: the host, measured after the guest was started
        """
        return verification.verify(
            guest,
            request,
            measured,
            measured.host or self._host,
            self._mechanisms,
            self._calls,
        )

    def explain(
        self,
        request: guest_request.GuestRequest,
        found: verification.Verification,
        measured: measurement.Measurement,
    ) -> tuple[verification.Verification, measurement.Measurement]:
        """Look for the cause of what is unmet in what the host can see.

        :param request: what is asked for the guest
        :param found: what a verification has found
        :param measured: the facts of that verification
        :returns: what is unmet because the host is blind, with the
            measurement that says so; else what was given
        """
        examined = self.measure(request)
        unmet = self.decide(request, examined)
        if unmet:
            return verification.Verification(unmet), examined
        return found, measured
