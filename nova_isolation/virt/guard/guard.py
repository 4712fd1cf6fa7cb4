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

"""The guard: decides before a guest is made, verifies before it runs.

Every way to a running guest leads through the methods of :class:`Guard`. The
classes of :mod:`nova_isolation.virt.roads` and the compute driver call them.
The guard knows no hypervisor and reads no configuration file: it gets both
as parameters.

Here is the order of the steps. What a step does is in the modules beside this
one: :mod:`.measured_host` asks the mechanisms, :mod:`.confinement` changes the
XML, :mod:`.start_notes` keeps which guests are being started, and
:mod:`.conclusions` makes outcomes and refusals of what was found.
"""

from collections.abc import Callable
import dataclasses
import typing

from oslo_log import log as logging
from oslo_utils import timeutils

from nova_isolation.attestation import service
from nova_isolation.host import bounded_calls
from nova_isolation.host import measurement
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.mechanisms import sources
from nova_isolation.virt.guard import admissions
from nova_isolation.virt.guard import conclusions
from nova_isolation.virt.guard import confinement
from nova_isolation.virt.guard import deferred_power_off
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import hypervisor as hypervisors
from nova_isolation.virt.guard import measured_host
from nova_isolation.virt.guard import options as guard_options
from nova_isolation.virt.guard import outcome
from nova_isolation.virt.guard import sink
from nova_isolation.virt.guard import start_notes
from nova_isolation.virt.guard import subjects
from nova_isolation.virt.guard import verification
from nova_isolation.virt.guard import violations

LOG = logging.getLogger(__name__)


