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

"""What this project gives to those who deploy with Kolla-Ansible."""

from lab.config import contrib
from lab.config import ini
from lab.config import volumes

_FOLDER = contrib.FOLDER / 'kolla'


def extra_volumes() -> list[volumes.Volume]:
    """What ``nova_compute_extra_volumes`` adds to the container."""
    found = contrib.document(_FOLDER / 'globals.yml')
    return [
        volumes.Volume.parse(one)
        for one in found['nova_compute_extra_volumes']
    ]


def nova_compute() -> ini.Settings:
    """What nova-compute.conf adds to the configuration of a compute host."""
    path = _FOLDER / 'config' / 'nova' / 'nova-compute.conf'
    return contrib.settings(path.read_text(encoding='utf-8'))
