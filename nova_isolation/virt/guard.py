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

All roads to a running guest lead through :meth:`Guard.confine` and
:meth:`Guard.launch` (:mod:`nova_isolation.virt.guest`).
"""

from collections.abc import Callable
import typing

from lxml import etree
import nova.conf
from oslo_log import log as logging

from nova_isolation import decision
from nova_isolation import reasons
from nova_isolation.mechanisms import base
from nova_isolation.mechanisms import registry
from nova_isolation.probes import libvirt_xml
from nova_isolation.virt import exception
from nova_isolation.virt import measurement
from nova_isolation.virt import orders
from nova_isolation.virt import report
from nova_isolation.virt import running_guest

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

# Facts that were measured a moment ago, on this host, by its own clock.
_FRESH = decision.Freshness()

_Unmet = tuple[reasons.Unmet, ...]


class Guard:
    """Guards the starts of one compute host.

    :ivar orders: finds what is asked for a guest
    """

    def __init__(
        self,
        libvirt_host: typing.Any,
        host: base.Host,
        mechanisms: registry.Mechanisms,
        reporter: report.Reporter,
    ) -> None:
        """:param libvirt_host: Nova's Host
        :param host: the host as the mechanisms ask it
        :param mechanisms: the mechanisms of this process
        :param reporter: tells users and admins
        """
        self.orders = orders.Orders(mechanisms.vocabulary)
        self._libvirt = libvirt_host
        self._host = host
        self._mechanisms = mechanisms
        self._reporter = reporter

    @property
    def _audit(self) -> bool:
        return bool(CONF.isolation.mode == 'audit')

    def measure(self) -> measurement.Measurement:
        """Measure the host, now."""
        return measurement.measure(self._host, self._mechanisms)

    def admit(self, order: orders.Order) -> measurement.Measurement | None:
        """Decide, before a guest is made, on facts that are measured now.

        :returns: the facts, or None where audit mode lets a guest pass that
            would be refused
        :raises nova_isolation.virt.exception.GuestRefused: refused
        """
        measured = self.measure()
        unmet = self._decide(order, measured)
        if not unmet:
            return measured
        self._refuse(order, unmet, report.DECIDE)
        return None

    def confine(self, xml: str, order: orders.Order) -> str:
        """Put into a domain's XML what confines it as asked.

        Audit mode decides too, but never changes a guest.

        :param xml: the XML
        :returns: the XML to use
        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer it
        """
        measured = self.admit(order)
        if measured is None or self._audit:
            return xml
        domain = libvirt_xml.parse(xml)
        before = etree.tostring(domain)
        for name in _owners(order):
            try:
                self._mechanisms.loaded[name].confine(
                    domain, order.wanted, measured.sections[name]
                )
            except Exception as error:
                # Anybody's mechanism: what it left undone is not confined.
                unmet = _all_unmet(
                    order, name, reasons.MECHANISM_FAILED, error
                )
                self._refuse(order, unmet, report.DECIDE)
        # What no mechanism touches stays as Nova wrote it, to the byte.
        if etree.tostring(domain) == before:
            return xml
        return etree.tostring(domain, encoding='unicode')

    def launch(
        self,
        guest: typing.Any,
        order: orders.Order,
        pause: bool,
        start: Callable[[bool], typing.Any],
    ) -> typing.Any:
        """Start a guest paused, verify it, resume it.

        :param guest: Nova's Guest
        :param order: what is asked for it
        :param pause: Nova wants it paused; then it stays so
        :param start: starts it, given whether paused
        :raises nova_isolation.virt.exception.GuestRefused: it is not as
            asked, or that cannot be found out; it is powered off
        """
        # If this raises there is nothing to power off: libvirt undoes a
        # start that fails, and a domain that ran already is not ours to
        # stop here.
        result = start(True)
        try:
            unmet = self._verify(guest, order)
            if unmet:
                self._refuse(order, unmet, report.VERIFY)
            if not pause:
                guest.resume()
        except BaseException:
            self._power_off(guest, order)
            raise
        return result

    def _verify(self, guest: typing.Any, order: orders.Order) -> _Unmet:
        """What of the order does not hold for the paused guest."""
        # Once more on what is true now, after the start: the binary, the
        # policy or a mode may have changed since the decision.
        measured = self.measure()
        unmet = self._decide(order, measured)
        if unmet:
            return unmet
        found = [
            item
            for name in _owners(order)
            for item in self._examine(name, guest, order, measured)
        ]
        proofs = [item for item in found if isinstance(item, base.Proof)]
        unmet = tuple(i for i in found if isinstance(i, reasons.Unmet))
        # Silence of a mechanism is no proof.
        told = {proof.key for proof in proofs} | {u.key for u in unmet}
        unmet += tuple(
            requirement.unmet(reasons.VERIFY_FAILED, 'nothing proves it')
            for requirement in order.wanted.items
            if requirement.key not in told
        )
        if not unmet:
            self._reporter.verified(order.context, order.uuid, proofs)
        return unmet

    def _examine(
        self,
        name: str,
        guest: typing.Any,
        order: orders.Order,
        measured: measurement.Measurement,
    ) -> list[base.Proof | reasons.Unmet]:
        """What one mechanism finds."""
        try:
            examined = running_guest.RunningGuest(
                guest._domain,
                self._libvirt,
                CONF.isolation.qemu_run_dir,
            )
            found = list(
                self._mechanisms.loaded[name].verify(
                    examined, order.wanted, measured.sections[name], self._host
                )
            )
        except Exception as error:
            # libvirt, the kernel or somebody's mechanism: whatever cannot
            # be examined is not proven.
            return list(_all_unmet(order, name, reasons.VERIFY_FAILED, error))
        # A mechanism proves its own requirements, not those of others.
        own = {requirement.key for requirement in order.wanted.of(name)}
        return [
            item
            for item in found
            if not isinstance(item, base.Proof) or item.key in own
        ]

    def _decide(
        self, order: orders.Order, measured: measurement.Measurement
    ) -> _Unmet:
        return decision.decide(
            order.wanted,
            measured.document,
            age=0.0,
            freshness=_FRESH,
            mechanisms=self._mechanisms,
        ).unmet

    def _refuse(self, order: orders.Order, unmet: _Unmet, event: str) -> None:
        """Tell it and raise; in audit mode tell it only."""
        refusal = exception.GuestRefused(unmet)
        if self._audit:
            LOG.warning(
                'Audit mode lets pass: %s',
                refusal.details,
                instance_uuid=order.uuid,
            )
            self._reporter.audited(order.context, order.uuid, event, refusal)
            return
        LOG.warning('%s', refusal.details, instance_uuid=order.uuid)
        self._reporter.refused(order.context, order.uuid, event, refusal)
        raise refusal

    def _power_off(self, guest: typing.Any, order: orders.Order) -> None:
        """Whatever went wrong: a guest that is not proven does not run."""
        try:
            if guest.is_active():
                guest.poweroff()
        except Exception:
            LOG.exception(
                'A guest that was not verified could not be powered off. It '
                'is paused and was not resumed; destroy it by hand.',
                instance_uuid=order.uuid,
            )


def _owners(order: orders.Order) -> list[str]:
    """The mechanisms that are asked for."""
    return sorted({item.mechanism for item in order.wanted.items})


def _all_unmet(
    order: orders.Order,
    mechanism: str,
    reason: reasons.Reason,
    error: Exception,
) -> _Unmet:
    """All that is asked of a mechanism, unmet because it failed."""
    LOG.error(
        'The isolation mechanism %s failed',
        mechanism,
        exc_info=error,
        instance_uuid=order.uuid,
    )
    return tuple(
        requirement.unmet(reason, f'{type(error).__name__}: {error}')
        for requirement in order.wanted.of(mechanism)
    )
