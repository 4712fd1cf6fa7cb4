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

"""The options of the group ``[isolation_certification]``."""

from oslo_config import cfg
from oslo_config import types

OPTIONS = (
    cfg.ListOpt(
        'declared',
        default=[],
        item_type=types.String(max_length=64),
        deprecated_group='isolation',
        deprecated_name='certifications',
        help="""
The certifications that this host has, e.g. ``LSPP``.

The list is a declaration of the admin. Where a certification presupposes a
state of the host (``LSPP``: SELinux enforcing with an MLS policy), the
compute service measures that state, and the certification counts only while
the host is in that state.

Services: nova-compute.
""",
    ),
)
