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

"""What every driver over Nova's libvirt driver gives to the guard.

A handle is Nova's ``Guest`` (:mod:`nova.virt.libvirt.guest`).
"""

from collections.abc import Iterable
import typing

from oslo_log import log as logging

from nova_isolation.host import bounded_calls
from nova_isolation.virt.guard import hypervisor

LOG = logging.getLogger(__name__)

#: What the messages of the hook begin with.
_HOOK = 'nova-isolation'

#: The element that notes a start, and its namespace.
_KEY = 'paused-start'
_NAMESPACE = 'urn:nova-isolation-paused-start'


class LibvirtHypervisor(hypervisor.Hypervisor):
    """All that does not depend on which hypervisor libvirt drives."""

    def __init__(self, host: typing.Any, seconds: float) -> None:
        """:param host: Nova's Host
        :param seconds: how long one question to libvirt may take. libvirt
            waits without a limit for a guest whose QEMU hangs.
        """
        self._host = host
        self._calls = bounded_calls.BoundedCalls(seconds)

    def begin_start(self, handle: typing.Any) -> None:
        """See the base class.

        libvirt's reason cannot tell: VIR_DOMAIN_PAUSED_USER is that of a
        domain that was started paused and of one that somebody suspended. So
        the note is in the metadata of the inactive domain, which only this
        project reads.
        """
        import libvirt

        _note(handle._domain, f'<{_KEY}/>', libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    def end_start(self, handle: typing.Any) -> None:
        """See the base class.

        The domain that runs has the note as well, from its start on; a live
        migration would take it along.
        """
        import libvirt

        flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE
        try:
            _note(handle._domain, None, flags | live)
        except libvirt.libvirtError:
            # It does not run, or its connection is no longer there.
            pass
        else:
            return
        try:
            domain = self._lookup(self.uuid(handle))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                # Nova has just deleted it.
                return
            raise
        if domain.isActive():
            flags |= live
        _note(domain, None, flags)

    def is_starting(self, handle: typing.Any) -> bool:
        """See the base class."""
        import libvirt

        domain = None
        try:
            domain = self._lookup(self.uuid(handle))
            domain.metadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                _NAMESPACE,
                libvirt.VIR_DOMAIN_AFFECT_CONFIG,
            )
        except libvirt.libvirtError as error:
            if error.get_error_code() in (
                libvirt.VIR_ERR_NO_DOMAIN_METADATA,
                libvirt.VIR_ERR_NO_DOMAIN,
            ):
                return False
            # A transient domain has no inactive one: libvirt starts only
            # domains that have.
            if domain is not None and not domain.isPersistent():
                return False
            raise
        return True

    def is_paused(self, handle: typing.Any) -> bool:
        """See the base class."""
        uuid = self.uuid(handle)
        return self._calls.call(
            ('paused', uuid), lambda: self._is_paused(self._lookup(uuid))
        )

    def power_off(self, handle: typing.Any) -> None:
        """See the base class."""

        def power_off() -> None:
            if handle.is_active():
                handle.poweroff()

        self._calls.call(('power off', self.uuid(handle)), power_off)

    def power_off_paused(self, uuid: str) -> bool:
        """See the base class."""
        return self._calls.call(
            ('power off', uuid), lambda: self._power_off_paused(uuid)
        )

    def _power_off_paused(self, uuid: str) -> bool:
        import libvirt

        try:
            domain = self._lookup(uuid)
            if not self._is_paused(domain):
                return False
            domain.destroy()
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise
        try:
            # Its start is over: whoever starts and pauses it now is not us.
            _note(domain, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        except libvirt.libvirtError:
            LOG.debug(
                'Could not note that the start of a guest is over; Nova '
                'defines the guest anew before its next start',
                exc_info=True,
                instance_uuid=uuid,
            )
        return True

    def _is_paused(self, domain: typing.Any) -> bool:
        """Whether a domain is paused. Raises where that cannot be asked.

        :param domain: libvirt's domain
        """
        import libvirt

        return bool(domain.info()[0] == libvirt.VIR_DOMAIN_PAUSED)

    def may_have_started(self, error: BaseException) -> bool:
        """See the base class.

        libvirt undoes a start that fails. If the connection to libvirt
        breaks, the start may have been completed.
        """
        import libvirt

        return isinstance(
            error, libvirt.libvirtError
        ) and error.get_error_domain() in (
            libvirt.VIR_FROM_REMOTE,
            libvirt.VIR_FROM_RPC,
        )

    def is_hook(self, error: BaseException) -> bool:
        """See the base class.

        Other hooks may be installed as well. libvirt passes on the words of
        the one that failed.
        """
        import libvirt

        return (
            isinstance(error, libvirt.libvirtError)
            and error.get_error_code() == libvirt.VIR_ERR_HOOK_SCRIPT_FAILED
            and _HOOK in str(error)
        )

    def running(self) -> Iterable[typing.Any]:
        """See the base class."""
        found: Iterable[typing.Any] = self._calls.call(
            'running guests',
            lambda: self._host.list_guests(only_running=True),
        )
        return found

    def uuid(self, handle: typing.Any) -> str:
        """See the base class."""
        return str(handle.uuid)

    def definition(self, handle: typing.Any) -> str:
        """See the base class."""
        return self._calls.call(
            ('definition', self.uuid(handle)),
            lambda: str(handle.get_xml_desc()),
        )

    def run(self, handle: typing.Any) -> hypervisor.Run | None:
        """See the base class.

        libvirt gives a domain another id each time that it starts. While it
        starts QEMU, the domain is paused.
        """
        uuid = self.uuid(handle)
        return self._calls.call(('run', uuid), lambda: self._run(uuid))

    def _run(self, uuid: str) -> hypervisor.Run | None:
        import libvirt

        try:
            domain = self._lookup(uuid)
            number = domain.ID()
            if number < 0:
                return None
            state = domain.info()[0]
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise
        if state == libvirt.VIR_DOMAIN_SHUTOFF:
            # A domain of Xen that has ended and is kept.
            return None
        return hypervisor.Run(number, state != libvirt.VIR_DOMAIN_PAUSED)

    def _lookup(self, uuid: str) -> typing.Any:
        """libvirt's domain as it is now, over the connection of now.

        A domain object keeps the id and the connection that it was made with.

        :raises libvirt.libvirtError: there is none
        """
        return self._host.get_connection().lookupByUUIDString(uuid)

    def pause(self, handle: typing.Any) -> None:
        """See the base class."""
        self._calls.call(('pause', self.uuid(handle)), handle.pause)


def _note(domain: typing.Any, text: str | None, flags: int) -> None:
    import libvirt

    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, _KEY, _NAMESPACE, flags
    )
