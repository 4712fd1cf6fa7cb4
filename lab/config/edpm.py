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

"""What this project gives to those who deploy with RHOSO or EDPM."""

from lab.config import contrib
from lab.config import ini
from lab.config import volumes

_FOLDER = contrib.FOLDER / 'edpm'


def extra_volumes() -> list[volumes.Volume]:
    """What ``edpm_nova_extra_bind_mounts`` adds to the container."""
    found = contrib.document(_FOLDER / 'nodeset-patch.yaml')
    variables = found['spec']['nodeTemplate']['ansible']['ansibleVars']
    # The form in which the role hands them to Podman.
    return [
        volumes.Volume.parse(
            f'{one["src"]}:{one["dest"]}:{one.get("options", "ro")}'
        )
        for one in variables['edpm_nova_extra_bind_mounts']
    ]


def nova_compute() -> ini.Settings:
    """What the ConfigMap adds to the configuration of a compute host."""
    found = contrib.document(_FOLDER / 'nova-extra-config.yaml')
    return ini.merge(
        *(contrib.settings(text) for text in found['data'].values())
    )
