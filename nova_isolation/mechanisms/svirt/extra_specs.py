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

"""The extra specs of the mechanism svirt."""

from nova_isolation.model import vocabulary

#: Only these hypervisors run guests in a QEMU that libvirt confines.
_KVM = (('isolation:hypervisor', ('kvm', 'qemu')),)

ROWS = (
    vocabulary.ExtraSpec(
        'isolation:svirt',
        values=('selinux', 'apparmor', 'any'),
        compatible=_KVM,
        condition=(
            'libvirt confines guests with this security model and the kernel '
            'enforces it'
        ),
        example='selinux',
    ),
    vocabulary.ExtraSpec(
        'isolation:svirt_type',
        pattern=vocabulary.IDENTIFIER,
        requires=(('isolation:svirt', 'selinux'),),
        compatible=_KVM,
        condition=(
            'the host allows this SELinux type for guests and the process of '
            'the guest has this type'
        ),
        example='svirt_t',
    ),
)
