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

"""Tests in Nova's own in-process harness: all of Nova's services, a fake
libvirt, and our driver, filter and prefilter.
"""

from importlib import metadata
import os

# The mode in which nova-compute of the release runs by default: native threads
# since Nova 34, eventlet before. Decided at the first import of Nova's tests.
os.environ.setdefault(
    'OS_NOVA_DISABLE_EVENTLET_PATCHING',
    'true' if metadata.version('nova') >= '34' else 'false',
)

import nova.tests.functional

# In Nova 31 and 32 this module decides, and not the one above.
import nova.test  # noqa: F401  isort: skip

from tests import databases  # isort: skip

databases.speed_up()
