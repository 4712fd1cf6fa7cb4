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

"""The options of the group ``[isolation_svirt]``."""

from oslo_config import cfg
from oslo_config import types

OPTIONS = (
    cfg.ListOpt(
        'types',
        default=['svirt_t', 'svirt_tcg_t'],
        item_type=types.String(max_length=64),
        deprecated_group='isolation',
        deprecated_name='svirt_types',
        help="""
The SELinux types that guests may have on this host.

A type of ``isolation:svirt_type`` must be in this list. If a flavor has
``isolation:svirt=selinux`` and no ``isolation:svirt_type``, the process of
its guest may have any type of this list, and no other type.

Services: nova-compute.
""",
    ),
)
