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

"""The options of the group ``[isolation_qemu]``."""

from oslo_config import cfg

OPTIONS = (
    cfg.StrOpt(
        'conf',
        default='/etc/libvirt/qemu.conf',
        deprecated_group='isolation',
        deprecated_name='qemu_conf',
        help="""
The configuration file of libvirt's QEMU driver.

The compute service reads ``seccomp_sandbox`` from this file. Where only root
may read the file, the compute service reads it through privsep, but only if
the name of the file is qemu.conf. If the file cannot be read, the sandbox
counts as unknown.

Services: nova-compute.
""",
    ),
)
