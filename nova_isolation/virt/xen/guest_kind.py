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

"""Which kind of Xen guest an image is run as: PV, PVH or HVM.

Nova's image property ``hw_machine_type`` decides, with the names that libvirt
gives to Xen's machines; without it ``hw_vm_mode``, which knows no PVH; without
that ``[libvirt] hw_machine_type``; and without that the image: one with a
kernel of its own is started directly as a PV guest, any other boots its disk
as an HVM guest, as every cloud image can.
"""

import dataclasses
import typing

from nova import exception
from nova.virt.libvirt import utils as libvirt_utils


@dataclasses.dataclass(frozen=True)
class GuestKind:
    """A kind of guest.

    :ivar machine: libvirt's name of the machine
    :ivar os_type: libvirt's ``<os><type>``
    :ivar emulated: whether libxl starts a device model (QEMU) in dom0 for it,
        whatever its devices are
    """

    machine: str
    os_type: str
    emulated: bool


PV = GuestKind('xenpv', 'xen', emulated=False)
PVH = GuestKind('xenpvh', 'xenpvh', emulated=False)
HVM = GuestKind('xenfv', 'hvm', emulated=True)

KINDS = {kind.machine: kind for kind in (PV, PVH, HVM)}

#: What Nova records for an instance whose image names no machine
#: (nova.virt.libvirt.utils, get_default_machine_type).
_NOVAS_DEFAULT = 'pc'

_BY_MODE = {'xen': PV, 'hvm': HVM}


def of(instance: typing.Any, image_meta: typing.Any) -> GuestKind:
    """The kind of a guest.

    :param instance: Nova's instance
    :param image_meta: the image that it runs, which may be a rescue image
    :raises nova.exception.ComputeResourcesUnavailable: the image asks for a
        machine that Xen does not have
    """
    machine = image_meta.properties.get('hw_machine_type')
    if machine in KINDS:
        return KINDS[machine]
    if machine and machine != _NOVAS_DEFAULT:
        raise exception.ComputeResourcesUnavailable(
            reason=f'Xen has no machine {machine} (image property '
            f'hw_machine_type); it has {", ".join(KINDS)}'
        )
    mode = image_meta.properties.get('hw_vm_mode') or instance.vm_mode
    if mode in _BY_MODE:
        return _BY_MODE[mode]
    default = libvirt_utils.get_machine_type(image_meta)
    if default in KINDS:
        return KINDS[default]
    return PV if instance.kernel_id else HVM


def boots_by_firmware(machine: str | None) -> bool:
    """Whether a guest without a kernel of its own has firmware to boot by.

    :param machine: libvirt's name of the machine; None: libvirt chooses
    """
    return machine not in (PV.machine, PVH.machine)
