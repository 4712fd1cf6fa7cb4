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

"""Nova's Guest and Host, at the points that every road to a guest passes.

A domain is written through ``Host.write_instance_config``, started by
``Guest.launch``, let run again by ``Guest.resume`` and sent to another host
by ``Guest.migrate``, whichever road leads there (spawn, reboot, resume,
rescue, ...). The guard (:mod:`nova_isolation.virt.guard.guard`) stands at
each.
"""

from collections.abc import Callable
import threading
import typing

import nova.conf
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova import objects
from nova_isolation.model import requirements
from nova_isolation.virt.guard import guard
from nova_isolation.virt.guard import guest_request

CONF = nova.conf.CONF


class GuardedGuest(libvirt_guest.Guest):
    """A guest that never runs before it was verified."""

    _keeper: guard.Guard
    _request: Callable[[], guest_request.GuestRequest]

    @classmethod
    def take(
        cls,
        plain: typing.Any,
        keeper: guard.Guard,
        request: Callable[[], guest_request.GuestRequest],
    ) -> typing.Any:
        """Guard a Guest that Nova made; the object stays the same.

        What stands in for a Guest in Nova's own tests is left as it is: by
        its real type, because stand-ins claim to be instances.

        :param plain: Nova's Guest
        :param keeper: the guard of this host
        :param request: gives what is asked for the guest; called when the
            guest is started, not before
        """
        if cls.__base__ in type(plain).__mro__:
            plain.__class__ = cls
            plain._keeper = keeper
            plain._request = request
        return plain

    def launch(self, pause: bool = False) -> typing.Any:
        """See Nova's Guest.

        :raises nova_isolation.virt.exception.GuestRefused: the guest is not
            as its flavor asks; it does not run
        """
        request = self._request()
        if not request.wanted:
            return super().launch(pause)
        return self._keeper.launch(
            self, request, pause, super().launch, super().resume
        )

    def resume(self) -> None:
        """See Nova's Guest.

        :raises nova_isolation.virt.exception.GuestRefused: the guest is not
            as its flavor asks; it stays paused
        """
        request = self._request()
        if request.wanted:
            self._keeper.resume(self, request, super().resume)
        else:
            super().resume()

    def migrate(
        self,
        destination: typing.Any,
        migrate_uri: typing.Any = None,
        migrate_disks: typing.Any = None,
        destination_xml: typing.Any = None,
        flags: int = 0,
        bandwidth: int = 0,
        parallel: int = 0,
    ) -> None:
        """See Nova's Guest. A tagged guest arrives paused, so that the
        destination verifies it before it runs there.
        """
        if self._request().wanted and self._keeper.enforces:
            import libvirt

            flags |= libvirt.VIR_MIGRATE_PAUSED
            # What is copied later on demand must run to be copied. Nova
            # slows a guest down only where this is not permitted.
            if flags & libvirt.VIR_MIGRATE_POSTCOPY:
                flags &= ~libvirt.VIR_MIGRATE_POSTCOPY
                if CONF.libvirt.live_migration_permit_auto_converge:
                    flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
        super().migrate(
            destination,
            migrate_uri=migrate_uri,
            migrate_disks=migrate_disks,
            destination_xml=destination_xml,
            flags=flags,
            bandwidth=bandwidth,
            parallel=parallel,
        )


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
            # Nova asks libvirt whether it is there while it holds this lock.
            # If libvirtd dies then, the same thread is told so and takes the
            # lock again (nova.virt.libvirt.host, _connection_closed), and
            # with Nova's own lock nothing on this host would ever ask
            # libvirt again.
            plain._wrapped_conn_lock = threading.RLock()

    def write_instance_config(self, xml: typing.Any) -> typing.Any:
        """See Nova's Host.

        :raises nova_isolation.virt.exception.GuestRefused: the host does not
            offer what the guest's flavor asks for
        """
        text = xml.decode() if isinstance(xml, bytes) else xml
        if not isinstance(text, str):
            # No domain: libvirt takes nothing but text.
            return super().write_instance_config(xml)
        request = self._keeper.requests.of_xml(text)
        # A live snapshot and a volume swap put the definition of a running
        # guest back. Without it the guest would be gone when it stops, and
        # whatever starts it then is guarded.
        if request.wanted and not self._runs(request.uuid):
            xml = self._keeper.confine(text, request)
        guest = GuardedGuest.take(
            super().write_instance_config(xml), self._keeper, lambda: request
        )
        if request.wanted and type(guest) is not GuardedGuest:
            raise TypeError(f'{guest!r} is no Guest, so it is not guarded')
        return guest

    def get_guest(self, instance: typing.Any) -> typing.Any:
        """See Nova's Host. Nothing is asked of the domain here."""
        guest = GuardedGuest.take(
            super().get_guest(instance),
            self._keeper,
            lambda: self._keeper.requests.of_instance(instance),
        )
        if type(guest) is not GuardedGuest and _is_tagged(instance):
            raise TypeError(f'{guest!r} is no Guest, so it is not guarded')
        return guest

    def _runs(self, uuid: str) -> bool:
        """Whether a domain runs; one that is not there does not."""
        import libvirt

        try:
            domain = self.get_connection().lookupByUUIDString(uuid)
            return bool(domain.isActive())
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise


def _is_tagged(instance: typing.Any) -> bool:
    """Whether an instance that may be a stand-in of Nova's tests is tagged.

    Those need not have a flavor; Nova always loads it.
    """
    return (
        isinstance(instance, objects.Instance)
        and 'flavor' in instance
        and requirements.is_tagged(instance.flavor.extra_specs)
    )
