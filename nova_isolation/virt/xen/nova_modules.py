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

"""What is added to modules of Nova, because no method can be overridden.

Only the Xen driver calls this. Nova runs one driver in a process, so a QEMU
host never sees any of it.
"""

from collections.abc import Callable
import typing

import nova.conf
from nova.network import model as network_model
from nova.virt.libvirt import blockinfo
from nova.virt.libvirt import vif as libvirt_vif

CONF = nova.conf.CONF

#: ``[libvirt] virt_type`` of this driver.
VIRT_TYPE = 'xen'

#: What a disk of a guest is attached to, and how its name begins.
BUS, PREFIX = 'xen', 'xvd'

#: The models of network cards; only HVM guests have the emulated ones.
VIF_MODELS = (
    network_model.VIF_MODEL_NETFRONT,
    network_model.VIF_MODEL_RTL8139,
    network_model.VIF_MODEL_E1000,
)

#: By device type. Nova gives a cdrom to the emulated bus of an HVM guest only
#: where its image asks for that; every guest of Xen sees a cdrom on this one.
_BUSES = {'disk': BUS, 'cdrom': BUS}


def prepare() -> None:
    """Make Nova's modules fit for Xen. May be called again."""
    _widen_virt_type()
    for name, ours in (
        ('get_disk_bus_for_device_type', _bus_of_device_type),
        ('get_dev_prefix_for_disk_bus', _prefix),
        ('get_disk_bus_for_disk_dev', _bus_of_device),
    ):
        plain = getattr(blockinfo, name)
        if not hasattr(plain, 'plain'):
            setattr(blockinfo, name, ours(plain))
    # nova.virt.libvirt.vif: ``UnsupportedVirtType: Virtualization type 'xen'
    # is not supported`` for an image with hw_vif_model.
    libvirt_vif.SUPPORTED_VIF_MODELS.setdefault(VIRT_TYPE, list(VIF_MODELS))


def _widen_virt_type() -> None:
    """Set ``[libvirt] virt_type``, whose choices do not have ``xen``.

    Without it: ``ValueError: Valid values are [kvm, lxc, qemu, parallels],
    but found 'xen'``. It cannot be in nova.conf, because nova.cmd.compute
    logs every option before it loads a driver, and dies of it:
    ``ConfigFileValueError: Value for option virt_type ... is not valid``.
    """
    option = CONF._groups['libvirt']._opts['virt_type']['opt']
    option.type.choices.setdefault(VIRT_TYPE, None)
    CONF.set_override('virt_type', VIRT_TYPE, 'libvirt')


def _ours(function: Callable[..., typing.Any], plain: object) -> typing.Any:
    function.plain = plain  # type: ignore[attr-defined]
    return function


def _bus_of_device_type(plain: Callable[..., typing.Any]) -> typing.Any:
    """Without it: ``UnsupportedVirtType: Virtualization type 'xen' is not
    supported by this compute driver``.
    """
    from nova import exception

    def get_disk_bus_for_device_type(
        instance: typing.Any,
        virt_type: str,
        image_meta: typing.Any,
        device_type: str = 'disk',
    ) -> str | None:
        try:
            bus: str | None = plain(
                instance, virt_type, image_meta, device_type
            )
        except exception.UnsupportedVirtType:
            if virt_type != VIRT_TYPE:
                raise
            return _BUSES.get(device_type)
        return bus

    return _ours(get_disk_bus_for_device_type, plain)


def _prefix(plain: Callable[..., typing.Any]) -> typing.Any:
    """Without it: ``InternalError: Unable to determine disk prefix for
    xen``.
    """

    def get_dev_prefix_for_disk_bus(disk_bus: str) -> str | None:
        if disk_bus == BUS:
            return CONF.libvirt.disk_prefix or PREFIX
        prefix: str | None = plain(disk_bus)
        return prefix

    return _ours(get_dev_prefix_for_disk_bus, plain)


def _bus_of_device(plain: Callable[..., typing.Any]) -> typing.Any:
    """Without it: ``InternalError: Unable to determine disk bus for 'xvdb'``
    when a volume is attached.
    """

    def get_disk_bus_for_disk_dev(virt_type: str, disk_dev: str) -> str:
        if virt_type == VIRT_TYPE and disk_dev.startswith(PREFIX):
            return BUS
        bus: str = plain(virt_type, disk_dev)
        return bus

    return _ours(get_disk_bus_for_disk_dev, plain)
