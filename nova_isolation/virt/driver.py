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

"""The compute driver: Nova's LibvirtDriver with a guard at its doors.

``compute_driver = isolation.IsolationDriver`` in nova.conf is all that an
admin changes.
"""

import typing

from nova.compute import vm_states
import nova.conf
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import vif as libvirt_vif
from oslo_log import log as logging

from nova_isolation import opts
from nova_isolation import traits
from nova_isolation.mechanisms import registry
from nova_isolation.virt import compute_host
from nova_isolation.virt import exception
from nova_isolation.virt import guard
from nova_isolation.virt import guest
from nova_isolation.virt import late_fault
from nova_isolation.virt import placement
from nova_isolation.virt import report
from nova_isolation.virt import signatures

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

opts.register(CONF)


class IsolationDriver(libvirt_driver.LibvirtDriver):
    """See Nova's driver for all that is not here."""

    def __init__(self, virtapi: typing.Any, read_only: bool = False) -> None:
        signatures.check()
        super().__init__(virtapi, read_only)
        host = guest.GuardedHost(
            self._uri(),
            read_only,
            lifecycle_event_handler=self.emit_event,
            conn_event_handler=self._handle_conn_event,
        )
        host.keeper = guard.Guard(
            host,
            compute_host.ComputeHost(
                host, CONF.isolation, CONF.libvirt.virt_type
            ),
            registry.get(),
            report.Reporter(
                CONF.host,
                late_fault.LateFaults(CONF.isolation.fault_timeout),
            ),
        )
        self._announced = False
        # In place of those that the base class has just made.
        self._host = host
        self.vif_driver = libvirt_vif.LibvirtGenericVIFDriver(host)

    @property
    def guard(self) -> guard.Guard:
        """The guard of this host."""
        return self._host.keeper

    def init_host(self, host: str) -> None:
        """See Nova's driver."""
        super().init_host(host)
        LOG.info(
            'nova-isolation guards this host (mode %(mode)s). Facts: '
            '%(facts)s',
            {
                'mode': CONF.isolation.mode,
                'facts': self.guard.measure().document,
            },
        )

    def get_available_resource(self, nodename: str) -> dict[str, typing.Any]:
        """See Nova's driver; the host's facts are among the stats."""
        resources: dict[str, typing.Any] = super().get_available_resource(
            nodename
        )
        resources['stats'].update(self.guard.measure().stats)
        return resources

    def update_provider_tree(
        self,
        provider_tree: typing.Any,
        nodename: str,
        allocations: typing.Any = None,
    ) -> None:
        """See Nova's driver; the traits that the facts earn come, others of
        ours go.
        """
        super().update_provider_tree(
            provider_tree, nodename, allocations=allocations
        )
        earned = self.guard.measure().traits
        present = {
            name
            for name in provider_tree.data(nodename).traits
            if name.startswith(traits.PREFIX)
        }
        if not self._announced:
            self._announced = placement.announce(
                registry.get().possible_traits()
            )
        # Explicitly each: static traits drop custom ones.
        provider_tree.remove_traits(nodename, *(present - earned))
        provider_tree.add_traits(nodename, *(earned - present))

    def spawn(
        self,
        context: typing.Any,
        instance: typing.Any,
        *args: typing.Any,
        **kwargs: typing.Any,
    ) -> None:
        """See Nova's driver.

        :raises nova_isolation.virt.exception.GuestRefused: here before a
            disk or a domain is made, or after the paused start; Nova tries
            the next host
        """
        order = self.guard.orders.of_instance(instance, context)
        try:
            if order.wanted:
                self.guard.admit(order)
            super().spawn(context, instance, *args, **kwargs)
        except exception.GuestRefused:
            # A new guest's only: in a rebuild, an evacuation or an unshelve
            # the instance has other rights to its allocation.
            if instance.vm_state == vm_states.BUILDING:
                placement.release(context, instance)
            raise

    def _create_guest(
        self,
        context: typing.Any,
        xml: str,
        instance: typing.Any,
        *args: typing.Any,
        **kwargs: typing.Any,
    ) -> typing.Any:
        with self.guard.orders.working_on(instance, context):
            return super()._create_guest(
                context, xml, instance, *args, **kwargs
            )
