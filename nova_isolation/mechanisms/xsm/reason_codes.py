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

"""The reason codes of the mechanism xsm."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.xsm.unknown',
    'The host could not find out what its Xen hypervisor enforces.',
    'Look for the failed probe in the log of nova-compute. The release of Xen '
    'must be one that this release of nova-isolation knows, and nova-compute '
    'must be root of dom0 or have its privileged helper.',
    uncertain=True,
)
NO_XEN = reasons.Reason(
    'isolation.xsm.no_xen',
    'The flavor asks for what only Xen has, and another hypervisor runs the '
    'guests of the host.',
    'Use a Xen host with the driver isolation.IsolationXenDriver.',
)
NO_XSM = reasons.Reason(
    'isolation.xsm.absent',
    'The Xen hypervisor of the host has no XSM, or it was turned off at boot.',
    'Build the hypervisor with CONFIG_XSM_FLASK and boot it with '
    'flask=enforcing.',
)
NOT_ENFORCING = reasons.Reason(
    'isolation.xsm.not_enforcing',
    'XSM of the host only reports what its policy forbids.',
    'Run "xl setenforce 1" in dom0, and boot the hypervisor with '
    'flask=enforcing.',
)
POLICY_CHANGED = reasons.Reason(
    'isolation.xsm.policy_changed',
    'A policy of XSM was loaded, or a boolean of it was changed, after the '
    'host was measured.',
    'Wait for the next measurement of the host and try again. Find out who '
    'loaded a policy: "xl dmesg" has an AVC for it.',
    uncertain=True,
)
FORBIDDEN = reasons.Reason(
    'isolation.xsm.forbidden_label',
    'The flavor asks for a label of Xen itself, of dom0 or of a device model, '
    'or for the role of objects.',
    'Name a label that the policy has for guests.',
    public=True,
)
NO_LABEL = reasons.Reason(
    'isolation.xsm.no_label',
    'The host does not offer this label to guests.',
    'Name a label in the flavor that the host offers, or add this one to '
    '[isolation_xsm] labels of nova.conf, load a policy that has it, and let '
    'dom0 create domains with it.',
)
LABEL = reasons.Reason(
    'isolation.xsm.wrong_label',
    'The guest was started and does not have the label of its flavor.',
    'libvirt starts a guest without a label where Xen does not know it. Look '
    'for "failed to resolve security label" in the log of libvirt.',
)
DEFINITION = reasons.Reason(
    'isolation.xsm.wrong_definition',
    "The <seclabel> of the guest's XML is not the one that asks for the label "
    'of the flavor: the XML is older than the extra specs, or somebody other '
    'than Nova changed the XML.',
    'Let Nova write the XML again: openstack server reboot --hard SERVER. Do '
    'not start or change guests of Nova with virsh.',
)
NOT_ISOLATED = reasons.Reason(
    'isolation.xsm.not_isolated',
    'The policy of XSM lets guests of this label reach one another or other '
    'guests.',
    'Name a label in the flavor that the policy isolates, such as '
    'isolated_domU_t, with isolation:xsm_label, or name the label of a driver '
    'domain in [isolation_xsm] backends.',
)
NO_STUB_DOMAIN = reasons.Reason(
    'isolation.xsm.no_stub_domain',
    'The flavor asks for a device model in a stub domain, which libvirt '
    'cannot start.',
    'Ask for isolation:xsm_device_model=none, with a PV or PVH image.',
)
DEVICE_MODEL = reasons.Reason(
    'isolation.xsm.device_model',
    'The guest has a device model, or a disk or a port that a process of dom0 '
    'serves.',
    'Use an image for PV or PVH guests (hw_machine_type=xenpv or xenpvh), '
    "with raw disks that dom0's kernel serves.",
)
NO_BACKEND = reasons.Reason(
    'isolation.xsm.no_backend',
    "dom0 serves the disks and ports of Nova's guests; no host lets a driver "
    'domain serve them.',
    'Use isolation:xsm_backend=dom0 with isolation:xsm_dom0=selinux.',
)
BACKEND = reasons.Reason(
    'isolation.xsm.backend',
    'The disks and ports of the guest are not served, or not by the domain '
    'that the flavor asks for.',
    'Look at "xenstore-ls /libxl/DOMID/device" in dom0, and at "xl dmesg" for '
    'what XSM has denied.',
)
UNCONFINED = reasons.Reason(
    'isolation.xsm.dom0',
    'SELinux in dom0 does not confine nova-compute and each of the tools of '
    'Xen.',
    'Boot dom0 with SELinux enforcing and load a policy that runs each '
    'program in the type that [isolation_xsm] of nova.conf names; no such '
    'type may be permissive.',
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
