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

"""Nova's Guest, where libxl wants devices in another form."""

import typing

from nova.virt.libvirt import config
from nova.virt.libvirt import guest as libvirt_guest

from nova_isolation.virt import signatures
from nova_isolation.virt.xen import disk


class XenGuest(libvirt_guest.Guest):
    """A Guest of Xen."""

    @signatures.override
    def attach_device(
        self,
        conf: typing.Any,
        persistent: bool = False,
        live: bool = False,
    ) -> None:
        """See Nova's Guest. A disk says what serves it."""
        if isinstance(conf, config.LibvirtConfigGuestDisk):
            disk.serve(conf)
        super().attach_device(conf, persistent, live)

    @signatures.override
    def delete_configuration(
        self, keep_vtpm: bool = False, keep_nvram: bool = False
    ) -> None:
        """See Nova's Guest, which also asks libvirt about firmware and TPM:
        ``unsupported flags (0x48) in function libxlDomainUndefineFlags``. It
        tries again without flags, and of a suspended guest libvirt then says
        ``Refusing to undefine while domain managed save image exists``.
        """
        import libvirt

        self._domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
