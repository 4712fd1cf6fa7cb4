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

"""The compute driver for hosts that run their guests in QEMU.

``compute_driver = isolation.IsolationDriver`` in nova.conf is all that an
admin changes.
"""

import nova.conf
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import guest as libvirt_guest
from nova.virt.libvirt import host as libvirt_host

from nova_isolation.virt import base_driver
from nova_isolation.virt import signatures
from nova_isolation.virt.guard import hypervisor
from nova_isolation.virt.releases import start_up
from nova_isolation.virt.roads import choke_points
from nova_isolation.virt.roads import qemu_hypervisor

CONF = nova.conf.CONF


class IsolationDriver(base_driver.BaseIsolationDriver):
    """Nova's libvirt driver with a guard, and QEMU below libvirt."""

    def _hypervisor(self) -> hypervisor.Hypervisor:
        """See the base class."""
        return qemu_hypervisor.QemuHypervisor(self._host, CONF.isolation)


# Nova imports its driver when the service starts: a Nova that does not fit
# stops the service here.
signatures.check(
    {
        IsolationDriver: libvirt_driver.LibvirtDriver,
        choke_points.GuardedGuest: libvirt_guest.Guest,
        choke_points.GuardedHost: libvirt_host.Host,
    },
    signatures.CALLED | start_up.CALLED,
)
