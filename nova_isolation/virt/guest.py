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

"""Nova's Guest and Host, at the two points that every start passes.

A domain is written through ``Host.write_instance_config`` and started by
``Guest.launch``, whichever road leads there (spawn, reboot, resume, rescue,
...). The guard (:mod:`nova_isolation.virt.guard`) stands at both.
"""

from collections.abc import Callable
import typing

from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt import guard
from nova_isolation.virt import orders


class GuardedGuest(libvirt_guest.Guest):
    """A guest that is started paused, verified, and only then resumed."""

    def __init__(
        self,
        domain: typing.Any,
        keeper: guard.Guard,
        order: Callable[[], orders.Order],
    ) -> None:
        """:param domain: libvirt's domain
        :param keeper: the guard of this host
        :param order: gives what is asked for the guest; called when the
            guest is started, not before
        """
        super().__init__(domain)
        self._keeper = keeper
        self._order = order

    def launch(self, pause: bool = False) -> typing.Any:
        """See Nova's Guest.

        :raises nova_isolation.virt.exception.GuestRefused: the guest is not
            as its flavor asks; it does not run
        """
        order = self._order()
        if not order.wanted:
            return super().launch(pause)
        return self._keeper.launch(self, order, pause, super().launch)


class GuardedHost(libvirt_host.Host):
    """A Host whose guests are guarded.

    :ivar keeper: the guard; set right after construction
    """

    keeper: guard.Guard

    def write_instance_config(self, xml: str) -> GuardedGuest:
        """See Nova's Host.

        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer what the guest's flavor asks for
        """
        order = self.keeper.orders.of_xml(xml)
        if order.wanted:
            xml = self.keeper.confine(xml, order)
        plain = super().write_instance_config(xml)
        return GuardedGuest(plain._domain, self.keeper, lambda: order)

    def get_guest(self, instance: typing.Any) -> GuardedGuest:
        """See Nova's Host. Nothing is asked of the domain here."""
        plain = super().get_guest(instance)
        return GuardedGuest(
            plain._domain,
            self.keeper,
            lambda: self.keeper.orders.of_instance(instance),
        )