class Guard:
    """Guards the guests of one compute host.

    :ivar requests: finds what is asked for a guest
    :ivar options: the ``[isolation]`` group
    :ivar hypervisor: the virtualization stack of this host
    :ivar reporter: gives the outcomes to the sinks
    :ivar attestation: what verifiers state of this and of other hosts
    :ivar host: this host, as the mechanisms measure it
    :ivar conclusions: makes outcomes and refusals of what is found
    :ivar start_notes: notes which guests are being started
    :ivar deferred_power_off: guests that could not be powered off yet
    :ivar violations: the violations of the guests that run here
    """

    def __init__(
        self,
        options: guard_options.Options,
        hypervisor: hypervisors.Hypervisor,
        host: sources.Host,
        mechanisms: registry.Mechanisms,
        reporter: sink.Reporter,
        attestation: service.Attestation,
    ) -> None:
        """:param options: the ``[isolation]`` group
        :param hypervisor: the virtualization stack of this host
        :param host: the host as the mechanisms measure it
        :param mechanisms: the mechanisms of this process
        :param reporter: gives the outcomes to the sinks
        :param attestation: what verifiers state of this and of other hosts
        """
        self.options = options
        self.hypervisor = hypervisor
        self.reporter = reporter
        self.attestation = attestation
        self.requests = guest_request.GuestRequests(mechanisms.vocabulary)
        self.conclusions = conclusions.Conclusions(options, reporter)
        self.start_notes = start_notes.StartNotes(options, hypervisor)
        self.deferred_power_off = deferred_power_off.DeferredPowerOff(
            hypervisor.power_off_paused
        )
        self.violations = violations.Violations(mechanisms)
        calls = bounded_calls.BoundedCalls(options.measure_timeout)
        self.host = measured_host.MeasuredHost(
            options, host, mechanisms, calls, self.violations
        )
        self._mechanisms = mechanisms
        self._admissions = admissions.Admissions()
        self._subjects = subjects.Subjects(hypervisor, calls)

    @property
    def enforces(self) -> bool:
        """Whether guests are refused; in audit mode they are not."""
        return guard_options.enforces(self.options)

    def _measure_for(
        self, request: guest_request.GuestRequest, examine: bool = True
    ) -> measurement.Measurement:
        """Measure the host, now, for a decision about one guest.

        A statement about the guest names all facts of the host.

        :param examine: whether the host examines what it can see; it always
            does for a statement
        """
        if self.reporter.needs_subject:
            return self.host.measure()
        return self.host.measure(request, examine)

    def admit(
        self, request: guest_request.GuestRequest
    ) -> measurement.Measurement | None:
        """Decide, before a guest is made, on facts that are measured now.

        :param request: what is asked for the guest
        :returns: the facts, or None where audit mode lets a guest run that
            would be refused
        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            meet a requirement
        """
        started = timeutils.utcnow()
        fresh = self._measure_for(request)
        measured = self.host.offer(fresh, request.uuid)
        unmet = self.host.decide(request, measured)
        if not unmet:
            self._admissions.keep(request.uuid, fresh)
            return measured
        self.conclusions.conclude(
            self.conclusions.of(
                outcome.Stage.DECIDE,
                request,
                measured,
                started,
                verification.Verification(unmet),
            )
        )
        return None

    def confine(
        self, xml: domain_xml.DomainXml, request: guest_request.GuestRequest
    ) -> str:
        """Put into a domain's XML what confines the guest.

        Audit mode decides too, but never changes a guest.

        :param xml: the XML; its element is changed
        :param request: what is asked for the guest
        :returns: the XML to use
        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            meet a requirement, or the XML cannot be changed as needed
        """
        started = timeutils.utcnow()
        measured = self._admitted(request)
        if measured is None:
            measured = self.admit(request)
            # That was for this definition, and not for the next one.
            self._admissions.take(request.uuid)
        if measured is None or not self.enforces:
            return xml.text
        text, found = confinement.confine(
            xml, request, measured, self._mechanisms
        )
        if found.unmet:
            self.conclusions.conclude(
                self.conclusions.of(
                    outcome.Stage.DECIDE, request, measured, started, found
                )
            )
        return text

    def _admitted(
        self, request: guest_request.GuestRequest
    ) -> measurement.Measurement | None:
        """The facts on which a guest was admitted moments ago.

        :returns: None where there are none, or the guest is not to be admitted
            on them now
        """
        kept = self._admissions.take(request.uuid)
        if kept is None:
            return None
        measured = self.host.offer(kept, request.uuid)
        return None if self.host.decide(request, measured) else measured

    def launch(
        self,
        handle: typing.Any,
        request: guest_request.GuestRequest,
        pause: bool,
        start: Callable[[bool], typing.Any],
        resume: Callable[[], typing.Any],
    ) -> typing.Any:
        """Start a guest paused, verify it, resume it.

        :param handle: the guest
        :param request: what is asked for the guest
        :param pause: whether Nova wants the guest paused; it then stays so
        :param start: starts the guest, given whether paused
        :param resume: resumes the guest
        :returns: what ``start`` returned
        :raises nova_isolation.virt.exception.GuestRefused: the guest does
            not meet a requirement, or that cannot be verified; the guest is
            powered off
        """
        self.deferred_power_off.discard(request.uuid)
        noted = self.start_notes.begin(handle, request.uuid)
        try:
            result = start(True)
        except Exception as error:
            # Mostly there is nothing to power off. A domain that ran before
            # must not be powered off because of this start.
            if self.hypervisor.may_have_started(error):
                self.deferred_power_off.add(request.uuid)
            if self.hypervisor.is_hook(error):
                raise self.conclusions.refused_by_hook(
                    request, error
                ) from error
            raise
        try:
            run = self.hypervisor.started_run(handle)
            verified = self._verify(handle, request, outcome.POWER_OFF, run)
            if not pause:
                resume()
        except BaseException:
            self.power_off(handle, request)
            raise
        if not pause:
            self.start_notes.end(handle, request.uuid, noted)
        # Sinks may ask the conductor, which can be slow: the guest runs, and
        # Nova need not wait for that.
        self.reporter.begin(verified)
        return result

    def resume(
        self,
        handle: typing.Any,
        request: guest_request.GuestRequest,
        resume: Callable[[], object],
    ) -> None:
        """Verify a guest that is paused, and resume it.

        :param handle: the guest
        :param request: what is asked for the guest
        :param resume: resumes the guest
        :raises nova_isolation.virt.exception.GuestRefused: the guest does
            not meet a requirement, or that cannot be verified; the guest is
            left as it was
        """
        verified = self._verify(handle, request, outcome.NO_ACTION)
        resume()
        self.start_notes.end(handle, request.uuid)
        self.reporter.begin(verified)

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
        found = self.host.verify(guest, request, measured)
        if not self.reporter.needs_subject:
            return found
        return dataclasses.replace(found, subject=self._subjects.of(guest))

    def examine(
        self,
        handle: typing.Any,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement | None = None,
        shared: typing.Any = None,
    ) -> verification.Verification:
        """Verify a guest. Reports nothing.

        :param handle: the guest
        :param request: what is asked for the guest
        :param measured: the facts that count; None: the host is measured
            after the question, so that what is answered is true now
        :param shared: see :meth:`.hypervisor.Hypervisor.guest`
        :raises Exception: the hypervisor cannot be asked
        """
        guest = self.hypervisor.guest(handle, shared)
        return self.verify(guest, request, measured or self.host.measure())

    def power_off(
        self, handle: typing.Any, request: guest_request.GuestRequest
    ) -> None:
        """Power off a guest that must not run, whatever is the reason.

        If that fails it is tried again until it is done. Raises nothing.

        :param handle: the guest
        :param request: what is asked for the guest
        """
        try:
            self.hypervisor.power_off(handle)
        except Exception:
            LOG.exception(
                'A guest that was not verified could not be powered off. The '
                'guest is paused and was not resumed. The host tries to '
                'power it off until that succeeds.',
                instance_uuid=request.uuid,
            )
            self.deferred_power_off.add(request.uuid)
        else:
            self.start_notes.end(handle, request.uuid)

    def _verify(
        self,
        handle: typing.Any,
        request: guest_request.GuestRequest,
        action: str,
        run: int | None = None,
    ) -> outcome.Outcome:
        """Verify a guest that is paused.

        :param action: what the caller does if the guest is refused
        :param run: the run of the guest that the caller has started; None:
            the hypervisor is asked
        :returns: an outcome, to be reported when the guest runs
        """
        started = timeutils.utcnow()
        run = self._run(handle) if run is None else run
        guest: sources.Guest | None = None
        try:
            guest = self.hypervisor.guest(handle)
        except base.FAILURES as error:
            found = verification.failed(request, error)
        # Last: what the host has lost while the guest was started counts. What
        # is proven of this guest shows that the host can see it, so the host
        # examines itself only where something is not proven: for the cause.
        measured = self._measure_for(request, examine=guest is None)
        if guest is not None:
            found = self.verify(guest, request, measured)
            if found.unmet and not self.reporter.needs_subject:
                found, measured = self.host.explain(request, found, measured)
        # What follows is the resume. Whoever has ended the guest meanwhile
        # and started it anew has made another one, which nobody verified.
        if not found.unmet and (run is None or self._run(handle) != run):
            found = verification.failed(
                request,
                RuntimeError(
                    'the guest has ended or was started anew, or it cannot be '
                    'known whether it was'
                ),
            )
        result = self.conclusions.of(
            outcome.Stage.VERIFY, request, measured, started, found, action
        )
        if result.result is outcome.Result.REFUSED:
            self.conclusions.conclude(result)
        return result

    def _run(self, handle: typing.Any) -> int | None:
        """Which run of a guest there is; None: none, or it is unknown."""
        try:
            run = self.hypervisor.run(handle)
        except base.FAILURES:
            LOG.warning(
                'Cannot ask which run of a guest there is; the guest is '
                'refused unless this host is in audit mode',
                exc_info=True,
                instance_uuid=self.hypervisor.uuid(handle),
            )
            return None
        return None if run is None else run.id
