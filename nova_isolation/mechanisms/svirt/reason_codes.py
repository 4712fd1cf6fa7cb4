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

"""The reason codes of the mechanism svirt."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.svirt.unknown',
    'The host could not find out how libvirt confines guests.',
    'Look for the failed probe in the log of nova-compute.',
    uncertain=True,
)
NO_MODEL = reasons.Reason(
    'isolation.svirt.no_model',
    'libvirt on the host does not confine guests with the wanted security '
    'model.',
    'Boot a kernel with that security module and set security_driver in '
    "libvirt's qemu.conf.",
)
NOT_ENFORCING = reasons.Reason(
    'isolation.svirt.not_enforcing',
    'The security module does not enforce: it only records what it would '
    'deny, or it is disabled.',
    'For SELinux run setenforce 1 and set SELINUX=enforcing. For AppArmor set '
    'the mode enforce in /sys/module/apparmor/parameters/mode, and remove '
    'flags such as complain from /etc/apparmor.d/libvirt/TEMPLATE.qemu and '
    'from the profiles of guests beside it.',
)
UNMOUNTED = reasons.Reason(
    'isolation.svirt.selinux_unseen',
    'The kernel of the host runs SELinux, but selinuxfs is not mounted where '
    'nova-compute runs, so nova-compute cannot see whether SELinux enforces.',
    'Mount /sys/fs/selinux into the container of nova-compute, read-write, '
    'because nova-compute asks the kernel about types there, and name the '
    'folder in [isolation] selinuxfs where it is another.',
    uncertain=True,
    blind=True,
)
DEFAULT_TYPE = reasons.Reason(
    'isolation.svirt.default_type',
    'The SELinux type that libvirt gives to guests is permissive by itself, '
    'is not in the policy, or is not among [isolation_svirt] types of the '
    'host. A guest without isolation:svirt_type would start and fail its '
    'verification.',
    'If "semanage permissive -l" shows the type, run semanage permissive -d '
    'TYPE. Otherwise load the policy module that defines the type, or add the '
    'type to [isolation_svirt] types.',
)
TYPE = reasons.Reason(
    'isolation.svirt.type_not_allowed',
    'The host does not allow the SELinux type for guests, or does not confine '
    'guests with SELinux.',
    'Load the policy module that defines the type on the host, then add the '
    'type to [isolation_svirt] types of that host.',
)
DEFINITION = reasons.Reason(
    'isolation.svirt.wrong_definition',
    "The <seclabel> of the guest's XML is not the one that makes libvirt "
    'confine the guest as its flavor asks: the XML is older than the extra '
    'specs, or somebody other than Nova changed the XML.',
    'Let Nova write the XML again: openstack server reboot --hard SERVER. Do '
    'not start or change guests of Nova with virsh.',
)
LABEL = reasons.Reason(
    'isolation.svirt.wrong_label',
    'The started guest does not have the label that its flavor asks for.',
    "Compare the label in the message with libvirt's log of the guest and "
    'with the SELinux policy of the host.',
)
CLASH = reasons.Reason(
    'isolation.svirt.category_clash',
    'The MCS categories of another running guest on the host include those of '
    'this guest, or the reverse, so one guest could reach the other.',
    'Do not give guests static labels. Restart the guest that was not started '
    'by Nova.',
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
