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


"""Chooses the class of a compute host that fits its description."""

from lab.config import host_specs
from lab.config import site as sites
from lab.hosts import compute_host
from lab.hosts import machine_host
from lab.hosts import namespaced_host
from lab.hosts import xen_host


def host(
    site: sites.Site, spec: host_specs.HostSpec, index: int
) -> compute_host.ComputeHost:
    """The host.

    :param index: its index among the lab's hosts, from 0
    """
    if spec.machine is None:
        return namespaced_host.NamespacedHost(site, spec, index)
    return machine(spec)(site, spec, index)


def machine(spec: host_specs.HostSpec) -> type[machine_host.MachineHost]:
    """The class of a host that is a virtual machine."""
    if spec.machine == 'xen':
        return xen_host.XenHost
    return machine_host.MachineHost
