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

"""The release of Nova that the lab runs, and what the lab does for it.

All of the lab's cloud runs from one environment, the one of this process.
"""

from importlib import metadata

#: The first number of its version: 34 is OpenStack 2026.2.
NOVA = int(metadata.version('nova').split('.', 1)[0])

#: Whether Nova's API is patched by eventlet, which all its services are before
#: 33. A green thread waits in vain for what another native thread of uWSGI
#: receives, so the API then has processes and no threads.
API_HAS_EVENTLET = NOVA < 33

#: The virtual machines have nova-compute of this release in their image.
OF_MACHINES = 34
