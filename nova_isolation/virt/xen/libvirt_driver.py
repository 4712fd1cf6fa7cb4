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

"""Nova's libvirt driver on Xen, without a guard."""

import typing

import nova.conf

from nova_isolation.virt import signatures
from nova_isolation.virt.xen import console
from nova_isolation.virt.xen import guest_config
from nova_isolation.virt.xen import instance_files
from nova_isolation.virt.xen import nova_modules
from nova_isolation.virt.xen import refusals
from nova_isolation.virt.xen import traits
from nova_isolation.virt.xen import unsupported

CONF = nova.conf.CONF


class XenLibvirtDriver(
    guest_config.XenGuestConfig,
    console.XenConsole,
    instance_files.XenInstanceFiles,
    traits.XenTraits,
    refusals.RefusingDriver,
):
    """Drives Xen, as Nova's driver did before its release 23."""

    @signatures.override
    def __init__(self, virtapi: typing.Any, read_only: bool = False) -> None:
        nova_modules.prepare()
        super().__init__(virtapi, read_only)

    @staticmethod
    @signatures.override
    def _uri() -> str:
        return str(CONF.libvirt.connection_uri or 'xen:///system')

    @signatures.override
    def spawn(
        self,
        context: typing.Any,
        instance: typing.Any,
        image_meta: typing.Any,
        injected_files: typing.Any,
        admin_password: typing.Any,
        allocations: typing.Any,
        network_info: typing.Any = None,
        block_device_info: typing.Any = None,
        power_on: bool = True,
        accel_info: typing.Any = None,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.ComputeResourcesUnavailable: the flavor or the
            image asks for what Xen does not have; Nova tries the next host
        """
        unsupported.check(instance, image_meta)
        console.forget(instance.name)
        super().spawn(
            context,
            instance,
            image_meta,
            injected_files,
            admin_password,
            allocations,
            network_info=network_info,
            block_device_info=block_device_info,
            power_on=power_on,
            accel_info=accel_info,
        )

    @signatures.override
    def _hard_reboot(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        share_info: typing.Any,
        block_device_info: typing.Any = None,
        accel_info: typing.Any = None,
    ) -> None:
        """See Nova's driver, which destroys the domain first.

        :raises nova.exception.ComputeResourcesUnavailable: the image that Nova
            has recorded asks for what Xen does not have, as after a rebuild
            that was refused; a guest that runs, runs on
        """
        unsupported.check(instance, instance.image_meta)
        super()._hard_reboot(
            context,
            instance,
            network_info,
            share_info,
            block_device_info=block_device_info,
            accel_info=accel_info,
        )

    @signatures.override
    def rescue(
        self,
        context: typing.Any,
        instance: typing.Any,
        network_info: typing.Any,
        image_meta: typing.Any,
        rescue_password: typing.Any,
        block_device_info: typing.Any,
        share_info: typing.Any,
    ) -> None:
        """See Nova's driver.

        :raises nova.exception.ComputeResourcesUnavailable: the rescue image
            asks for what Xen does not have. Nova has powered the guest off
            already; its own disk and definition are as they were
        """
        unsupported.check(instance, image_meta)
        super().rescue(
            context,
            instance,
            network_info,
            image_meta,
            rescue_password,
            block_device_info,
            share_info,
        )
