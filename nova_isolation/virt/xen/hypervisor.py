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

"""What is particular to Xen in what the driver gives to the guard."""

import typing

from nova_isolation.host import xen_guest
from nova_isolation.host import xen_host
from nova_isolation.mechanisms import sources
from nova_isolation.probes.xen import answers
from nova_isolation.virt.roads import libvirt_hypervisor


class XenHypervisor(libvirt_hypervisor.LibvirtHypervisor):
    """libvirt over libxl. A handle is Nova's ``Guest``.

    Each start of a guest is another domain with another number.
    """

    def __init__(
        self, host: typing.Any, xen: xen_host.XenHost, options: typing.Any
    ) -> None:
        """:param host: Nova's Host
        :param xen: the hypervisor
        :param options: the ``[isolation]`` group
        """
        super().__init__(host, options.measure_timeout)
        self._xen = xen
        self._proc: str = options.process_root

    def guest(
        self, handle: typing.Any, shared: typing.Any = None
    ) -> sources.Guest:
        """See the base class.

        The number of the domain is read anew: libvirt's object keeps that of
        the start before.
        """
        uuid = self.uuid(handle)
        domain = self._calls.call(('domain', uuid), lambda: self._lookup(uuid))
        return xen_guest.XenGuest(domain, self._xen, self._proc)

    def boot(self, guest: sources.Guest) -> str:
        """See the base class."""
        return typing.cast(xen_guest.XenGuest, guest).boot()

    def _is_paused(self, domain: typing.Any) -> bool:
        """See the base class.

        A libvirtd that was started anew can say of each guest that it runs,
        because it does not look (libxlReconnectDomain). The hypervisor knows.
        """
        if super()._is_paused(domain):
            return True
        uuid = domain.UUIDString()
        found = self._xen.ask(answers.Question()).domain(uuid)
        return found is not None and found.paused

    def is_kept(self, uuid: str) -> bool:
        """Whether libvirt keeps the domain of a guest that has ended.

        libvirt gives it the state of one that is off, and leaves it its
        number.

        :raises Exception: libvirt cannot be asked
        """
        return self._calls.call(('kept', uuid), lambda: self._is_kept(uuid))

    def _is_kept(self, uuid: str) -> bool:
        import libvirt

        try:
            domain = self._lookup(uuid)
            return bool(
                domain.isActive()
                and domain.info()[0] == libvirt.VIR_DOMAIN_SHUTOFF
            )
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise
