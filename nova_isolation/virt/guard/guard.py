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

All roads to a running guest lead through the methods of :class:`Guard`
(:mod:`nova_isolation.virt.roads.choke_points` and
:mod:`nova_isolation.virt.driver` call them).
"""

from collections.abc import Callable
import typing

from lxml import etree
import nova.conf
from oslo_log import log as logging

from nova_isolation.attestation import service
from nova_isolation.decision import domain_definition
from nova_isolation.host import measurement
from nova_isolation.host import running_guest
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.model import reasons
from nova_isolation.probes import libvirt_xml
from nova_isolation.virt import exception
from nova_isolation.virt.guard import deferred_power_off
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.guard import report
from nova_isolation.virt.guard import verification
from nova_isolation.virt.guard import violations

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Guard:
    """Guards the guests of one compute host.

    :ivar requests: finds what is asked for a guest
    :ivar reporter: tells users and admins
    :ivar attestation: what verifiers say of this and of other hosts
    :ivar deferred_power_off: guests that could not be powered off yet
    :ivar violations: what guests that run here violate
    :ivar published: what the host has offered to the scheduler last
    """

    def __init__(
        self,
        libvirt_host: typing.Any,
        host: base.Host,
        mechanisms: registry.Mechanisms,
        reporter: report.Reporter,
        attestation: service.Attestation,
    ) -> None:
        """:param libvirt_host: Nova's Host
        :param host: the host as the mechanisms ask it
        :param attestation: what verifiers say of this and of other hosts
        :param mechanisms: the mechanisms of this process
        :param reporter: tells users and admins
        """
        self.requests = guest_request.GuestRequests(mechanisms.vocabulary)
        self.reporter = reporter
        self.attestation = attestation
        self.deferred_power_off = deferred_power_off.DeferredPowerOff(
            libvirt_host
        )
        self._libvirt = libvirt_host
        self._host = host
        self._mechanisms = mechanisms
        self.violations = violations.Violations(mechanisms)
        self.published: measurement.Measurement | None = None

    @property
    def enforces(self) -> bool:
        """Whether a refusal has an effect, or (audit mode) is only told."""
        return bool(CONF.isolation.mode == 'enforce')

    def measure(self) -> measurement.Measurement:
        """Measure the host, now."""
        return measurement.measure(self._host, self._mechanisms)

    def offer(
        self, measured: measurement.Measurement, uuid: str | None = None
    ) -> measurement.Measurement:
        """What is left of a measurement for guests that are to come.

        :param uuid: an instance; None: what the scheduler may know
        """
        if not CONF.isolation.violation_closes_host:
            return measured
        return measured.closed(self.violations.closed(uuid))

    def publish(self) -> measurement.Measurement:
        """Measure the host, for the scheduler."""
        self.published = self.offer(self.measure())
        return self.published

    def decide(
        self,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement,
    ) -> verification.Unmet:
        """What of an order is not offered, by facts just measured."""
        return verification.decide(request, measured, self._mechanisms)

    def admit(
        self, request: guest_request.GuestRequest
    ) -> measurement.Measurement | None:
        """Decide, before a guest is made, on facts that are measured now.

        :returns: the facts, or None where audit mode lets a guest pass that
            would be refused
        :raises nova_isolation.virt.exception.GuestRefused: refused
        """
        measured = self.offer(self.measure(), request.uuid)
        unmet = self.decide(request, measured)
        if not unmet:
            return measured
        self._refuse(request, unmet, report.DECIDE)
        return None

    def confine(self, xml: str, request: guest_request.GuestRequest) -> str:
        """Put into a domain's XML what confines it as asked.

        Audit mode decides too, but never changes a guest.

        :param xml: the XML
        :returns: the XML to use
        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer it
        """
        measured = self.admit(request)
        if measured is None or not self.enforces:
            return xml
        domain = libvirt_xml.parse(xml)
        before = etree.tostring(domain)
        for name in verification.owners(request):
            try:
                self._mechanisms.loaded[name].confine(
                    domain, request.wanted, measured.sections[name]
                )
            except base.FAILURES as error:
                # Anybody's mechanism: what it left undone is not confined.
                unmet = verification.all_unmet(
                    request, name, reasons.MECHANISM_FAILED, error
                )
                self._refuse(request, unmet, report.DECIDE)
        # The libvirt hook asks the same, where it is installed.
        unmet = domain_definition.decide(
            request.wanted, domain, self._mechanisms
        ).unmet
        if unmet:
            self._refuse(request, unmet, report.DECIDE)
        # What no mechanism touches stays as Nova wrote it, to the byte.
        if etree.tostring(domain) == before:
            return xml
        return etree.tostring(domain, encoding='unicode')

    def launch(
        self,
        guest: typing.Any,
        request: guest_request.GuestRequest,
        pause: bool,
        start: Callable[[bool], typing.Any],
        resume: Callable[[], typing.Any],
    ) -> typing.Any:
        """Start a guest paused, verify it, resume it.

        :param guest: Nova's Guest
        :param request: what is asked for it
        :param pause: Nova wants it paused; then it stays so
        :param start: starts it, given whether paused
        :param resume: lets it run
        :raises nova_isolation.virt.exception.GuestRefused: it is not as
            asked, or that cannot be found out; it is powered off
        """
        self.deferred_power_off.discard(request.uuid)
        try:
            result = start(True)
        except Exception as error:
            # Mostly there is nothing to power off, and a domain that ran
            # already is not ours to stop here.
            if deferred_power_off.may_be_started(error):
                self.deferred_power_off.add(request.uuid)
            raise
        try:
            tell = self._verify(guest, request)
            if not pause:
                resume()
        except BaseException:
            self.power_off(guest, request)
            raise
        tell()
        return result

    def resume(
        self,
        guest: typing.Any,
        request: guest_request.GuestRequest,
        resume: Callable[[], object],
    ) -> None:
        """Verify a guest that is paused, and let it run (again).

        :param guest: Nova's Guest
        :param request: what is asked for it
        :param resume: lets it run
        :raises nova_isolation.virt.exception.GuestRefused: it is not as
            asked, or that cannot be found out; it is as it was
        """
        tell = self._verify(guest, request)
        resume()
        tell()

    def _verify(
        self, guest: typing.Any, request: guest_request.GuestRequest
    ) -> Callable[[], None]:
        """Verify a guest that is paused.

        :returns: tells users; called when the guest runs, because it asks
            the conductor, which may take long
        """
        examined = self.examine(self.running(guest), request, self.measure())
        for mechanism, error in examined.failures:
            verification.log_failure(request.uuid, mechanism, error)
        if not examined.unmet:
            return lambda: self.reporter.verified(request, examined.proofs)
        if self.enforces:
            self._refuse(request, examined.unmet, report.VERIFY)
        return lambda: self._refuse(request, examined.unmet, report.VERIFY)

    def running(self, guest: typing.Any) -> running_guest.RunningGuest:
        """A started guest, as the mechanisms verify it.

        :param guest: Nova's Guest
        """
        return running_guest.RunningGuest(
            guest._domain, self._libvirt, CONF.isolation.qemu_run_dir
        )

    def examine(
        self,
        guest: base.Guest,
        request: guest_request.GuestRequest,
        measured: measurement.Measurement,
    ) -> verification.Verification:
        """Examine a started guest; see :func:`.examination.examine`."""
        return verification.verify(
            guest, request, measured, self._host, self._mechanisms
        )

    def power_off(
        self, guest: typing.Any, request: guest_request.GuestRequest
    ) -> None:
        """Whatever went wrong: a guest that is not proven does not run.

        Where libvirt is away, as soon as it is back. Raises nothing.

        :param guest: Nova's Guest
        :param request: what is asked for it
        """
        try:
            if guest.is_active():
                guest.poweroff()
        except Exception:
            LOG.exception(
                'A guest that was not verified could not be powered off. It '
                'is paused and was not resumed. That is tried again until '
                'libvirt does it.',
                instance_uuid=request.uuid,
            )
            self.deferred_power_off.add(request.uuid)

    def _refuse(
        self,
        request: guest_request.GuestRequest,
        unmet: verification.Unmet,
        event: str,
    ) -> None:
        """Tell it and raise; in audit mode tell it only."""
        refusal = exception.GuestRefused(unmet)
        if self.enforces:
            LOG.warning('%s', refusal.details, instance_uuid=request.uuid)
            self.reporter.refused(request, event, refusal)
            raise refusal
        LOG.warning(
            'Audit mode lets pass: %s',
            refusal.details,
            instance_uuid=request.uuid,
        )
        self.reporter.recorded(request, event, refusal)
