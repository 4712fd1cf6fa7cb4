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

"""The reason codes of the mechanism hypervisor."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.hypervisor.unknown',
    'The host could not find out which hypervisor it runs.',
    'Look for the failed probe in the log of nova-compute.',
    uncertain=True,
)
OTHER = reasons.Reason(
    'isolation.hypervisor.other',
    'The host runs a hypervisor that the flavor does not allow.',
    'Use a host with one of the wanted hypervisors ([libvirt] virt_type), or '
    'add the hypervisor of this host to the list in the flavor.',
)
OTHER_ARCHITECTURE = reasons.Reason(
    'isolation.hypervisor.emulated_architecture',
    'The image asks for the emulation of another architecture, which Nova '
    'runs with the hypervisor qemu, and the flavor does not allow qemu.',
    'Remove hw_emulation_architecture from the image, or add qemu to the list '
    'in the flavor.',
    public=True,
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
