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

"""Nova's Guest and Host, at the points that every start of a guest passes.

A domain is defined by ``Host.write_instance_config``, started by
``Guest.launch``, resumed by ``Guest.resume`` and sent to another host by
``Guest.migrate``, whatever Nova does (spawn, reboot, resume, rescue, ...).
These methods ask the guard (:mod:`nova_isolation.virt.guard.guard`).
"""

from collections.abc import Callable
import threading
import typing

from nova import objects
import nova.conf
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.model import requirements
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import domain_xml
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request
from nova_isolation.virt.releases import guest_migrate

CONF = nova.conf.CONF


class GuardedGuest(guest_migrate.SentGuest):
    """A guest that never runs before it was verified."""

    _guard: guard.Guard
    _request: Callable[[], guest_request.GuestRequest]
    _arrives_paused: Callable[[], bool]

    @classmethod
    def take(
        cls,
        plain: typing.Any,
        host_guard: guard.Guard,
        request: Callable[[], guest_request.GuestRequest],
    ) -> typing.Any:
        """Make a Guest of Nova a guarded one, in place.

        A stand-in for a Guest in Nova's own tests is left as it is. The real
        type decides, because stand-ins claim to be instances of Guest.

        :param plain: Nova's Guest
        :param host_guard: the guard of this host
        :param request: returns what is asked for the guest; called when the
            guest is started, not before
        :returns: ``plain``
        """
        if libvirt_guest.Guest in type(plain).__mro__:
            plain.__class__ = cls
            plain._guard = host_guard
            plain._request = request
            plain._arrives_paused = lambda: True
        return plain

    @classmethod
    def decide_arrival(
        cls, guest: typing.Any, paused: Callable[[], bool]
    ) -> None:
        """Say how a guest is to arrive where it is sent.

        :param guest: the guest; a stand-in is left as it is
        :param paused: returns whether the guest must arrive paused if it is
            tagged; called when it is sent
        """
        if type(guest) is cls:
            guest._arrives_paused = paused

    @signatures.override
    def launch(self, pause: bool = False) -> typing.Any:
        """See Nova's Guest.

        :raises nova_isolation.virt.exception.GuestRefused: the guest does
            not meet its requirements; it is powered off
        """
        request = self._request()
        if not request.wanted:
            return super().launch(pause)
        return self._guard.launch(
            self, request, pause, super().launch, super().resume
        )

    @signatures.override
    def resume(self) -> None:
        """See Nova's Guest.

        :raises nova_isolation.virt.exception.GuestRefused: the guest does
            not meet its requirements; it stays paused
        """
        request = self._request()
        if request.wanted:
            self._guard.resume(self, request, super().resume)
        else:
            super().resume()

    @classmethod
    def resume_verified(cls, guest: 'GuardedGuest') -> None:
        """Resume a guest that the caller has just verified.

        :param guest: the guest
        """
        super(cls, guest).resume()

    def _flags_to_send(self, flags: int) -> int:
        """See the base class. A tagged guest arrives paused, so that the
        destination verifies it before it runs there.
        """
        if self._request().wanted and self._arrives_paused():
            import libvirt

            flags |= libvirt.VIR_MIGRATE_PAUSED
            # Post-copy copies memory on demand, so the guest would have to
            # run before it is verified. Where post-copy is permitted, Nova
            # does not set auto-converge.
            if flags & libvirt.VIR_MIGRATE_POSTCOPY:
                flags &= ~libvirt.VIR_MIGRATE_POSTCOPY
                if CONF.libvirt.live_migration_permit_auto_converge:
                    flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
        return flags


class GuardedHost(libvirt_host.Host):
    """A Host whose guests are guarded."""

    _guard: guard.Guard
    #: What the guests become that it hands out.
    _guarded_guest: type[GuardedGuest] = GuardedGuest

    @classmethod
    def take(cls, plain: typing.Any, host_guard: guard.Guard) -> None:
        """Make the Host of Nova's driver a guarded one, in place.

        Other objects refer to this Host already, and there is one connection
        and one event thread. See :meth:`GuardedGuest.take` for stand-ins.

        :param plain: Nova's Host
        :param host_guard: the guard of this host
        """
        if libvirt_host.Host in type(plain).__mro__:
            plain.__class__ = cls
            plain._guard = host_guard
            # Works around Nova 34.0.0: nova.virt.libvirt.host,
            # Host._get_connection, tests the connection while it holds this
            # lock, which is a plain Lock there. If libvirtd dies during the
            # test, libvirt calls Host._connection_closed in the same thread,
            # which takes the lock again and never gets it: nothing on this
            # host could ask libvirt any more.
            plain._wrapped_conn_lock = threading.RLock()

    @signatures.override
    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See Nova's Host.

        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer what the guest's flavor asks for
        """
        text = xml.decode() if isinstance(xml, bytes) else xml
        if not isinstance(text, str):
            # Not a domain: libvirt accepts text only.
            return super().write_instance_config(xml)
        domain = domain_xml.DomainXml(text)
        request = self._guard.requests.of_xml(domain)
        # A live snapshot and a volume swap define a running guest again.
        # Without its definition the guest would be lost when it stops; and
        # its next start is guarded.
        if request.wanted and not self._runs(request.uuid):
            xml = self._guard.confine(domain, request)
        guest = self._guarded_guest.take(
            super().write_instance_config(xml), self._guard, lambda: request
        )
        if request.wanted and type(guest) is not self._guarded_guest:
            raise TypeError(
                f'{guest!r} is not a Guest of Nova and cannot be guarded'
            )
        return guest

    @signatures.override
    def get_guest(self, instance: typing.Any) -> typing.Any:
        """See Nova's Host. This does not ask libvirt about the domain."""
        guest = self._guarded_guest.take(
            super().get_guest(instance),
            self._guard,
            lambda: self._guard.requests.of_instance(instance),
        )
        if type(guest) is not self._guarded_guest and _is_tagged(instance):
            raise TypeError(
                f'{guest!r} is not a Guest of Nova and cannot be guarded'
            )
        return guest

    def _runs(self, uuid: str) -> bool:
        """Whether a domain exists and runs."""
        import libvirt

        try:
            domain = self.get_connection().lookupByUUIDString(uuid)
            return bool(domain.isActive())
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise


def _is_tagged(instance: typing.Any) -> bool:
    """Whether an instance is tagged.

    A stand-in of Nova's tests may have no flavor; Nova always loads it.
    """
    return (
        isinstance(instance, objects.Instance)
        and 'flavor' in instance
        and requirements.is_tagged(instance.flavor.extra_specs)
    )
