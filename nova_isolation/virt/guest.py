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

    _keeper: guard.Guard
    _order: Callable[[], orders.Order]

    @classmethod
    def take(
        cls,
        plain: typing.Any,
        keeper: guard.Guard,
        order: Callable[[], orders.Order],
    ) -> typing.Any:
        """Guard a Guest that Nova made; the object stays the same.

        What stands in for a Guest in Nova's own tests is left as it is: by
        its real type, because stand-ins claim to be instances.

        :param plain: Nova's Guest
        :param keeper: the guard of this host
        :param order: gives what is asked for the guest; called when the
            guest is started, not before
        """
        if cls.__base__ in type(plain).__mro__:
            plain.__class__ = cls
            plain._keeper = keeper
            plain._order = order
        return plain

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
    """A Host whose guests are guarded."""

    _keeper: guard.Guard

    @classmethod
    def take(cls, plain: typing.Any, keeper: guard.Guard) -> None:
        """Guard the Host that Nova's driver made.

        The object stays the same: others hold it already, and there is one
        connection and one event thread. See :meth:`GuardedGuest.take` for
        stand-ins.

        :param plain: Nova's Host
        :param keeper: the guard of this host
        """
        if cls.__base__ in type(plain).__mro__:
            plain.__class__ = cls
            plain._keeper = keeper

    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See Nova's Host.

        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer what the guest's flavor asks for
        """
        text = xml.decode() if isinstance(xml, bytes) else xml
        if not isinstance(text, str):
            # No domain: libvirt takes nothing but text.
            return super().write_instance_config(xml)
        order = self._keeper.orders.of_xml(text)
        if order.wanted:
            xml = self._keeper.confine(text, order)
        guest = GuardedGuest.take(
            super().write_instance_config(xml), self._keeper, lambda: order
        )
        if order.wanted and type(guest) is not GuardedGuest:
            raise TypeError(f'{guest!r} is no Guest, so it is not guarded')
        return guest

    def get_guest(self, instance: typing.Any) -> typing.Any:
        """See Nova's Host. Nothing is asked of the domain here."""
        return GuardedGuest.take(
            super().get_guest(instance),
            self._keeper,
            lambda: self._keeper.orders.of_instance(instance),
        )
