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

"""Runs the ``openstack`` command as a user of a cloud."""

import json
import subprocess  # nosec B404: for the type of what was printed
from typing import Any

from lab.cloud import cloud as clouds
from lab.cloud import connection as connections
from lab.run import errors
from lab.run import layout as layouts


def run(
    cloud: clouds.Cloud, user: str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run ``openstack WORDS``, whatever its exit status is.

    :param user: see lab.cloud.connection.connect()
    """
    return cloud.supervisor.output(
        [layouts.BIN / 'openstack', *words],
        environment=connections.environment(cloud.site, user),
    )


def ask(cloud: clouds.Cloud, user: str, *words: str) -> Any:
    """Run ``openstack WORDS -f json``.

    :returns: what it printed, read as JSON
    :raises LabError: when it fails or prints something else
    """
    result = run(cloud, user, *words, '-f', 'json')
    if result.returncode:
        raise errors.LabError(
            f'openstack {" ".join(words)} ended with exit status '
            f'{result.returncode}: {result.stdout}{result.stderr}'
        )
    try:
        return json.loads(result.stdout)
    except ValueError as error:
        raise errors.LabError(
            f'openstack {" ".join(words)} -f json printed no JSON: '
            f'{result.stdout}'
        ) from error
