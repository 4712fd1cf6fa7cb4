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

"""The options of the mechanism xsm."""

from oslo_config import cfg
from oslo_config import types

OPTIONS = (
    cfg.ListOpt(
        'labels',
        default=['domU_t', 'isolated_domU_t'],
        item_type=types.String(max_length=96),
        help="""
Labels of FLASK that flavors may ask for on this Xen host.

Each is a type (it then has the user and the role of Xen's own guests,
``system_u:system_r``) or a whole label, ``user:role:type``. Of these the host
offers those that the loaded policy knows by exactly this text and with which
dom0 may create a guest. The labels of Xen itself, of dom0 and of device
models, and labels with the role ``object_r``, are never offered. Guests of
these labels are also those from which ``isolation:xsm_isolated`` isolates.

Services: nova-compute.
""",
    ),
    cfg.ListOpt(
        'backends',
        default=[],
        item_type=types.String(max_length=96),
        help="""
Labels of FLASK of the driver domains of this Xen host.

Each is a type or a whole label, as in ``labels``. ``isolation:xsm_isolated``
does not isolate from these domains. The disks and ports that Nova makes are
served by dom0, so the host offers none of these labels for
``isolation:xsm_backend``.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'xenstored_type',
        default='xenstored_t',
        help="""
The SELinux type in which xenstore's daemon runs in dom0.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'xenconsoled_type',
        default='xenconsoled_t',
        help="""
The SELinux type in which the daemon of the consoles runs in dom0.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'libvirt_type',
        default='virtd_t',
        help="""
The SELinux type in which libvirt, the toolstack of Nova, runs in dom0.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'device_model_type',
        default='xendm_t',
        help="""
The SELinux type in which device models run in dom0.

A device model is the QEMU of an HVM guest, or one that serves disks. The
policies of distributions have no such type; the guide for administrators of
Xen hosts says more.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'nova_compute_type',
        default='nova_compute_t',
        help="""
The SELinux type in which nova-compute itself runs in dom0.

The policies of distributions have no such type; the guide for administrators
of Xen hosts says more.

Services: nova-compute.
""",
    ),
    cfg.StrOpt(
        'nova_helper_type',
        default='nova_helper_t',
        help="""
The SELinux type in which the helpers run that nova-compute has as root.

These are the daemons of oslo.privsep that nova-compute starts by sudo.

Services: nova-compute.
""",
    ),
)
