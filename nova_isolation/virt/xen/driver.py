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

"""The compute driver for hosts that run their guests on Xen.

``compute_driver = isolation.IsolationXenDriver`` in nova.conf.
"""

import functools
import typing

from nova import exception
import nova.conf
from nova.virt.libvirt import driver as nova_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.host import xen_host
from nova_isolation.mechanisms import sources
from nova_isolation.virt import base_driver
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.releases import start_up
from nova_isolation.virt.xen import choke_points
from nova_isolation.virt.xen import hypervisor as xen_hypervisor
from nova_isolation.virt.xen import libvirt_driver
from nova_isolation.virt.xen import self_reboots
from nova_isolation.virt.xen import unsupported

CONF = nova.conf.CONF


class IsolationXenDriver(
    base_driver.BaseIsolationDriver, libvirt_driver.XenLibvirtDriver
):
    """Nova's libvirt driver with a guard, and Xen below libvirt."""

    _guarded_host = choke_points.GuardedXenHost

    def _hypervisor(self) -> hypervisor.Hypervisor:
        """See the base class."""
        return xen_hypervisor.XenHypervisor(
            self._host, self._asked_xen, CONF.isolation
        )

    def _xen(self) -> sources.Xen:
        """See the base class."""
        return self._asked_xen

    @signatures.override
    def rebuild(
        self,
        context: typing.Any,
        instance: typing.Any,
        image_meta: typing.Any,
        injected_files: typing.Any,
        admin_password: typing.Any,
        allocations: typing.Any,
        bdms: typing.Any,
        detach_block_devices: typing.Any,
        attach_block_devices: typing.Any,
        network_info: typing.Any = None,
        evacuate: typing.Any = False,
        block_device_info: typing.Any = None,
        preserve_ephemeral: typing.Any = False,
        accel_uuids: typing.Any = None,
        reimage_boot_volume: typing.Any = False,
    ) -> None:
        """See Nova's driver. Nova calls this before it touches the guest. Then
        it destroys the guest and its disk, and calls :meth:`spawn`.

        :raises nova.exception.InstanceFaultRollback: the new image asks for
            what Xen does not have; the guest runs on
        :raises nova.exception.ComputeResourcesUnavailable: the same of a guest
            that is evacuated to this host; it stays where it was
        :raises NotImplementedError: otherwise; Nova goes its own way
        """
        try:
            unsupported.check(instance, image_meta)
        except exception.ComputeResourcesUnavailable as error:
            # Nova takes it for a claim that has failed, which is right for an
            # evacuation alone. It drops the allocation in any case.
            if evacuate:
                raise
            self._kept_allocations.keep(instance, allocations)
            raise exception.InstanceFaultRollback(
                inner_exception=exception.BuildAbortException(
                    instance_uuid=instance.uuid, reason=error.format_message()
                )
            ) from error
        raise NotImplementedError

    @signatures.override
    def emit_event(self, event: typing.Any) -> None:
        """See the base class. Runs on the threads of libvirt's events."""
        if not self._self_reboots.takes(event):
            super().emit_event(event)

    @functools.cached_property
    def _self_reboots(self) -> self_reboots.SelfReboots:
        hypervisor = typing.cast(
            xen_hypervisor.XenHypervisor, self.guard.hypervisor
        )
        return self_reboots.SelfReboots(
            CONF.host,
            hypervisor.is_kept,
            # As Nova's manager calls stop() of its API for a guest that is
            # off. virtapi has no such method.
            lambda context, instance: self.virtapi._compute.compute_api.reboot(
                context, instance, 'HARD'
            ),
            super().emit_event,
        )

    @functools.cached_property
    def _asked_xen(self) -> xen_host.XenHost:
        return xen_host.XenHost(CONF.isolation)


# Nova imports its driver when the service starts: a Nova that does not fit
# stops the service here.
signatures.check(
    {
        IsolationXenDriver: nova_driver.LibvirtDriver,
        choke_points.GuardedXenGuest: libvirt_guest.Guest,
        choke_points.GuardedXenHost: libvirt_host.Host,
    },
    signatures.CALLED | start_up.CALLED,
)
