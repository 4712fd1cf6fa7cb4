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

"""What Nova makes of a flavor and an image, where a Xen guest is different."""

import typing

import nova.conf
from nova.objects import fields
from nova.virt.libvirt import config
from nova.virt.libvirt import driver as libvirt_driver

from nova_isolation.virt import signatures
from nova_isolation.virt.xen import guest_kind
from nova_isolation.virt.xen import unsupported

CONF = nova.conf.CONF


class XenGuestConfig(libvirt_driver.LibvirtDriver):
    """Builds the definition of a guest."""

    @signatures.override
    def _get_guest_os_type(self) -> str:
        # As for an image without hw_vm_mode; _conf_non_lxc, which knows the
        # image, decides. Nova says hvm here: ``libxenlight failed to create
        # new domain`` with a PV kernel.
        return guest_kind.PV.os_type

    @signatures.override
    def _conf_non_lxc(
        self,
        guest: typing.Any,
        root_device_name: str,
        rescue: typing.Any,
        instance: typing.Any,
        inst_path: str,
        image_meta: typing.Any,
        disk_info: typing.Any,
    ) -> None:
        # Nova sets no architecture and no machine here for other hypervisors
        # than QEMU. libvirt takes a guest without a machine for a PV guest.
        unsupported.check(instance, image_meta)
        kind = guest_kind.of(instance, image_meta)
        guest.os_type = kind.os_type
        guest.os_mach_type = kind.machine
        guest.os_arch = fields.Architecture.X86_64
        super()._conf_non_lxc(
            guest,
            root_device_name,
            rescue,
            instance,
            inst_path,
            image_meta,
            disk_info,
        )

    @signatures.override
    def _create_consoles(
        self,
        guest_cfg: typing.Any,
        instance: typing.Any,
        flavor: typing.Any,
        image_meta: typing.Any,
    ) -> None:
        if guest_cfg.os_mach_type != guest_kind.HVM.machine:
            # With Nova's serial devices, libxl: ``Unable to read console tty
            # path``. It ignores <log>; see nova_isolation.virt.xen.console.
            console = config.LibvirtConfigGuestConsole()
            console.type, console.target_type = 'pty', 'xen'
            guest_cfg.add_device(console)
        else:
            # libxl ignores <log>, so the device model writes the file. With
            # Nova's port for a serial console of the API it would write none.
            serial = config.LibvirtConfigGuestSerial()
            serial.type = 'file'
            serial.source_path = self._get_console_log_path(instance)
            guest_cfg.add_device(serial)

    @staticmethod
    @signatures.override
    def _guest_add_video_device(guest: typing.Any) -> bool:
        # A PV or PVH guest has no screen. libvirt adds a model of libxl's to
        # the screen of an HVM guest; Nova's default, virtio, is none of them:
        # ``video type virtio is not supported by libxl``.
        if guest.os_mach_type == guest_kind.HVM.machine:
            libvirt_driver.LibvirtDriver._guest_add_video_device(guest)
            # Not offered on Xen.
            guest.devices = [
                device
                for device in guest.devices
                if not isinstance(device, config.LibvirtConfigGuestGraphics)
                or device.type != 'spice'
            ]
        return False

    @staticmethod
    @signatures.override
    def _guest_add_spice_channel(guest: typing.Any) -> None:
        # libxl has no channels of SPICE.
        return
