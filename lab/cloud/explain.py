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

"""Runs the command that explains why a flavor's guests are refused."""

from lab.cloud import cloud as clouds
from lab.run import errors
from lab.run import layout as layouts


def explain(cloud: clouds.Cloud, flavor: str) -> str:
    """Run ``nova-isolation-manage explain FLAVOR`` for a cloud.

    :returns: what the command printed
    :raises LabError: when it printed nothing
    """
    result = cloud.supervisor.output(
        [
            layouts.BIN / 'nova-isolation-manage',
            '--config-file',
            cloud.layout.nova_conf,
            'explain',
            flavor,
        ]
    )
    if not result.stdout.strip():
        raise errors.LabError(
            f'nova-isolation-manage explain {flavor}: {result.stderr}'
        )
    return result.stdout
